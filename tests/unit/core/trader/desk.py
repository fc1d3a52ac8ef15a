"""A trader in office whose ledger does only what the test says, when the test says it.

The ledger behind it is real (the one in memory), so that what the trader believes can be held against it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from random import Random
from typing import TypeVar

from db.ledger.memory import MemoryLedger
from peers.core.calls import AskOutcome, Buy, Call, Failure, MakeDeposit, OnOffer, Reply, Resign, Search, Standing
from peers.core.commands import NotifySales, Perform, Publish, Respond, SetTimer
from peers.core.context import Context
from peers.core.inputs import Now, TimerName
from peers.core.leadership.reasons import VacancyReason
from peers.core.leadership.state import LeadershipMachine, LeadershipView
from peers.core.ledger.log import Entry, OfficeEntry, TradeEntry
from peers.core.ledger.port import (
    Append,
    Appended,
    Found,
    LedgerAway,
    Load,
    Loaded,
    LookUp,
    MakeBooks,
    Operation,
    Result,
    Unknown,
)
from peers.core.ledger.post_state import PostState, state_of
from peers.core.market.records import Deposit, Offer, Outcome, Post, PurchaseRequest
from peers.core.membership.members import Member, Membership
from peers.core.names import Role, rank_of
from peers.core.reports import Report
from peers.core.settings import Settings
from peers.core.trader.term import Ended, TraderTerm
from tests.unit.core.words import T0_MS, accepted, deposited, peer, rules

NAMES = ("buyer0", "seller1", "seller2", "buyer3", "merchant9")
TRADER = "merchant9"

O = TypeVar("O", bound=Operation)  # noqa: E741

_NUMBERS = count(1)  # A number is never given twice, whichever desk draws it.


class Caller:
    """Somebody who asked something of the trader, and what it was answered."""

    def __init__(self, call_id: int) -> None:
        self.call_id = call_id
        self.replies: list[Reply | Failure] = []

    @property
    def waits(self) -> bool:
        return not self.replies

    @property
    def answer(self) -> Reply | Failure:
        """The one answer it got."""
        assert len(self.replies) == 1, f"answered {len(self.replies)} times: {self.replies}"
        return self.replies[0]

    @property
    def outcome(self) -> Outcome:
        assert isinstance(self.answer, Outcome), self.answer
        return self.answer


def takes_the_post(machine: LeadershipMachine, me: Member, term: int = 1) -> None:
    """The way of a candidate into office."""
    machine.find_vacant(LeadershipView(term=term - 1))
    machine.stand()
    machine.take_office(
        LeadershipView(term=term, trader=me.rank, incarnation=me.incarnation, vacant=False, reason=None)
    )


class Desk:
    """The term of merchant9, who took office with `queue` pending and `goods` deposited."""

    def __init__(
        self,
        *,
        queue: Iterable[PurchaseRequest] = (),
        goods: Iterable[Offer] = (),
        settings: Settings | None = None,
        ledger: MemoryLedger | None = None,
        makes_books: bool = True,
    ) -> None:
        self._makes_books = makes_books
        self.ledger = ledger or books(queue=queue, goods=goods)
        me = peer(9, "merchant", incarnation=next(_NUMBERS))  # No two desks write entries of the same id.
        self.ctx = Context(me, settings or rules(resign_after_sales=0), Random(1))
        self.ctx.members = Membership([me, *(peer(rank_of(name), _role(name)) for name in NAMES[:-1])], [])
        takes_the_post(self.ctx.leadership, me)
        self.ctx.now = Now(mono_s=0.0, wall_ms=T0_MS)
        self.office = TraderTerm(self.ctx, takes_office(self.ledger, TRADER), certain_s=0.0)
        self.under_way: list[Operation] = []
        self.told: list[tuple[str, Outcome]] = []
        self.reports: list[Report] = []
        self.callers: dict[int, Caller] = {}
        self._timers: set[TimerName] = set()
        self.office.pump()
        self._take_commands()

    # -- what callers do -----------------------------------------------------------------------------------

    def _call(self, call: Call) -> Caller:
        caller = Caller(next(_NUMBERS))
        self.callers[caller.call_id] = caller
        self.office.on_call(caller.call_id, call)
        self._take_commands()
        return caller

    def buy(self, request: PurchaseRequest) -> Caller:
        return self._call(Buy(request=request))

    def deposit(self, offer: Offer) -> Caller:
        return self._call(MakeDeposit(offer=offer))

    def outcome_of(self, request_id: str) -> Caller:
        return self._call(AskOutcome(request_id=request_id))

    def search(self, item: str | None = None) -> tuple[Deposit, ...]:
        found = self._call(Search(item=item)).answer
        assert isinstance(found, OnOffer)
        return found.deposits

    def standing(self, seller: str, after_seq: int = 0) -> Caller:
        return self._call(Standing(seller=seller, after_seq=after_seq))

    def resign(self) -> Caller:
        return self._call(Resign())

    def leaves(self, caller: Caller) -> None:
        self.office.on_caller_left(caller.call_id)
        self._take_commands()

    def is_told_to_leave(self, reason: VacancyReason = VacancyReason.LEFT) -> None:
        self.office.leave(reason)
        self._take_commands()

    def closes(self, *, trader: str | None = None, term: int = 2) -> None:
        self.office.close(trader=trader, term=term)
        self._take_commands()

    # -- what the ledger does ------------------------------------------------------------------------------

    def the(self, kind: type[O]) -> O:
        """The one operation of this kind that is under way."""
        found = [operation for operation in self.under_way if isinstance(operation, kind)]
        assert len(found) == 1, f"{len(found)} of {kind.__name__} under way in {self.under_way}"
        return found[0]

    @property
    def entry(self) -> TradeEntry:
        """The entry under way."""
        entry = self.the(Append).entry
        assert isinstance(entry, TradeEntry)
        return entry

    def ledger_does(self, kind: type[Operation] = Append) -> Result:
        """The ledger carries the operation out, and its answer arrives."""
        operation = self.the(kind)
        result = self.ledger.perform(operation)
        self.answers(operation, result)
        return result

    def ledger_does_all(self) -> None:
        """Nothing goes wrong until nothing is left to do."""
        while self.under_way and self.office.ended is None:
            operation = self.under_way[0]
            self.answers(operation, self.ledger.perform(operation))

    def answer_is_lost(self, kind: type[Operation] = Append, *, happened: bool) -> None:
        """The operation happened, or it did not: its answer never arrives."""
        operation = self.the(kind)
        if happened:
            self.ledger.perform(operation)
        self.answers(operation, Unknown(why="the line went dead"))

    def repeats(self, after_s: float) -> None:
        """It is time to give what has had no answer for so long to another thread."""
        self.office.repeat(after_s)
        self._take_commands()

    def answer_is_lost_of_all(self) -> None:
        """One thread brings no more than that nothing is known, of the entry that several were given."""
        self.answers(self.under_way[0], Unknown(why="the line went dead"))

    def ledger_is_away(self, kind: type[Operation] = Append) -> None:
        self.answers(self.the(kind), LedgerAway(why="no primary"))

    def fate(self, operation: Operation, what: str) -> None:
        """What becomes of an operation: "done", answer "lost", "gone" before it got there, or ledger "away"."""
        result: Result = self.ledger.perform(operation) if what in ("done", "lost") else LedgerAway(why="no primary")
        self.answers(operation, Unknown(why="the line went dead") if what in ("lost", "gone") else result)

    def answers(self, operation: Operation, result: Result) -> None:
        """This is what the ledger says to the operation."""
        if operation in self.under_way:
            self.under_way.remove(operation)
        self.office.on_ledger(operation, result)
        self._take_commands()

    @property
    def will_retry(self) -> bool:
        return "ledger" in self._timers

    def retries(self) -> None:
        """The time to try the ledger again has come."""
        self._timers.remove("ledger")
        self.office.on_ledger_timer()
        self._take_commands()

    def time_passes(self, seconds: float) -> None:
        """It is later, and whoever was waited for has come, or will not come."""
        now = self.ctx.now
        self.ctx.now = Now(mono_s=now.mono_s + seconds, wall_ms=now.wall_ms + round(seconds * 1000))
        if "gather" in self._timers:
            self._timers.remove("gather")
            self.office.on_gather_timer()
            self._take_commands()

    def another_takes_office(self, trader: str = "seller2") -> None:
        takes_office(self.ledger, trader)

    # -- what the trader did -------------------------------------------------------------------------------

    def ended(self) -> Ended | None:
        """How the term ended, if it did."""
        return self.office.ended

    @property
    def is_idle(self) -> bool:
        return not self.under_way

    def stock(self) -> dict[str, int]:
        """What the trader shows to be on offer."""
        return {d.offer.deposit_id: d.remaining for d in self.search()}

    def _take_commands(self) -> None:
        for command in self.ctx.take_commands():
            if isinstance(command, Respond):
                self.callers[command.call_id].replies.append(command.reply)
            elif isinstance(command, Perform) and isinstance(command.operation, MakeBooks):
                if self._makes_books:  # Otherwise it does not get round to it; nothing is heard of it either way.
                    self.ledger.perform(command.operation)
            elif isinstance(command, Perform):
                self.under_way.append(command.operation)
            elif isinstance(command, NotifySales):
                self.told += [(command.customer.name, outcome) for outcome in command.sales]
            elif isinstance(command, Publish):
                self.reports.append(command.report)
            elif isinstance(command, SetTimer):
                self._timers.add(command.timer)


def _role(name: str) -> Role:
    roles: tuple[Role, ...] = ("buyer", "seller", "merchant")
    return next(role for role in roles if name.startswith(role))


def asked_for(entry: TradeEntry) -> list[str]:
    """The requests an entry decides, in order."""
    return [outcome.request.request_id for outcome in entry.outcomes]


def queued_in(entry: TradeEntry) -> list[str]:
    """The requests an entry puts into the queue, in order."""
    return [accepted.request.request_id for accepted in entry.queued]


def append(ledger: MemoryLedger, entry: Entry) -> Result:
    """Writes an entry at the end of the log."""
    return ledger.perform(Append(place=ledger.end + 1, entry=entry))


def takes_office(ledger: MemoryLedger, trader: str) -> PostState:
    """Puts `trader` in office, whoever is in; returns the state it begins with. The books are made."""
    loaded = ledger.perform(Load())
    assert isinstance(loaded, Loaded)
    state, to_make = state_of(loaded)
    entry = OfficeEntry(
        entry_id=f"bid.{next(_NUMBERS)}",
        term=state.post.term + 1,
        trader=trader,
        written_at_ms=T0_MS,
        reason="crashed",
    )
    assert isinstance(append(ledger, entry), Appended)
    for changes in (*to_make, state.take_in(entry)):
        ledger.perform(changes)
    return state


def books(*, queue: Iterable[PurchaseRequest] = (), goods: Iterable[Offer] = ()) -> MemoryLedger:
    """A ledger as a first trader, seller2, left it."""
    ledger = MemoryLedger()
    state = takes_office(ledger, "seller2")
    queued = tuple(accepted(request, arrival=number) for number, request in enumerate(queue, 1))
    entry = TradeEntry(
        entry_id=f"begin.{next(_NUMBERS)}",
        term=1,
        trader="seller2",
        written_at_ms=T0_MS,
        deposits=tuple(deposited(offer) for offer in goods),
        queued=queued,
        new_requests=tuple(each.request.request_id for each in queued),
    )
    assert isinstance(append(ledger, entry), Appended)
    ledger.perform(state.take_in(entry))
    return ledger


def recorded(ledger: MemoryLedger, *request_ids: str) -> dict[str, Outcome]:
    """The outcomes in the log."""
    found = ledger.perform(LookUp(request_ids=request_ids))
    assert isinstance(found, Found)
    return {outcome.request.request_id: outcome for outcome in found.outcomes}


def post_of(ledger: MemoryLedger) -> Post:
    """The post as the log leaves it."""
    return ledger.post
