"""A trader in office whose ledger does only what the test says, when the test says it.

The books behind it are real (the ledger in memory), so that what the trader believes can be held against them.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from random import Random
from typing import TypeVar

from db.memory import MemoryLedger
from peers.core.calls import AskOutcome, Buy, Call, Failure, MakeDeposit, Reply, Resign, Search, Standing
from peers.core.commands import Answer, Perform, Say, SetTimer, Tell
from peers.core.context import Context
from peers.core.inputs import Now
from peers.core.ledger import (
    Commit,
    Done,
    Enqueue,
    Found,
    LedgerAway,
    LookUp,
    OfficeTaken,
    Operation,
    Result,
    TakeOffice,
    Unknown,
)
from peers.core.membership import Membership
from peers.core.names import Role, rank_of
from peers.core.office import Ended, Office
from peers.core.records import Deposit, Offer, Outcome, Post, PurchaseRequest
from peers.core.reports import Report
from peers.settings import Settings
from tests.unit.core.words import T0_MS, accepted, peer, rules

NAMES = ("buyer0", "seller1", "seller2", "buyer3", "merchant9")
TRADER = "merchant9"

O = TypeVar("O", bound=Operation)  # noqa: E741


_CALL_IDS = count(1)  # never the same twice, whichever desk it is


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


class Desk:
    """The office of merchant9, who took it over with `queue` pending and `goods` deposited."""

    def __init__(
        self,
        *,
        queue: Iterable[PurchaseRequest] = (),
        goods: Iterable[Offer] = (),
        settings: Settings | None = None,
        ledger: MemoryLedger | None = None,
    ) -> None:
        self.ledger = ledger or books(queue=queue, goods=goods)
        self.ctx = Context(peer(9, "merchant"), settings or rules(resign_after_sales=0), Random(1))
        self.ctx.members = Membership([peer(rank_of(name), _role(name)) for name in NAMES], [])
        self.ctx.in_office = True
        self.ctx.now = Now(mono_s=0.0, wall_ms=T0_MS)
        taken = self.ledger.perform(TakeOffice(trader=TRADER, expected_term=post_of(self.ledger).term, now_ms=T0_MS))
        assert isinstance(taken, OfficeTaken)
        self.office = Office(self.ctx, taken)
        self.under_way: list[Operation] = []
        self.told: list[tuple[str, Outcome]] = []
        self.reports: list[Report] = []
        self.callers: dict[int, Caller] = {}
        self.retry_is_set = False
        self.queue_look_is_set = False
        self.gathers = False
        self.office.pump()
        self._take_commands()

    # -- what callers do -----------------------------------------------------------------------------------

    def _call(self, call: Call) -> Caller:
        caller = Caller(next(_CALL_IDS))
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
        assert isinstance(found, tuple)
        return found

    def standing(self, seller: str, after_seq: int = 0) -> Caller:
        return self._call(Standing(seller=seller, after_seq=after_seq))

    def resign(self) -> Caller:
        return self._call(Resign())

    def leaves(self, caller: Caller) -> None:
        self.office.on_caller_left(caller.call_id)
        self._take_commands()

    def is_told_to_leave(self, reason: str = "left") -> None:
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

    def ledger_does(self, kind: type[Operation]) -> Result:
        """The ledger carries the operation out, and its answer arrives."""
        operation = self.the(kind)
        result = self.ledger.perform(operation)
        self._reply(operation, result)
        return result

    def ledger_does_all(self) -> None:
        """Nothing goes wrong until nothing is left to do."""
        while self.under_way and self.office.ended is None:
            operation = self.under_way[0]
            self._reply(operation, self.ledger.perform(operation))

    def answer_is_lost(self, kind: type[Operation], *, happened: bool) -> None:
        """The operation happened, or it did not: its answer never arrives."""
        operation = self.the(kind)
        if happened:
            assert isinstance(self.ledger.perform(operation), Done)
        self._reply(operation, Unknown(why="the line went dead"))

    def ledger_is_away(self, kind: type[Operation]) -> None:
        self._reply(self.the(kind), LedgerAway(why="no primary"))

    def fate(self, operation: Operation, what: str) -> None:
        """What becomes of an operation: "done", answer "lost", "gone" before it got there, or ledger "away"."""
        result: Result = self.ledger.perform(operation) if what in ("done", "lost") else LedgerAway(why="no primary")
        self._reply(operation, Unknown(why="the line went dead") if what in ("lost", "gone") else result)

    def retries(self) -> None:
        """The time to try the ledger again has come."""
        assert self.retry_is_set
        self.retry_is_set = False
        self.office.on_ledger_timer()
        self._take_commands()

    def time_passes(self, seconds: float) -> None:
        """It is later; the trader is woken if it wanted to look what has waited for long."""
        now = self.ctx.now
        self.ctx.now = Now(mono_s=now.mono_s + seconds, wall_ms=now.wall_ms + round(seconds * 1000))
        if self.queue_look_is_set:
            self.queue_look_is_set = False
            self.office.on_queue_timer()
            self._take_commands()
        if self.gathers:
            self.gathers = False
            self.office.on_gather_timer()
            self._take_commands()

    def another_takes_office(self, trader: str = "seller2") -> None:
        expected = post_of(self.ledger).term
        assert isinstance(
            self.ledger.perform(TakeOffice(trader=trader, expected_term=expected, now_ms=T0_MS)), OfficeTaken
        )

    def _reply(self, operation: Operation, result: Result) -> None:
        self.under_way.remove(operation)
        self.office.on_ledger(operation, result)
        self._take_commands()

    # -- what the trader did -------------------------------------------------------------------------------

    def ended(self) -> Ended | None:
        """How the office ended, if it did."""
        return self.office.ended

    @property
    def is_idle(self) -> bool:
        return not self.under_way

    def stock(self) -> dict[str, int]:
        """What the trader believes to be on offer."""
        return {d.offer.deposit_id: d.remaining for d in self.search()}

    def _take_commands(self) -> None:
        for command in self.ctx.take_commands():
            if isinstance(command, Answer):
                self.callers[command.call_id].replies.append(command.reply)
            elif isinstance(command, Perform):
                self.under_way.append(command.operation)
            elif isinstance(command, Tell):
                self.told += [(command.seller.name, outcome) for outcome in command.sales]
            elif isinstance(command, Say):
                self.reports.append(command.report)
            elif isinstance(command, SetTimer) and command.timer == "ledger":
                self.retry_is_set = True
            elif isinstance(command, SetTimer) and command.timer == "queue":
                self.queue_look_is_set = True
            elif isinstance(command, SetTimer) and command.timer == "gather":
                self.gathers = True


def _role(name: str) -> Role:
    roles: tuple[Role, ...] = ("buyer", "seller", "merchant")
    return next(role for role in roles if name.startswith(role))


def books(*, queue: Iterable[PurchaseRequest] = (), goods: Iterable[Offer] = ()) -> MemoryLedger:
    """A ledger as a first trader, seller2, left it."""
    ledger = MemoryLedger()
    ledger.perform(TakeOffice(trader="seller2", expected_term=0, now_ms=T0_MS))
    deposits = tuple(Deposit(offer=offer, remaining=offer.quantity, deposited_at_ms=T0_MS, term=1) for offer in goods)
    assert isinstance(ledger.perform(Commit(term=1, seq=0, deposits=deposits, decisions=())), Done)
    entries = tuple(accepted(request, arrival=n) for n, request in enumerate(queue, 1))
    if entries:
        assert isinstance(ledger.perform(Enqueue(term=1, entries=entries)), Done)
    return ledger


def recorded(ledger: MemoryLedger, *request_ids: str) -> dict[str, Outcome]:
    """The outcomes in the books."""
    found = ledger.perform(LookUp(request_ids=request_ids))
    assert isinstance(found, Found)
    return {outcome.request.request_id: outcome for outcome in found.outcomes}


def post_of(ledger: MemoryLedger) -> Post:
    found = ledger.perform(LookUp())
    assert isinstance(found, Found)
    return found.post
