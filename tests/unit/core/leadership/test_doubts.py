"""Terms that the books do not have: forged by a member, or left over from before the books were restored."""

from __future__ import annotations

import pytest

from db.ledger.memory import MemoryLedger
from peers.core.bounds import MAX_TIME
from peers.core.inputs import Received
from peers.core.leadership.reasons import VacancyReason
from peers.core.ledger.log import OfficeEntry
from peers.core.ledger.port import Append, MakeBooks
from peers.core.ledger.post_state import PostState
from peers.core.messages import Coordinator, Heartbeat, LinkMessage, MemberNews, Vacancy
from peers.core.names import Role
from peers.core.reports import FalseTerm
from tests.unit.core.town import Town
from tests.unit.core.words import T0_MS, at, peer

ROLES: tuple[Role, ...] = ("buyer", "seller", "buyer", "seller", "merchant")
CRASHED = VacancyReason.CRASHED


def town_in_term(term: int) -> Town:
    """A town whose trader resigned until that term was reached."""
    town = Town(ROLES, seed=3)
    town.calm(3.0)
    while town.term() < term:
        town.resign(town.trader())
        town.calm(3.0)
    return town


def said_by(town: Town, liar: int, message: LinkMessage) -> None:
    """The liar says it to all its neighbours."""
    for rank in town.peers[liar].view.neighbours:
        town.happens(rank, Received(sender=liar, incarnation=1, message=message))


def restored(terms: int) -> MemoryLedger:
    """Books in which so many terms have been."""
    ledger, state = MemoryLedger(), PostState()
    for term in range(1, terms + 1):
        entry = OfficeEntry(entry_id=f"e{term}", term=term, trader="seller1", written_at_ms=T0_MS, reason="start")
        ledger.perform(Append(place=term - 1, entry=entry))
        made = state.take_in(entry)
        assert isinstance(made, MakeBooks)
        ledger.perform(made)
    return ledger


LIES: tuple[LinkMessage, ...] = (
    Vacancy(term=10**9, reason=CRASHED),
    Vacancy(term=MAX_TIME, reason=CRASHED, incarnation=MAX_TIME),
    Vacancy(term=3, reason=CRASHED),
    Coordinator(term=10**9, trader=0, incarnation=1),
    Coordinator(term=3, trader=0, incarnation=1),
    Coordinator(term=2, trader=0, incarnation=10**6),
    Heartbeat(clock=at(1), term=10**9, trader=None, incarnation=0, digest=0),
    Heartbeat(clock=at(MAX_TIME), term=2, trader=3, incarnation=1, digest=0),
    MemberNews(members=(peer(4, "merchant", incarnation=MAX_TIME, up=False),)),
    MemberNews(members=(peer(0, incarnation=MAX_TIME), peer(2, incarnation=MAX_TIME, up=False))),
)


@pytest.mark.parametrize("lie", LIES, ids=str)
def test_a_lie_about_a_term_or_a_record_that_nobody_could_deny_changes_nothing(lie: LinkMessage) -> None:
    town = town_in_term(2)
    trader = town.trader()
    liar = next(rank for rank in town.peers if rank != trader)
    for _ in range(3):
        said_by(town, liar, lie)
        town.calm(2.0)
    assert (town.trader(), town.term()) == (trader, 2)


@pytest.mark.parametrize("lie", LIES, ids=str)
def test_the_next_trader_is_elected_as_if_there_had_been_no_lie(lie: LinkMessage) -> None:
    town = town_in_term(2)
    trader = town.trader()
    liar = next(rank for rank in town.peers if rank != trader)
    said_by(town, liar, lie)
    town.kill(trader)
    said_by(town, liar, lie)
    town.calm(8.0)
    is_of_the_next = isinstance(lie, Vacancy | Coordinator) and lie.term == 3
    assert town.term() in ((3, 4) if is_of_the_next else (3,)), "only one of the very next may cost an election"
    town.check_one_trader_a_term()


def test_people_are_told_of_a_term_that_is_not_in_the_books() -> None:
    town = town_in_term(2)
    said_by(town, 0, Vacancy(term=10**9, reason=CRASHED))
    town.calm(1.0)
    told = [report for report in town.reports if isinstance(report, FalseTerm)]
    assert told
    assert "1000000000" in (told[0].sentence() or "")


def test_a_trader_that_hears_of_no_successor_asks_no_books() -> None:
    town = town_in_term(4)
    town.kill(town.trader())
    town.calm(5.0)
    assert town.term() == 5
    asked = sum(town.peers[rank].status().counters.get("asked_books", 0) for rank in town.alive())
    assert asked == 0, "failover cost a reading"


@pytest.mark.parametrize("terms", [0, 1, 3])
@pytest.mark.parametrize("dies", [True, False])
def test_books_restored_to_an_older_state_are_followed(terms: int, dies: bool) -> None:
    """The trader falls with the old books, or goes on until it hears of its successor."""
    town = town_in_term(5)
    town.ledger = restored(terms)
    trader = town.trader()
    if dies:
        town.kill(trader)
    else:
        town.resign(trader)
    town.calm(30.0)
    assert town.term() >= terms + 1
    assert town.ledger.post.term == town.term()
    assert any(isinstance(report, FalseTerm) for report in town.reports)
