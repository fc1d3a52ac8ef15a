"""Known mistakes, to be switched on in tests: does the checker find what it is there to find?

Each is a context manager that patches one function of the core, of the ledger, or of the simulated road to it. The
seeds named first are known to catch it; a test tries those, then others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from decimal import ROUND_DOWN
from typing import Any
from unittest.mock import patch

import msgspec

from db.memory import MemoryLedger
from peers.core import gossip, market, office
from peers.core.calls import Buy
from peers.core.clocks import LamportClock, VectorClock
from peers.core.commands import Answer, Tell
from peers.core.customer import Errand
from peers.core.docket import Docket
from peers.core.ledger import AlreadyRecorded, Commit, Done, LedgerAway, OfficeTaken, TakeOffice, Unknown
from peers.core.market import Stock
from peers.core.money import CENT
from peers.core.names import rank_of
from peers.core.office import Office
from peers.core.records import Post
from peers.simulator.books import Books

Plant = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A mistake by name, how to make it, and seeds that are known to catch it."""

    name: str
    plant: Plant
    seeds: tuple[int, ...] = ()


MISTAKES: list[Planted] = []


def mistake(*seeds: int) -> Callable[[Callable[[], Iterator[None]]], Plant]:
    """Notes a mistake under the name of its function."""

    def note(function: Callable[[], Iterator[None]]) -> Plant:
        plant = contextmanager(function)
        MISTAKES.append(Planted(name=function.__name__, plant=plant, seeds=seeds))
        return plant

    return note


def _unfenced(ledger: MemoryLedger, term: int, write: Callable[[], Any]) -> Any:
    """Writes as if `term` were that of the post."""
    post = ledger._post
    ledger._post = msgspec.structs.replace(post, term=term)
    try:
        return write()
    finally:
        ledger._post = msgspec.structs.replace(post, seq=ledger._post.seq)


@mistake(133, 334)
def no_fence() -> Iterator[None]:
    """A commit does not ask which term it is."""
    commit = MemoryLedger._commit

    def unfenced(self: MemoryLedger, operation: Commit) -> Any:
        return _unfenced(self, operation.term, lambda: commit(self, operation))

    with patch.object(MemoryLedger, "_commit", unfenced):
        yield


@mistake(899)
def fence_read_not_written() -> Iterator[None]:
    """A commit reads the term in its snapshot, and a raise meanwhile does not collide with it."""
    commit, schedule = MemoryLedger._commit, Books._schedule
    seen: dict[int, tuple[Any, Post]] = {}

    def begin(self: Books, process: Any, lane: int) -> None:
        operation = process.lanes[lane][0]
        seen.setdefault(id(operation), (operation, self.post()))
        schedule(self, process, lane)

    def unfenced(self: MemoryLedger, operation: Commit) -> Any:
        _, snapshot = seen.get(id(operation), (None, Post()))
        if (snapshot.term, snapshot.seq) != (operation.term, operation.seq):
            return commit(self, operation)
        return _unfenced(self, operation.term, lambda: commit(self, operation))

    with patch.object(Books, "_schedule", begin), patch.object(MemoryLedger, "_commit", unfenced):
        yield


@mistake(680, 762)
def queueing_not_fenced() -> Iterator[None]:
    """A deposed trader still writes to the queue, where the successor has looked already."""
    enqueue = MemoryLedger._enqueue

    def unfenced(self: MemoryLedger, operation: Any) -> Any:
        return _unfenced(self, operation.term, lambda: enqueue(self, operation))

    with patch.object(MemoryLedger, "_enqueue", unfenced):
        yield


@mistake(1)
def two_winners_in_one_term() -> Iterator[None]:
    """Taking office is no compare-and-set."""

    def take(self: MemoryLedger, operation: TakeOffice) -> OfficeTaken:
        self._post = Post(term=operation.expected_term + 1, trader=operation.trader, seq=self._post.seq)
        return OfficeTaken(
            post=self._post, arrival=self._arrival, queue=tuple(self._queue.values()), stock=self._in_stock()
        )

    with patch.object(MemoryLedger, "_take_office", take):
        yield


@mistake(1)
def new_id_at_each_retry() -> Iterator[None]:
    ask = Errand.ask

    def renamed(self: Errand) -> None:
        if isinstance(self.call, Buy) and self.tries:
            request = self.call.request
            again = msgspec.structs.replace(request, request_id=f"{request.request_id}.{self.tries}")
            self.call = Buy(request=again)
        ask(self)

    with patch.object(Errand, "ask", renamed):
        yield


@mistake(1)
def deposit_not_idempotent() -> Iterator[None]:
    """The trader numbers the deposits itself, so asking again deposits again."""
    on_deposit = Office._on_deposit

    def renamed(self: Office, call_id: int, offer: Any) -> None:
        on_deposit(self, call_id, msgspec.structs.replace(offer, deposit_id=f"{offer.deposit_id}.{call_id}"))

    with patch.object(Office, "_on_deposit", renamed):
        yield


@mistake(3, 11)
def unknown_taken_as_failed() -> Iterator[None]:
    on_commit = Office._on_commit

    def hasty(self: Office, commit: Commit, result: Any) -> None:
        on_commit(self, commit, LedgerAway(why="surely") if isinstance(result, Unknown) else result)

    with patch.object(Office, "_on_commit", hasty):
        yield


@mistake(1, 3)
def unknown_taken_as_done() -> Iterator[None]:
    on_commit = Office._on_commit

    def hasty(self: Office, commit: Commit, result: Any) -> None:
        on_commit(self, commit, Done() if isinstance(result, Unknown) else result)

    with patch.object(Office, "_on_commit", hasty):
        yield


@mistake(1)
def refusal_taken_as_failed() -> Iterator[None]:
    """What is recorded already is tried again for ever, instead of looked up."""
    on_commit = Office._on_commit

    def hasty(self: Office, commit: Commit, result: Any) -> None:
        on_commit(self, commit, LedgerAway(why="again") if isinstance(result, AlreadyRecorded) else result)

    with patch.object(Office, "_on_commit", hasty):
        yield


@mistake(1)
def answer_before_commit() -> Iterator[None]:
    commit_batch = Office._commit_batch

    def hasty(self: Office) -> None:
        commit_batch(self)
        for ruling in self._rulings:
            entry = self._docket._entries[ruling.outcome.request.request_id]
            for call_id in entry.callers:
                self._ctx.emit(Answer(call_id=call_id, reply=ruling.outcome))
            entry.callers = []

    with patch.object(Office, "_commit_batch", hasty):
        yield


@mistake(1)
def seller_told_before_commit() -> Iterator[None]:
    commit_batch = Office._commit_batch

    def hasty(self: Office) -> None:
        commit_batch(self)
        for ruling in self._rulings:
            sale = ruling.outcome.sale
            seller = self._ctx.members.get(rank_of(sale.seller)) if sale is not None else None
            if seller is not None:
                self._ctx.emit(Tell(seller=seller, sales=(ruling.outcome,)))

    with patch.object(Office, "_commit_batch", hasty):
        yield


@mistake(1, 6)
def tie_broken_by_arrival() -> Iterator[None]:
    """First come, first served, whatever the clocks say."""

    def in_order(self: Docket) -> Any:
        return sorted((e.accepted for e in self._entries.values()), key=lambda accepted: accepted.arrival)

    with patch.object(Docket, "in_order", in_order):
        yield


@mistake(6)
def successor_forgets_the_queue() -> Iterator[None]:
    begin = Office.__init__

    def forgetful(self: Office, ctx: Any, taken: OfficeTaken) -> None:
        begin(self, ctx, msgspec.structs.replace(taken, queue=()))

    with patch.object(Office, "__init__", forgetful):
        yield


@mistake(1)
def successor_counts_from_one() -> Iterator[None]:
    begin = Office.__init__

    def forgetful(self: Office, ctx: Any, taken: OfficeTaken) -> None:
        begin(self, ctx, msgspec.structs.replace(taken, post=msgspec.structs.replace(taken.post, seq=0)))

    with patch.object(Office, "__init__", forgetful):
        yield


@mistake(1)
def clock_not_merged() -> Iterator[None]:
    def deaf(*_: Any) -> bool:
        return False

    with patch.object(LamportClock, "merge", deaf), patch.object(VectorClock, "merge", deaf):
        yield


@mistake(3, 6)
def sells_more_than_there_is() -> Iterator[None]:
    """The trader looks only whether there is something; the ledger does not look at all."""
    commit, find = MemoryLedger._commit, Stock.find

    def careless(self: MemoryLedger, operation: Commit) -> Any:
        held = dict(self._remaining)
        for deposit_id in held:
            self._remaining[deposit_id] += 1000
        done = commit(self, operation)
        for deposit_id in held:
            self._remaining[deposit_id] -= 1000
        return done

    def find_any(self: Stock, item: str, _: int, excluded: frozenset[str]) -> Any:
        return find(self, item, 1, excluded)

    with (
        patch.object(MemoryLedger, "_commit", careless),
        patch.object(Stock, "find", find_any),
        patch.object(Stock, "take", _take_what_is_there),
    ):
        yield


def _take_what_is_there(self: Stock, deposit: Any, quantity: int) -> None:
    deposit_id = deposit.offer.deposit_id
    self._left[deposit_id] = max(0, self._left[deposit_id] - quantity)
    if self._left[deposit_id] == 0:
        self.remove(deposit_id)


@mistake(2)
def buys_from_itself() -> Iterator[None]:
    find = Stock.find

    def find_any(self: Stock, item: str, quantity: int, excluded: frozenset[str]) -> Any:
        del excluded
        return find(self, item, quantity, frozenset())

    with patch.object(Stock, "find", find_any):
        yield


@mistake(2, 3)
def buyer_in_office_buys() -> Iterator[None]:
    """What a peer asked for before it took office is sold to it in office."""
    decide = market.decide

    def partial(accepted: Any, stock: Any, *, trader: str, **others: Any) -> Any:
        ruling = decide(accepted, stock, trader="nobody", **others)
        outcome = msgspec.structs.replace(ruling.outcome, trader=trader)
        return msgspec.structs.replace(ruling, outcome=outcome)

    with patch.object(office, "decide", partial):
        yield


@mistake(1)
def commission_rounded_down() -> Iterator[None]:
    def split(amount: Any, commission_rate: Any) -> Any:
        commission = (amount * commission_rate).quantize(CENT, rounding=ROUND_DOWN)
        return commission, amount - commission

    with patch.object(market, "split", split):
        yield


@mistake(8, 10)
def stock_not_given_back() -> Iterator[None]:
    """After a commit that did not happen."""

    def keep(self: Stock, deposit: Any, quantity: int) -> None:
        del self, deposit, quantity

    with patch.object(Stock, "give_back", keep):
        yield


@mistake(3)
def highest_seller_sells() -> Iterator[None]:
    def find(self: Stock, item: str, quantity: int, excluded: frozenset[str]) -> Any:
        for _, deposit_id in reversed(self._by_item.get(item, [])):
            deposit = self._deposits[deposit_id]
            if self._left[deposit_id] >= quantity and deposit.offer.seller not in excluded:
                return deposit
        return None

    with patch.object(Stock, "find", find):
        yield


@mistake(2)
def graph_not_healed() -> Iterator[None]:
    def crippled(edges: Any, up: Any) -> Any:
        ranks = set(up)
        kept = [(a, b) for a, b in edges if a in ranks and b in ranks]
        return {rank: tuple(sorted({a + b - rank for a, b in kept if rank in (a, b)})) for rank in sorted(ranks)}

    with patch.object(gossip, "live_graph", crippled):
        yield


@mistake(5, 6)
def nobody_knocks() -> Iterator[None]:
    def stay(self: gossip.Gossip) -> None:
        del self

    with patch.object(gossip.Gossip, "_knock", stay):
        yield


@mistake(1, 22)
def gives_up_after_one_try() -> Iterator[None]:
    """A customer that hears nothing does not ask again."""
    on_reply = Errand.on_reply

    def impatient(self: Errand, reply: Any) -> Any:
        ended = on_reply(self, reply)
        if ended is None and self.call is not None:
            self._ctx.cancel_timer(self._timer)
        return ended

    with patch.object(Errand, "on_reply", impatient):
        yield
