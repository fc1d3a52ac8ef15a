"""A bid for the post of a trader that is only silent: it keeps that for a moment more, for it may be at work."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from db.ledger.memory import MemoryLedger
from peers.core.commands import SetTimer
from peers.core.context import Context
from peers.core.inputs import LedgerReplied, Now
from peers.core.leadership.incumbency import Incumbency
from peers.core.leadership.reasons import VacancyReason
from peers.core.leadership.state import LeadershipView
from peers.core.ledger.log import Entry
from peers.core.ledger.port import LedgerAway, Load, Reach, Result, Unknown
from peers.core.membership.gossip import Gossip
from peers.core.membership.members import Member
from peers.core.trader.taking_office import GLANCE
from tests.helpers.deals import accepted, stock
from tests.helpers.log_trader import LogTrader
from tests.unit.core.trader.candidate import SUSPECT_S, Candidate
from tests.unit.core.words import T0_MS, peer, rules

AWAY = LedgerAway(why="refused")
LOST = Unknown(why="timeout")
FISH = stock("d1", 9)


def elsewhere(member: Member, machine: str = "second") -> Member:
    return msgspec.structs.replace(member, nameserver=machine)


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
def predecessor(ledger: MemoryLedger) -> LogTrader:
    """In office for term 1, with goods in stock and a request that waits."""
    trader = LogTrader(ledger, "merchant8").take_office()
    trader.write(deposits=(FISH,), queued=(accepted(1),))
    return trader


def finds_written(candidate: Candidate, predecessor: LogTrader, number: int) -> None:
    """The trader writes while the candidate looks, whose own entry finds the place taken."""
    predecessor.write(queued=(accepted(number),))
    candidate.tries_again()
    candidate.writes()
    candidate.reads()


def last_entry(ledger: MemoryLedger) -> Entry | None:
    return ledger.entry_at(ledger.end)


@pytest.mark.parametrize("off_s", [0.0, 0.3, -86_400.0, 1e9])
def test_a_suspected_trader_that_goes_on_writing_stays_in_office_until_it_stops(
    ledger: MemoryLedger, predecessor: LogTrader, off_s: float
) -> None:
    """Whatever its clock on the wall says, or ours."""
    candidate = Candidate(ledger, reason=VacancyReason.SUSPECTED)
    last = last_entry(ledger)
    assert last is not None
    candidate.ctx.now = Now(mono_s=0.0, wall_ms=last.written_at_ms + round(off_s * 1000))
    candidate.reads()
    finds_written(candidate, predecessor, 2)
    assert candidate.is_cut_off
    predecessor.write(queued=(accepted(3),))
    candidate.tries_again()
    candidate.reads()
    candidate.tries_again()
    candidate.reads()
    candidate.writes()
    assert candidate.won.state.post.trader == "merchant9"
    assert list(candidate.won.state.queue) == ["r1", "r2", "r3"]


@pytest.mark.parametrize("off_s", [0.0, 0.3, -0.3, 86_400.0, -86_400.0])
@pytest.mark.usefixtures("predecessor")
def test_a_suspected_trader_that_writes_nothing_more_is_replaced_after_a_moment(
    ledger: MemoryLedger, off_s: float
) -> None:
    candidate = Candidate(ledger, reason=VacancyReason.SUSPECTED)
    last = last_entry(ledger)
    assert last is not None
    candidate.ctx.now = Now(mono_s=0.0, wall_ms=last.written_at_ms + round(off_s * 1000))
    candidate.reads()
    assert not candidate.bid.is_writing
    assert candidate.bid.is_for_silence, "it is dropped if the trader is heard"
    assert candidate.waits_s == SUSPECT_S * GLANCE
    candidate.tries_again()
    candidate.writes()
    assert candidate.won.state.post.trader == "merchant9"
    assert not candidate.is_cut_off


@pytest.mark.parametrize("result", [AWAY, LOST], ids=["away", "in doubt"])
def test_who_did_not_reach_the_books_listens_for_longer_before_it_deposes_a_silent_trader(
    ledger: MemoryLedger, predecessor: LogTrader, result: Result
) -> None:
    """For it may have been cut off from that one, too, as long as it was from the books."""
    candidate = Candidate(ledger, reason=VacancyReason.SUSPECTED)
    candidate.ctx.members.merge([elsewhere(peer(8, "merchant", up=False))])
    candidate.reads(result)
    candidate.tries_again()
    candidate.reads()
    assert candidate.waits_s == SUSPECT_S
    finds_written(candidate, predecessor, 2)
    assert candidate.is_cut_off


@pytest.mark.usefixtures("predecessor")
@pytest.mark.parametrize(
    "others",
    [
        [elsewhere(peer(8, "merchant", up=False)), elsewhere(peer(7), "third")],
        [peer(8, "merchant", up=False), peer(7)],
    ],
    ids=["a third machine", "the trader's own machine"],
)
def test_who_hears_others_was_not_cut_off_though_the_books_were_away(
    ledger: MemoryLedger, others: list[Member]
) -> None:
    """The trader's machine may have gone with the primary of the books on it: nobody is to wait for longer then."""
    candidate = Candidate(ledger, reason=VacancyReason.SUSPECTED)
    candidate.ctx.members.merge(others)
    candidate.reads(AWAY)
    candidate.tries_again()
    candidate.reads()
    assert candidate.waits_s == SUSPECT_S * GLANCE


def test_after_the_books_were_away_for_all_it_looks_anew_whether_the_trader_writes(
    ledger: MemoryLedger, predecessor: LogTrader
) -> None:
    """That it wrote nothing meanwhile says nothing."""
    candidate = Candidate(ledger, reason=VacancyReason.SUSPECTED)
    candidate.reads()
    finds_written(candidate, predecessor, 2)
    candidate.is_cut_off = False
    candidate.tries_again()
    candidate.reads(AWAY)
    candidate.tries_again()
    candidate.reads()
    assert isinstance(candidate.asked[-1], Load), "it has not bid yet"
    finds_written(candidate, predecessor, 3)
    assert candidate.ended is None


def test_bids_without_end_are_counted_to_an_end(ledger: MemoryLedger) -> None:
    """A liar may have it bid again and again."""
    ctx = Context(peer(9, "merchant"), rules(), Random(1))
    incumbency = Incumbency(ctx, Gossip(ctx))
    for _ in range(2000):
        incumbency.bid(1, VacancyReason.SUSPECTED)
        incumbency.drop_bid()
        ctx.take_commands()
    incumbency.bid(1, VacancyReason.SUSPECTED)
    LogTrader(ledger, "merchant8").take_office()
    incumbency.on_ledger(LedgerReplied(operation=Load(), result=ledger.perform(Load())))
    (timer,) = [command for command in ctx.take_commands() if isinstance(command, SetTimer)]
    assert timer.after_s == SUSPECT_S


def shows_itself(candidate: Candidate, incarnation: int) -> None:
    """The silent trader, taken for gone in its first incarnation, is up in the candidate's map."""
    gone = LeadershipView(term=1, trader=8, incarnation=1)
    candidate.ctx.leadership.find_vacant(gone)
    candidate.ctx.members.merge([peer(8, "merchant", incarnation=incarnation)])


def test_a_silent_trader_that_has_shown_itself_is_given_time_to_say_that_it_is_at_work(
    ledger: MemoryLedger, predecessor: LogTrader
) -> None:
    candidate = Candidate(ledger, reason=VacancyReason.SUSPECTED)
    candidate.reads()
    shows_itself(candidate, incarnation=2)
    candidate.tries_again()
    assert candidate.bid.is_for_silence, "it is dropped once the trader is known to be at work"
    assert candidate.waits_s == pytest.approx(SUSPECT_S * (1 - GLANCE))
    finds_written(candidate, predecessor, 2)
    assert candidate.is_cut_off


@pytest.mark.usefixtures("predecessor")
def test_a_trader_that_came_back_and_is_not_at_work_is_waited_for_once(ledger: MemoryLedger) -> None:
    candidate = Candidate(ledger, reason=VacancyReason.SUSPECTED)
    candidate.reads()
    shows_itself(candidate, incarnation=2)
    candidate.tries_again()
    candidate.tries_again()
    candidate.writes()
    assert candidate.won.state.post.trader == "merchant9"


@pytest.mark.usefixtures("predecessor")
def test_a_trader_in_the_incarnation_that_was_taken_for_gone_has_not_shown_itself(ledger: MemoryLedger) -> None:
    """It may have left office only: that spreads faster than why."""
    candidate = Candidate(ledger, reason=VacancyReason.SUSPECTED)
    candidate.reads()
    shows_itself(candidate, incarnation=1)
    candidate.tries_again()
    candidate.writes()
    assert candidate.won.state.post.trader == "merchant9"


@pytest.mark.parametrize("ago", [0.5, 1.5])
@pytest.mark.usefixtures("predecessor")
def test_who_did_not_reach_the_books_just_before_it_bids_listens_for_longer(ledger: MemoryLedger, ago: float) -> None:
    ctx = Context(peer(9, "merchant"), rules(), Random(1))
    ctx.members.merge([elsewhere(peer(8, "merchant", up=False))])
    incumbency = Incumbency(ctx, Gossip(ctx))
    incumbency.on_ledger(LedgerReplied(operation=Reach(), result=AWAY))
    ctx.now = Now(mono_s=ago * SUSPECT_S, wall_ms=T0_MS)
    incumbency.bid(1, VacancyReason.SUSPECTED)
    incumbency.on_ledger(LedgerReplied(operation=Load(), result=ledger.perform(Load())))
    (timer,) = [command for command in ctx.take_commands() if isinstance(command, SetTimer)]
    assert timer.after_s == (SUSPECT_S if ago < 1 else SUSPECT_S * GLANCE)
