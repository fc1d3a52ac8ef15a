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

from db.ledger.memory import MemoryLedger
from peers.core import journal
from peers.core.calls import Buy
from peers.core.commands import NotifySales, Respond
from peers.core.customers.retrying_call import RetryingCall
from peers.core.ledger.log import NOWHERE, OfficeEntry, TradeEntry
from peers.core.ledger.port import AlreadyRecorded, Append, Appended, LedgerAway, Loaded, MakeBooks, Taken, Unknown
from peers.core.ledger.post_state import PostState, state_of
from peers.core.market import rules
from peers.core.market.money import CENT
from peers.core.market.records import Outcome
from peers.core.market.stock import Draft, Stock
from peers.core.membership import gossip
from peers.core.membership.clocks import LamportClock, VectorClock
from peers.core.names import rank_of
from peers.core.reports import Rejected
from peers.core.trader import drafting, taking_office
from peers.core.trader.committer import Committer
from peers.core.trader.drafting import EntryDrafter
from peers.core.trader.pending import PendingRequests
from peers.core.trader.taking_office import TakingOffice
from peers.core.trader.term import TraderTerm
from peers.simulator.environment.ledger_road import LedgerRoad

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


@mistake(4, 5)
def place_not_checked() -> Iterator[None]:
    """Who tries a place that is taken gets the next one."""
    append = MemoryLedger._append

    def unchecked(self: MemoryLedger, operation: Append) -> Any:
        standing = self.entry_at(operation.place)
        if standing is None or standing.entry_id == operation.entry.entry_id:
            return append(self, operation)
        return append(self, msgspec.structs.replace(operation, place=self.end + 1))

    with patch.object(MemoryLedger, "_append", unchecked):
        yield


@mistake(1, 4)
def ids_not_checked() -> Iterator[None]:
    """An id may come into the log a second time."""
    append = MemoryLedger._append

    def unchecked(self: MemoryLedger, operation: Append) -> Any:
        known, deposits = self._known, self._deposits_in
        self._known, self._deposits_in = {}, {}
        try:
            return append(self, operation)
        finally:
            self._known, self._deposits_in = known | self._known, deposits | self._deposits_in

    with patch.object(MemoryLedger, "_append", unchecked):
        yield


@mistake(1, 3)
def retry_at_the_next_place() -> Iterator[None]:
    """An entry whose fate is unknown is tried again one place on."""
    on_timer = Committer.on_timer

    def hasty(self: Committer) -> None:
        if self._under_way is not None:
            self._under_way = msgspec.structs.replace(self._under_way, place=self._under_way.place + 1)
            self._place += 1
        on_timer(self)

    with patch.object(Committer, "on_timer", hasty):
        yield


@mistake(65, 875)
def read_from_the_primary_alone() -> Iterator[None]:
    """A candidate goes past an entry that a majority does not have."""
    apply = LedgerRoad._apply

    def local(self: LedgerRoad, operation: Any) -> Any:
        result = apply(self, operation)
        if isinstance(result, Loaded) and self._on_primary is not None:
            return msgspec.structs.replace(result, entries=(*result.entries, self._on_primary.entry))
        return result

    with patch.object(LedgerRoad, "_apply", local):
        yield


@mistake(1, 3)
def told_what_only_the_primary_has() -> Iterator[None]:
    """An entry counts as written as soon as one member has it."""
    lose_answer = LedgerRoad._lose_answer

    def early(self: LedgerRoad, operation: Append) -> Any:
        result = lose_answer(self, operation)
        return Appended() if self._on_primary is operation else result

    with patch.object(LedgerRoad, "_lose_answer", early):
        yield


@mistake(1, 2)
def term_not_raised() -> Iterator[None]:
    """A candidate does not look whether the term it wants to follow is still the last."""
    on_read = TakingOffice._on_read

    def blind(self: TakingOffice, result: Any) -> Any:
        after = self._after_term
        if isinstance(result, Loaded):
            self._after_term = state_of(result)[0].post.term
        before = on_read(self, result)
        self._after_term = after
        return before

    def same_term(self: PostState, entry: Any) -> MakeBooks:
        self.place += 1
        self.post = msgspec.structs.replace(self.post, term=entry.term, trader=entry.trader)
        return MakeBooks(place=self.place, requests=(), new_requests=(), deposits=(), post=self.post)

    def not_raised(**fields: Any) -> Any:
        return OfficeEntry(**{**fields, "term": max(1, fields["term"] - 1)})

    with (
        patch.object(TakingOffice, "_on_read", blind),
        patch.object(PostState, "_take_in_office", same_term),
        patch.object(taking_office, "OfficeEntry", not_raised),
    ):
        yield


@mistake(3, 4)
def anothers_entry_taken_for_ours() -> Iterator[None]:
    """A place that is taken is taken for our own success."""
    on_ledger = Committer.on_ledger

    def proud(self: Committer, operation: Any, result: Any) -> Any:
        return on_ledger(self, operation, Appended() if isinstance(result, Taken) else result)

    with patch.object(Committer, "on_ledger", proud):
        yield


@mistake(4, 28)
def books_made_without_guard() -> Iterator[None]:
    """What is made late replaces what is newer."""
    make = MemoryLedger.make

    def unguarded(self: MemoryLedger, changes: MakeBooks, *, post: bool = True) -> None:
        ids = {each.request.request_id for each in changes.requests}
        for request_id in ids & self._requests.keys():
            self._requests[request_id] = NOWHERE, self._requests[request_id][1]
        for deposit_id in {each.offer.deposit_id for each in changes.deposits} & self._deposits.keys():
            self._deposits[deposit_id] = NOWHERE, self._deposits[deposit_id][1]
        make(self, changes, post=post)

    with patch.object(MemoryLedger, "make", unguarded):
        yield


@mistake(114, 123)
def made_is_said_too_early() -> Iterator[None]:
    """`posts` says that the books are made when only some documents are."""
    in_part = LedgerRoad._make_in_part

    def boastful(self: LedgerRoad, changes: MakeBooks) -> None:
        in_part(self, changes)
        if self.ledger._made == changes.place - 1:
            self.ledger._made, self.ledger._post = changes.place, changes.post

    with patch.object(LedgerRoad, "_make_in_part", boastful):
        yield


@mistake(3, 6)
def books_not_made_of_what_is_queued() -> Iterator[None]:
    """The trader has the books made of decisions only."""
    take_in = PostState.take_in

    def partly(self: PostState, entry: Any, *, torn: bool = False) -> MakeBooks:
        changes = take_in(self, entry, torn=torn)
        decided = tuple(each for each in changes.requests if isinstance(each, Outcome))
        return msgspec.structs.replace(changes, requests=decided)

    with patch.object(PostState, "take_in", partly):
        yield


@mistake(1, 2)
def fold_forgets_what_was_sold() -> Iterator[None]:
    """The state after an entry still holds the goods that it sold."""

    def forget(self: PostState, *_: Any) -> dict[str, Any]:
        del self
        return {}

    with patch.object(PostState, "_draw", forget):
        yield


@mistake(216, 448)
def fold_draws_twice_from_newer_books() -> Iterator[None]:
    """A successor draws once more what the books have drawn already."""
    begin = PostState.__init__

    def careless(self: PostState, **given: Any) -> None:
        begin(self, **given)
        self._newer = {}

    with patch.object(PostState, "__init__", careless):
        yield


@mistake(4, 5)
def successor_trusts_the_books_alone() -> Iterator[None]:
    """A new trader goes to the end of the log without taking in what the books do not have yet."""

    def hasty(loaded: Loaded) -> Any:
        state, to_make = state_of(loaded)
        stale = PostState(place=state.place, post=state.post, queue=loaded.queue, stock=loaded.stock)
        return stale, to_make

    with patch.object(taking_office, "state_of", hasty):
        yield


@mistake(1, 2)
def new_id_at_each_retry() -> Iterator[None]:
    ask = RetryingCall.ask

    def renamed(self: RetryingCall) -> None:
        if isinstance(self.call, Buy) and self.tries:
            request = self.call.request
            again = msgspec.structs.replace(request, request_id=f"{request.request_id}.{self.tries}")
            self.call = Buy(request=again)
        ask(self)

    with patch.object(RetryingCall, "ask", renamed):
        yield


@mistake(1, 2)
def deposit_not_idempotent() -> Iterator[None]:
    """The trader numbers the deposits itself, so asking again deposits again."""
    on_deposit = TraderTerm._on_deposit

    def renamed(self: TraderTerm, call_id: int, offer: Any) -> None:
        on_deposit(self, call_id, msgspec.structs.replace(offer, deposit_id=f"{offer.deposit_id}.{call_id}"))

    with patch.object(TraderTerm, "_on_deposit", renamed):
        yield


@mistake(1, 3)
def unknown_taken_as_done() -> Iterator[None]:
    on_ledger = Committer.on_ledger

    def hasty(self: Committer, operation: Any, result: Any) -> Any:
        return on_ledger(self, operation, Appended() if isinstance(result, Unknown) else result)

    with patch.object(Committer, "on_ledger", hasty):
        yield


@mistake(1, 4)
def refusal_taken_as_failed() -> Iterator[None]:
    """What is recorded already is tried again for ever, instead of answered."""
    on_ledger = Committer.on_ledger

    def hasty(self: Committer, operation: Any, result: Any) -> Any:
        return on_ledger(self, operation, LedgerAway(why="again") if isinstance(result, AlreadyRecorded) else result)

    with patch.object(Committer, "on_ledger", hasty):
        yield


@mistake(1, 2)
def answer_before_append() -> Iterator[None]:
    next_entry = EntryDrafter.next_entry

    def hasty(self: EntryDrafter, sales: int) -> TradeEntry:
        entry = next_entry(self, sales)
        for outcome in entry.outcomes:
            pending = self._pending._requests[outcome.request.request_id]
            for call_id in pending.callers:
                self._ctx.emit(Respond(call_id=call_id, reply=outcome))
            pending.callers = []
        return entry

    with patch.object(EntryDrafter, "next_entry", hasty):
        yield


@mistake(1, 2)
def seller_told_before_append() -> Iterator[None]:
    next_entry = EntryDrafter.next_entry

    def hasty(self: EntryDrafter, sales: int) -> TradeEntry:
        entry = next_entry(self, sales)
        for outcome in entry.outcomes:
            sale = outcome.sale
            seller = self._ctx.members.get(rank_of(sale.seller)) if sale is not None else None
            if seller is not None:
                self._ctx.emit(NotifySales(seller=seller, sales=(outcome,)))
        return entry

    with patch.object(EntryDrafter, "next_entry", hasty):
        yield


@mistake(6, 17)
def tie_broken_by_arrival() -> Iterator[None]:
    """First come, first served, whatever the clocks say."""

    def in_order(self: PendingRequests) -> Any:
        return sorted(self._requests.values(), key=lambda pending: pending.accepted.arrival)

    with patch.object(PendingRequests, "in_order", in_order):
        yield


@mistake(3, 6)
def successor_forgets_the_queue() -> Iterator[None]:
    begin = TraderTerm.__init__

    def forgetful(self: TraderTerm, ctx: Any, state: PostState) -> None:
        state.queue.clear()
        begin(self, ctx, state)

    with patch.object(TraderTerm, "__init__", forgetful):
        yield


@mistake(1, 2)
def successor_counts_from_one() -> Iterator[None]:
    begin = TraderTerm.__init__

    def forgetful(self: TraderTerm, ctx: Any, state: PostState) -> None:
        state.post = msgspec.structs.replace(state.post, seq=0)
        begin(self, ctx, state)

    with patch.object(TraderTerm, "__init__", forgetful):
        yield


@mistake(1, 2)
def clock_not_merged() -> Iterator[None]:
    def deaf(*_: Any) -> bool:
        return False

    with patch.object(LamportClock, "merge", deaf), patch.object(VectorClock, "merge", deaf):
        yield


@mistake(1, 2)
def sells_more_than_there_is() -> Iterator[None]:
    """The trader looks only whether there is something."""
    find = Draft.find

    def find_any(self: Draft, item: str, _: int, excluded: tuple[str, ...]) -> Any:
        return find(self, item, 1, excluded)

    def take_what_is_there(self: Stock, deposit: Any, quantity: int) -> None:
        take(self, deposit, min(quantity, self._left[deposit.offer.deposit_id]))

    def draw(self: PostState, entry: TradeEntry, _: bool, touched: dict[str, None]) -> dict[str, Any]:
        for outcome in entry.outcomes:
            deposit = self.stock.get(outcome.sale.deposit) if outcome.sale is not None else None
            if deposit is not None:
                touched[deposit.offer.deposit_id] = None
                self.stock.take(deposit, outcome.request.quantity)
        return {}

    take = Stock.take
    with (
        patch.object(Draft, "find", find_any),
        patch.object(Stock, "take", take_what_is_there),
        patch.object(PostState, "_draw", draw),
    ):
        yield


@mistake(1, 2)
def buys_from_itself() -> Iterator[None]:
    find = Draft.find

    def find_any(self: Draft, item: str, quantity: int, excluded: tuple[str, ...]) -> Any:
        del excluded
        return find(self, item, quantity, ())

    with patch.object(Draft, "find", find_any):
        yield


@mistake(1, 2)
def buyer_in_office_buys() -> Iterator[None]:
    """What a peer asked for before it took office is sold to it in office."""
    decide = rules.decide

    def partial(accepted: Any, goods: Any, *, trader: str, **others: Any) -> Any:
        outcome = decide(accepted, goods, trader="nobody", **others)
        return msgspec.structs.replace(outcome, trader=trader)

    with patch.object(drafting, "decide", partial):
        yield


@mistake(1, 2)
def commission_rounded_down() -> Iterator[None]:
    def split(amount: Any, commission_rate: Any) -> Any:
        commission = (amount * commission_rate).quantize(CENT, rounding=ROUND_DOWN)
        return commission, amount - commission

    with patch.object(rules, "split", split):
        yield


@mistake(3, 4)
def highest_seller_sells() -> Iterator[None]:
    in_order = Stock.in_order

    def backwards(self: Stock, item: str) -> Any:
        return in_order(self, item)[::-1]

    with patch.object(Stock, "in_order", backwards):
        yield


@mistake(2, 4)
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


@mistake(1, 2)
def gives_up_after_one_try() -> Iterator[None]:
    """A customer that hears nothing does not ask again."""
    on_reply = RetryingCall.on_reply

    def impatient(self: RetryingCall, reply: Any) -> Any:
        ended = on_reply(self, reply)
        if ended is None and self.call is not None:
            self._ctx.cancel_timer(self._timer)
        return ended

    with patch.object(RetryingCall, "on_reply", impatient):
        yield


@mistake(1, 2)
def journal_forgets_what_was_earned() -> Iterator[None]:
    """Sellers hear of their sales and do not write them down, so that an audit has one witness less."""
    with patch.object(journal, "Earned", Rejected):
        yield


@mistake(1, 2)
def journal_forgets_what_was_told() -> Iterator[None]:
    """Buyers do not write their outcomes down."""
    with patch.object(journal, "Answered", Rejected):
        yield


@mistake(1, 2)
def journal_says_another_price() -> Iterator[None]:
    """Money is written down without its cents."""

    def rough(amount: Any) -> str:
        return str(int(amount))

    with patch.object(journal, "_money", rough):
        yield


@mistake(1, 2)
def journal_mixes_up_who_bought() -> Iterator[None]:
    """A seller's line names itself as the buyer."""
    sale = journal._sale

    def mixed_up(outcome: Outcome, earned: Any) -> Any:
        assert outcome.sale is not None
        return {**sale(outcome, earned), "buyer": outcome.sale.seller}

    with patch.object(journal, "_sale", mixed_up):
        yield
