"""What a trader says of the stock: what can be bought, and promises and early refusals out of its cache.

A request is foretold its outcome at once, where the cache says one, in a message of its own; the call is answered as
always, once the outcome is recorded. What was foretold is recorded with it, so anybody can count what was kept.
"""

from __future__ import annotations

from functools import partial

from peers.core.caches.policies import make_cache
from peers.core.calls import AsOf, Search
from peers.core.commands import Respond, Send
from peers.core.context import Context
from peers.core.ledger.log import Leasing, TradeEntry
from peers.core.ledger.port import MakeBooks
from peers.core.ledger.post_state import PostState
from peers.core.market.records import Deposit, Outcome
from peers.core.market.rules import excluded_sellers
from peers.core.market.stock import Draft
from peers.core.messages import Foretelling
from peers.core.names import rank_of
from peers.core.trader.offered import as_of, on_offer
from peers.core.trader.pending import PendingRequest, PendingRequests
from peers.core.trader.read_gate import ReadGate
from peers.core.trader.seat import Seat
from peers.errors import PostClosed, WireError


class StockAtHand:
    """The cache of one term, and what is said out of it."""

    def __init__(self, ctx: Context, state: PostState, pending: PendingRequests, gate: ReadGate, seat: Seat) -> None:
        self._ctx = ctx
        self._gate = gate
        self._area = seat.area
        self._state = state
        self._pending = pending
        self._cache = make_cache(ctx, state, seat)

    def search(self, call_id: int, search: Search) -> None:
        """Answers what can be bought, at once where that may be said out of what is at hand.

        Otherwise it is answered once the log was read: where the cache says nothing, or the caller was told more than
        this trader has read, as much of it as there was when the call came."""
        needs_all = self._cache.offers(search.item) is None or not self._has(search.since)
        bound_s = 0.0 if needs_all else self._ctx.settings.ledger.max_staleness_s
        self._gate.let_through(self._ctx.now.mono_s - bound_s, partial(self._answer, call_id, search))

    def _answer(self, call_id: int, search: Search, refusal: WireError | None) -> None:
        if refusal is None and not self._has(search.since):
            refusal = PostClosed(why="the books have not got as far as you were told")
        reply = on_offer(self._state, search.item, self._area) if refusal is None else refusal
        self._ctx.emit(Respond(call_id=call_id, reply=reply))

    def _has(self, since: AsOf | None) -> bool:
        return since is None or as_of(self._state, self._area).reaches(since, shared=bool(self._area))

    def foretell(self, pending: PendingRequest) -> None:
        """A request was accepted just now: says what becomes of it, as far as the cache knows."""
        ctx, request = self._ctx, pending.accepted.request
        traders = self._state.post.in_office()
        if request.buyer in traders:
            return
        pending.foretold = self._cache.foretell(request, excluded_sellers(request.buyer, traders))
        if pending.foretold is None:
            return
        pending.pinned = self._cache.pinned(request.request_id)
        ctx.count(pending.foretold)
        buyer = ctx.members.get(rank_of(request.buyer))
        if buyer is not None and buyer.up:
            told = Foretelling(request_id=request.request_id, foretold=pending.foretold)
            ctx.emit(Send(to=buyer, message=told))

    @property
    def has_idle_leases(self) -> bool:
        """Whether something is leased that nobody has asked for here for a while."""
        return self._cache.has_idle_leases

    def leases(self, goods: Draft) -> tuple[Leasing, ...]:
        """Returns what the next entry is to set aside, or give back, after what it sells out of `goods`."""
        return self._cache.leases(goods)

    def on_own(self, entry: TradeEntry, changes: MakeBooks) -> None:
        """An entry of this trader stands; the state has it, and who waited is still pending."""
        self._cache.on_own(changes.deposits, changes.place)
        for outcome in entry.outcomes:
            self._note(outcome)

    def _note(self, outcome: Outcome) -> None:
        self._cache.settle(outcome.request.request_id)
        if outcome.foretold == "promised" and outcome.sale is None:
            self._ctx.count("promised_in_vain")
        elif outcome.foretold == "refused" and self._pending.was_refused_in_vain(outcome.request.request_id):
            self._ctx.count("refused_in_vain")

    def on_read(self, changes: MakeBooks) -> None:
        """Another's entry was read, and the state has it."""
        self._cache.on_read(changes.deposits, changes.place)
        for record in changes.requests:
            self._cache.settle(record.request.request_id)

    def on_end(self, *, complete: bool) -> None:
        """The log was read to its end, or could not be (`complete` is False)."""
        if complete:
            self._cache.on_end()

    def on_pushed(self, deposits: tuple[Deposit, ...], place: int) -> None:
        """Another trader tells of an entry of its own."""
        self._cache.on_pushed(deposits, place)
