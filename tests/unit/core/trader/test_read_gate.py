"""What a trader answers to those who only read: never what is older than the bound, nor than what they were told."""

from __future__ import annotations

import pytest

from peers.core.calls import AskOutcome, AsOf, OnOffer, Search
from peers.core.leadership.reasons import VacancyReason
from peers.core.ledger.port import Append, FindEnd, LookUp, ReadOn
from peers.core.market.records import Outcome
from peers.core.settings import LedgerSettings
from peers.errors import NotTrader, PostClosed
from tests.unit.core.trader.desk import TRADER, Caller, Desk
from tests.unit.core.words import offers, rules, wants

FISH = offers("d1")
BOUND_S = 0.5  # As the settings have it.
LATER_S = 2 * BOUND_S


def searches(desk: Desk, since: AsOf | None = None) -> Caller:
    return desk._call(Search(since=since))


def shown(caller: Caller) -> OnOffer:
    assert isinstance(caller.answer, OnOffer), caller.answer
    return caller.answer


def test_within_the_bound_nothing_is_asked_of_the_ledger() -> None:
    desk = Desk(goods=[FISH])
    desk.time_passes(BOUND_S)
    assert shown(searches(desk)).as_of == AsOf(term=2, seq=0, place=2)
    assert desk.is_idle


def test_under_trade_an_entry_of_its_own_counts_from_when_it_was_sent() -> None:
    desk = Desk(goods=[FISH])
    desk.time_passes(LATER_S)
    desk.buy(wants("r1"))
    desk.time_passes(BOUND_S)
    desk.ledger_does()
    assert shown(searches(desk)).as_of == AsOf(term=2, seq=1, place=3)
    desk.time_passes(0.01)
    assert searches(desk).waits
    assert desk.the(FindEnd)


def test_an_entry_that_is_tried_again_counts_from_the_first_time() -> None:
    desk = Desk(goods=[FISH])
    desk.buy(wants("r1"))
    desk.answer_is_lost(happened=True)
    desk.another_takes_office()  # Behind the entry in doubt, whose writer does not know that it stands.
    desk.time_passes(LATER_S)
    desk.retries()
    desk.ledger_does()
    assert searches(desk).waits
    desk.ledger_does(FindEnd)
    desk.ledger_does(ReadOn)
    ended = desk.ended()
    assert ended is not None
    assert ended.reason is VacancyReason.DEPOSED


def test_after_a_pause_one_look_serves_all_who_wait() -> None:
    desk = Desk(goods=[FISH])
    desk.time_passes(LATER_S)
    first, second = searches(desk), searches(desk)
    desk.ledger_does(FindEnd)
    assert shown(first) == shown(second)
    assert desk.is_idle
    assert not searches(desk).waits


def test_a_deposed_trader_finds_out_before_it_shows_anything() -> None:
    desk = Desk(goods=[FISH])
    desk.another_takes_office()
    desk.time_passes(LATER_S)
    caller = searches(desk)
    desk.ledger_does(FindEnd)
    desk.ledger_does(ReadOn)
    ended = desk.ended()
    assert ended is not None
    assert (ended.reason, ended.post and ended.post.trader) == (VacancyReason.DEPOSED, "seller2")
    desk.closes(trader="seller2", term=3)
    assert isinstance(caller.answer, NotTrader)


def test_its_own_entry_under_way_is_no_rivals() -> None:
    desk = Desk(goods=[FISH])
    desk.time_passes(LATER_S)
    desk.buy(wants("r1", quantity=4))
    written = desk.the(Append)
    result = desk.ledger.perform(written)
    caller = searches(desk)
    desk.ledger_does(FindEnd)  # It sees the entry whose answer has not come.
    assert caller.waits
    desk.answers(written, result)
    assert [each.remaining for each in shown(caller).deposits] == [6]


@pytest.mark.parametrize("reading", [Search(), AskOutcome(request_id="r1")])
def test_without_the_ledger_nobody_is_told_anything_old(reading: Search | AskOutcome) -> None:
    desk = Desk(goods=[FISH])
    desk.time_passes(LATER_S)
    caller = desk._call(reading)
    desk.ledger_is_away(FindEnd)
    assert isinstance(caller.answer, PostClosed)
    assert "cannot be reached" in str(caller.answer)


def test_without_a_bound_each_search_looks() -> None:
    desk = Desk(
        goods=[FISH],
        settings=rules(resign_after_sales=0).model_copy(update={"ledger": LedgerSettings(max_staleness_s=0)}),
    )
    desk.time_passes(0.001)
    caller = searches(desk)
    assert caller.waits
    desk.ledger_does(FindEnd)
    assert shown(caller).deposits


def test_a_caller_that_was_told_more_gets_no_less() -> None:
    desk = Desk(goods=[FISH])
    told = shown(searches(desk)).as_of
    assert not searches(desk, told).waits
    assert not searches(desk, AsOf(term=1, seq=7, place=9)).waits  # Of an earlier term everything told is there.
    for more in (AsOf(term=3), AsOf(term=2, seq=1), AsOf(term=2, place=3)):
        desk.time_passes(0.001)
        caller = searches(desk, more)
        desk.ledger_does(FindEnd)
        assert isinstance(caller.answer, PostClosed)
        assert "as far as you were told" in str(caller.answer)
    assert desk.ended() is None  # What a caller says deposes nobody.


def test_an_outcome_is_as_of_a_moment_after_the_question() -> None:
    desk = Desk(goods=[FISH])
    desk.time_passes(0.001)
    unknown = desk.outcome_of("r1")
    desk.ledger_does(FindEnd)
    buyer = desk.buy(wants("r1"))
    assert desk.the(LookUp)  # That began before the purchase came, and its answer is still right.
    desk.ledger_does(LookUp)
    assert unknown.answer is None
    desk.ledger_does()
    desk.time_passes(0.001)
    known = desk.outcome_of("r1")
    desk.ledger_does(FindEnd)
    assert isinstance(known.answer, Outcome)
    assert known.answer == buyer.outcome


def test_what_is_bought_again_after_a_failover_is_not_undecided_meanwhile() -> None:
    before = Desk(goods=[FISH])
    bought = before.buy(wants("r1"))
    before.ledger_does()
    desk = Desk(ledger=before.ledger)  # Of whom took over: it has not read what was decided before.
    again = desk.buy(wants("r1"))  # Its buyer did not hear the answer.
    desk.time_passes(0.001)
    known = desk.outcome_of("r1")
    desk.ledger_does(FindEnd)
    desk.ledger_does(LookUp)
    assert isinstance(known.answer, Outcome)
    assert known.answer == bought.outcome
    desk.ledger_does(Append)
    assert again.answer == bought.outcome


def test_who_asks_while_it_is_looked_up_is_told_no_less_than_was_read_by_then() -> None:
    desk = Desk(goods=[FISH])
    desk.time_passes(0.001)
    first = desk.outcome_of("old")
    desk.ledger_does(FindEnd)
    early = desk.the(LookUp)
    found = desk.ledger.perform(early)
    desk.buy(wants("r1"))
    desk.ledger_does()
    second = desk.outcome_of("old")
    desk.answers(early, found)
    assert first.answer is None
    assert second.waits
    desk.ledger_does(LookUp)
    assert second.answer is None


def test_what_the_trader_itself_has_deposited_is_not_listed() -> None:
    desk = Desk(goods=[FISH, offers("mine", seller=TRADER)])
    assert set(desk.stock()) == {"d1"}
