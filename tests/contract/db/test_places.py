"""Of two who try one place one succeeds, and a deposed trader writes nothing, however late its entry comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from db.ledger.mongo import MongoLedger
from peers.core.ledger.log import OfficeEntry, TradeEntry
from peers.core.ledger.port import Append, Appended, LookUp, Result, Taken
from peers.core.ledger.post_state import PostState
from tests.fixtures.mongo import Books, MakeLedger
from tests.helpers.deals import T0_MS, accepted, at, office, sold, stock, trade, unavailable
from tests.helpers.log_trader import LogTrader, assert_books_follow, state_in, summary
from tests.helpers.relay import APPEND, Relay

FISH = stock("d1", 1_000_000)


def at_once(acts: Sequence[Callable[[], Any]]) -> list[Any]:
    """Runs all of them at the same time; returns what each returned."""
    answers: list[Any] = [None] * len(acts)
    barrier = threading.Barrier(len(acts))

    def run(i: int) -> None:
        barrier.wait(10)
        answers[i] = acts[i]()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return answers


def performing(ledger: MongoLedger, operation: Append) -> Callable[[], Result]:
    return lambda: ledger.perform(operation)


def test_one_of_many_candidates_gets_the_office(make_ledger: MakeLedger, books: Books) -> None:
    ledgers = [make_ledger() for _ in range(6)]
    for term in range(1, 6):
        entries = [office(term, f"merchant{i}") for i in range(6)]
        answers = at_once([performing(ledgers[i], at(term - 1, entries[i])) for i in range(6)])
        (winner,) = [i for i, answer in enumerate(answers) if answer == Appended()]
        assert [answer for answer in answers if answer != Appended()] == [Taken(entry=entries[winner])] * 5
    assert [each["_id"] for each in books.log.find().sort("_id", 1)] == [0, 1, 2, 3, 4]


def test_one_of_many_threads_gets_each_place(make_ledger: MakeLedger, books: Books) -> None:
    """Two ledgers of several threads each; the deposed and the one in office try the same place over and over."""
    ledgers = make_ledger(), make_ledger()
    assert ledgers[0].perform(at(0, office())) == Appended()
    for place in range(1, 21):
        entries = [trade(unavailable(accepted(10 * place + i), place)) for i in range(8)]
        answers = at_once([performing(ledgers[i % 2], at(place, entries[i])) for i in range(8)])
        (winner,) = [i for i, answer in enumerate(answers) if answer == Appended()]
        assert [answer for answer in answers if answer != Appended()] == [Taken(entry=entries[winner])] * 7
    assert books.log.count_documents({}) == 21


def test_the_same_entry_by_many_threads_stands_once(make_ledger: MakeLedger, books: Books) -> None:
    ledgers = make_ledger(), make_ledger()
    entry = office()
    answers = at_once([performing(ledgers[i % 2], at(0, entry)) for i in range(8)])
    assert answers == [Appended()] * 8
    assert books.log.count_documents({}) == 1


def test_rivals_who_depose_each_other_lose_and_double_nothing(make_ledger: MakeLedger, books: Books) -> None:
    told: dict[str, list[int]] = {"merchant7": [], "merchant8": []}

    def live(name: str, first: int) -> Callable[[], None]:
        def run() -> None:
            trader, number = LogTrader(make_ledger(), name), first
            for _ in range(8):
                trader.take_office()
                while True:
                    result = trader.append(trader.entry(trader.decline(number)))
                    if isinstance(result, Taken):
                        break
                    assert result == Appended()
                    told[name].append(number)
                    number += 2
                    if len(told[name]) % 5 == 0:
                        break  # It takes office again at once.

        return run

    at_once([live("merchant7", 1), live("merchant8", 2)])
    make_ledger().close()
    entries = list(books.log.find().sort("_id", 1))
    assert [each["_id"] for each in entries] == list(range(len(entries)))
    decided = [each["_id"] for entry in entries for each in entry.get("decided", ())]
    assert sorted(decided) == sorted(f"r{number}" for numbers in told.values() for number in numbers)
    terms = [entry["term"] for entry in entries if entry["kind"] == "office"]
    assert terms == list(range(1, len(terms) + 1))


@pytest.mark.parametrize("mine", ["trade", "office"])
def test_the_successor_may_come_while_the_entry_is_on_its_way(
    make_ledger: MakeLedger, relay: Relay, books: Books, mine: str
) -> None:
    old = LogTrader(make_ledger(relay.uri)).take_office()
    new = LogTrader(make_ledger(), "merchant8")
    relay.before(APPEND, new.take_office)
    entry = office(2) if mine == "office" else old.entry(old.sale(1, 1, FISH), deposits=(FISH,))
    result = old.append(entry)
    assert isinstance(result, Taken)
    assert isinstance(result.entry, OfficeEntry)
    assert (result.entry.trader, result.entry.term) == ("merchant8", 2)
    assert old.ledger.perform(LookUp(request_ids=("r1",))) == new.ledger.perform(LookUp(request_ids=("none",)))
    assert books.log.count_documents({}) == 2


def test_an_entry_that_comes_long_after_its_successors_finds_its_place_taken(
    make_ledger: MakeLedger, relay: Relay, books: Books
) -> None:
    """The deposed trader's first attempt is still in the net when its second one has an answer already."""
    old = LogTrader(make_ledger(relay.uri)).take_office()
    entry = at(1, trade(sold(accepted(1), 1, FISH), deposits=(FISH,)))
    relay.lose("held")
    old.ledger.perform(entry)
    new = LogTrader(make_ledger(), "merchant8").take_office()
    new.write(new.decline(1))
    assert b"duplicate key" in relay.deliver()
    relay.heal()
    assert isinstance(old.append(entry.entry), Taken)
    assert [each["trader"] for each in books.log.find().sort("_id", 1)] == ["merchant9", "merchant8", "merchant8"]
    new.ledger.close()
    assert_books_follow(books)


def test_a_deposed_trader_that_is_late_at_the_books_changes_nothing(make_ledger: MakeLedger, books: Books) -> None:
    old = LogTrader(make_ledger(), makes_books=False).take_office()
    old.write(deposits=(FISH,), queued=(accepted(3), accepted(4)))
    for number in range(10, 20):
        old.sell(number, FISH)
    state = PostState()
    to_make = [state.take_in(entry) for entry in old.load().entries]
    new = LogTrader(make_ledger(), "merchant8").take_office()
    new.write(new.decline(3))
    new.sell(4, FISH)
    new.sell(30, FISH)
    new.ledger.close()
    right = state_in(LogTrader(make_ledger()).load())
    assert_books_follow(books)
    for changes in to_make:
        old.ledger.perform(changes)
    old.ledger.close()
    assert_books_follow(books)
    assert state_in(LogTrader(make_ledger()).load()) == right == summary(new.state)


def test_what_is_refused_leaves_nothing_to_the_books(make_ledger: MakeLedger, books: Books) -> None:
    """The refused entry's requests were encoded already; what stands in its place may hold the same ones."""
    old = LogTrader(make_ledger(), makes_books=False).take_office()
    new = LogTrader(make_ledger(), "merchant8", makes_books=False).take_office()
    new.write(deposits=(FISH,))
    theirs = new.entry(new.decline(1))
    assert new.append(theirs) == Appended()
    lost = trade(sold(accepted(1), 1, FISH), deposits=(FISH,))
    assert old.ledger.perform(at(3, lost)) == Taken(entry=theirs)
    old.makes_books = True
    old.load()
    old.ledger.close()
    assert_books_follow(books)
    found = books.requests.find_one({"_id": "r1"})
    assert found is not None
    assert (found["status"], found["trader"]) == ("unavailable", "merchant8")


def test_an_entry_says_when_it_was_written(ledger: MongoLedger, books: Books) -> None:
    entry = TradeEntry(entry_id="x", term=1, trader="merchant9", written_at_ms=T0_MS, deposits=(FISH,))
    assert ledger.perform(at(0, office())) == Appended()
    assert ledger.perform(at(1, entry)) == Appended()
    found = books.log.find_one({"_id": 1})
    assert found is not None
    assert (found["entry"], found["kind"], found["new_deposits"]) == ("x", "decide", ["d1"])
    assert round(found["written_at"].timestamp() * 1000) == T0_MS
