"""What each write level keeps through the fall of a primary: real members, really killed.

The same treatment at every level: the secondaries are killed, the trader writes on, the primary is killed, and the
others come back. At level one what was acknowledged meanwhile is lost for certain; at a majority nothing can be
acknowledged meanwhile. (To freeze the secondaries would not do: the primary streams to them, and what the kernel
holds for them they read when they wake up.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from pymongo.errors import PyMongoError

from db.ledger import maker
from db.ledger.cutting import cut
from db.ledger.memory import MemoryLedger
from db.ledger.mongo import MongoLedger
from peers.core.ledger.port import Append, Appended, EndLost, Ledger, Load, Loaded, MakeBooks, Taken, Unknown
from peers.core.ledger.post_state import state_of
from tests.fixtures.mongo import Books, MakeLedger
from tests.helpers.deals import accepted, at, office, stock
from tests.helpers.log_trader import LogTrader, assert_books_follow, load, made, trade_a_while
from tests.helpers.mongod_set import MongodSet
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.timeout(180)

Lose = Callable[[], object]
FISH = stock("d1", 1000)


def sell(trader: LogTrader, *numbers: int) -> list[object]:
    return [trader.append(trader.entry(trader.sale(each, trader.next_seq, FISH)), 60) for each in numbers]


def _has(several: MongodSet, port: int, name: str, end: object) -> bool:
    """Whether that member has the log up to its end; one that has just come back may not answer yet."""
    try:
        with several.direct(port) as direct:
            return bool(direct[name]["log"].find_one(sort=[("_id", -1)]) == end)
    except PyMongoError:
        return False


@contextmanager
def the_primary_alone(several: MongodSet, name: str) -> Iterator[int]:
    """Within, only the primary is alive; afterwards it is dead, and the others are back and have another."""
    primary = several.primary
    others = [port for port in several.ports if port != primary]
    # What was written before is with a majority, and known to be.
    with several.client() as client:
        end = client[name]["log"].find_one(sort=[("_id", -1)])
    for port in others:
        wait_until(partial(_has, several, port, name, end), deadline_s=30)
    for port in others:
        several.kill(port)
    yield primary
    several.kill(primary)
    for port in others:
        several.start(port)
    wait_until(lambda: several.primary != primary, deadline_s=30)


def test_books_wait_for_a_majority_in_short_pauses(
    several: MongodSet, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has at once what one member has; the long pause is for a database that is away, and here without an end."""
    monkeypatch.setattr(maker, "_RETRY_S", (*maker._RETRY_S[:-1], 3600.0))
    trader = LogTrader(MongoLedger(several.uri, name, write_level="one")).take_office()
    trade_a_while(trader, 40)
    with several.client() as client:
        wait_until(lambda: made(client[name]) == trader.state.place, "the books are made")


def test_at_level_one_a_fall_loses_what_was_acknowledged_and_the_log_stays_whole(
    several: MongodSet, name: str
) -> None:
    trader = LogTrader(MongoLedger(several.uri, name, write_level="one")).take_office()
    trader.write(deposits=(FISH,))
    assert sell(trader, 1, 2, 3) == [Appended()] * 3
    with the_primary_alone(several, name) as fallen:
        assert sell(trader, 4, 5) == [Appended()] * 2
    # It knows more than stands, so its next entry would leave a gap: it is told, and nothing is written.
    assert sell(trader, 6) == [EndLost()]
    again = LogTrader(MongoLedger(several.uri, name, write_level="one"), "merchant8").take_office(60)
    assert again.state.post.seq == 3
    assert sell(again, 7) == [Appended()]
    # The first trader's books are not made of what is lost, and it is deposed for good.
    assert isinstance(sell(trader, 6)[0], Taken | EndLost)
    several.start(fallen)
    several.wait_until_complete()
    trader.ledger.close()
    again.ledger.close()
    with several.client() as client:
        books = client[name]
        assert_books_follow(books)
        assert [each["seq"] for each in books["requests"].find(sort=[("seq", 1)])] == [1, 2, 3, 4]
        assert [each["_id"] for each in books["log"].find(sort=[("_id", 1)])] == list(range(again.state.place + 1))


def test_at_a_majority_the_same_treatment_loses_nothing(several: MongodSet, name: str) -> None:
    trader = LogTrader(MongoLedger(several.uri, name)).take_office()
    trader.write(deposits=(FISH,))
    assert sell(trader, 1, 2, 3) == [Appended()] * 3
    with the_primary_alone(several, name) as fallen:
        entry = trader.entry(trader.sale(4, trader.next_seq, FISH))
        waits = trader.ledger.perform(Append(place=trader.state.place + 1, entry=entry))
        assert isinstance(waits, Unknown)
    assert trader.append(entry, 60) == Appended()
    assert sell(trader, 5) == [Appended()]
    several.start(fallen)
    trader.ledger.close()
    with several.client() as client:
        assert client[name]["posts"].count_documents({"seq": 5}) == 1
        assert_books_follow(client[name])


def test_at_level_one_a_fall_that_loses_nothing_is_gone_through(several: MongodSet, name: str) -> None:
    trader = LogTrader(MongoLedger(several.uri, name, write_level="one")).take_office()
    trader.write(deposits=(FISH,))
    sell(trader, 1, 2, 3)
    several.step_down()  # In order: the next primary has all that this one has.
    assert sell(trader, 4, 5) == [Appended()] * 2
    trader.ledger.close()
    with several.client() as client:
        assert_books_follow(client[name])


# -- both ledgers ------------------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "mongo"])
def lossy(request: pytest.FixtureRequest) -> Iterator[tuple[Ledger, Lose]]:
    """A ledger at level one, and what has it lose the last two entries."""
    if request.param == "memory":
        memory = MemoryLedger("one")
        yield memory, memory.lose_end
        return
    books = request.getfixturevalue("books")
    make = request.getfixturevalue("make_ledger")

    def lose() -> None:
        last = books["log"].find_one(sort=[("_id", -1)])["_id"]
        books["log"].delete_many({"_id": {"$gte": last - 1}})

    yield make(write_level="one"), lose


def settle(ledger: Ledger) -> None:
    if isinstance(ledger, MemoryLedger):
        ledger.settle()


def append_unmade(trader: LogTrader) -> MakeBooks:
    """Has a deposit and a request that waits acknowledged; returns what that changes in the books, not made yet."""
    entry = trader.entry(deposits=(stock("told", 7),), queued=(accepted(900, arrival=1),))
    assert trader.ledger.perform(at(trader.state.place + 1, entry)) == Appended()
    return trader.state.take_in(entry)


def stands_in_books(ledger: Ledger) -> tuple[list[str], list[str]]:
    """The deposits that hold something, and the requests that wait, as whoever comes next finds them."""
    loaded = load(ledger)
    stocked = [each.deposit.offer.deposit_id for each in loaded.stock]
    return stocked, [each.request.request_id for each in loaded.queue]


def lose_unmade(ledger: Ledger, lose: Lose) -> tuple[LogTrader, MakeBooks]:
    """A trader that lost the end of its term, and what it would still have made of that; its stock was not lost."""
    trader = LogTrader(ledger, makes_books=False).take_office()
    trader.write(deposits=(FISH,))
    settle(ledger)
    told = append_unmade(trader)
    sell(trader, 1)
    lose()
    return trader, told


def test_a_term_that_begins_where_the_one_before_lost_its_end_makes_no_books_of_that(
    lossy: tuple[Ledger, Lose],
) -> None:
    """All of it was still to be made when the same peer took office again, at the very place that was lost."""
    ledger, lose = lossy
    _, told = lose_unmade(ledger, lose)
    state, before = state_of(load(ledger))
    begins = office(2)
    assert ledger.perform(at(state.place + 1, begins)) == Appended()
    for changes in (*before, told, state.take_in(begins)):
        ledger.perform(changes)
    wait_until(lambda: load(ledger).made == state.place)
    assert stands_in_books(ledger) == (["d1"], [])


def test_a_trader_that_comes_too_late_makes_no_books_of_what_it_lost(lossy: tuple[Ledger, Lose]) -> None:
    ledger, lose = lossy
    _, told = lose_unmade(ledger, lose)
    rival = LogTrader(ledger, "merchant8").take_office()
    sell(rival, 2)
    settle(ledger)
    ledger.perform(told)
    sell(rival, 3)
    settle(ledger)
    wait_until(lambda: load(ledger).made == rival.state.place)
    assert stands_in_books(ledger) == (["d1"], [])


def test_nor_does_it_where_the_log_was_cut_meanwhile(make_ledger: MakeLedger, books: Books, settled: Books) -> None:
    """The place that was lost has no body any more, so nothing says there whose it was."""
    frozen = LogTrader(make_ledger(write_level="one"), makes_books=False).take_office()
    frozen.write(deposits=(FISH,))
    told = append_unmade(frozen)
    books.log.delete_one({"_id": frozen.state.place})
    rival = LogTrader(make_ledger(write_level="one"), "merchant8").take_office()
    sell(rival, *range(1, 10))
    rival.ledger.close()
    wait_until(lambda: settled.posts.count_documents({"made": rival.state.place}))
    assert cut(settled, 1) > told.place
    frozen.ledger.perform(told)
    frozen.ledger.close()
    assert stands_in_books(make_ledger()) == (["d1"], [])


def test_a_trader_whose_end_is_lost_is_told_and_writes_nothing(lossy: tuple[Ledger, Lose]) -> None:
    ledger, lose = lossy
    trader = LogTrader(ledger, makes_books=False).take_office()
    trader.write(deposits=(FISH,))
    sell(trader, 1)
    settle(ledger)
    sell(trader, 2, 3)
    lose()
    assert sell(trader, 4) == [EndLost()]
    loaded = ledger.perform(Load())
    assert isinstance(loaded, Loaded)
    assert loaded.made + len(loaded.entries) == trader.state.place - 2


def test_no_entry_is_written_behind_a_gap_or_another_term(lossy: tuple[Ledger, Lose]) -> None:
    ledger, _ = lossy
    trader = LogTrader(ledger, makes_books=False).take_office()
    trader.write(deposits=(FISH,))
    entry = trader.entry(trader.sale(1, 1, FISH))
    assert ledger.perform(at(trader.state.place + 2, entry)) == EndLost()
    rival = LogTrader(ledger, "merchant8", makes_books=False).take_office()
    assert rival.term == 2
    assert ledger.perform(at(rival.state.place + 1, entry)) == EndLost()
    assert isinstance(ledger.perform(at(trader.state.place + 1, entry)), Taken)
    assert isinstance(ledger.perform(at(rival.state.place, office(2, "merchant5"))), Taken)
