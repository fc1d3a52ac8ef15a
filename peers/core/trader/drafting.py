"""Draws up the next entry of a term: what is pending, decided in order on a draft of the stock.

What an entry has no room for, and has waited for `queue_after_s`, is queued in the same entry. The state stays as it
is: it changes when the entry stands.
"""

from __future__ import annotations

from peers.core.context import Context
from peers.core.ledger.log import Leasing, Recount, TradeEntry
from peers.core.ledger.post_state import PostState
from peers.core.ledger.sizes import MOST_BYTES, RECORD_BYTES, Room, size_of
from peers.core.market.records import Accepted, Deposit, Outcome
from peers.core.market.resignation import sales_to_go
from peers.core.market.rules import decide, excluded_sellers
from peers.core.market.stock import Draft
from peers.core.membership.clocks import are_concurrent
from peers.core.trader.pending import PendingRequest, PendingRequests
from peers.core.trader.seat import THE_ONLY, Seat
from peers.core.trader.stock_at_hand import StockAtHand
from peers.core.trader.stock_reports import StockReports
from peers.core.trader.times_of_day import TimesOfDay

_SOON_S = 1e-6
"""A request counts as late by so much too soon, for the rounding of a timer may bring it too early."""

_LEAST_BYTES = MOST_BYTES // 64
"""An entry of this size that is refused for it is refused for something else."""


class EntryDrafter:
    """Draws up the entries of one term."""

    def __init__(
        self,
        ctx: Context,
        state: PostState,
        pending: PendingRequests,
        reports: StockReports,
        at_hand: StockAtHand,
        times: TimesOfDay,
        seat: Seat = THE_ONLY,
    ) -> None:
        self._ctx = ctx
        self._state = state
        self._pending = pending
        self._reports = reports
        self._at_hand = at_hand
        self._times = times
        self._area = seat.area
        self._term = state.post.of(seat.area).term
        # An entry has so many bytes at most.
        self._most = MOST_BYTES

    def draw_smaller(self) -> bool:
        """Has the next entries be half as large, for the ledger took one for too large; False if they are small."""
        self._most //= 2
        return self._most >= _LEAST_BYTES

    def next_entry(self, sales: int) -> TradeEntry:
        """Returns what is pending, decided as far as there is room, in a term that has made `sales` so far."""
        room = Room(self._most)
        reversals, recounts = self._reports.draw(room)
        deposits = self._deposits(room)
        waiting = self._pending.in_order()
        goods = Draft(self._state.stock, deposits, (recount.deposit for recount in recounts))
        outcomes = self._decide_in_order(waiting, goods, sales, room)
        ripe_s = self._ctx.now.mono_s - self._ctx.settings.timing.queue_after_s + _SOON_S
        late = [each for each in waiting[len(outcomes) :] if not each.queued and each.since_s <= ripe_s]
        late = room.first_of(late, _size)
        new = [each for each in waiting[: len(outcomes)] if not each.queued] + late
        return self.entry(
            deposits=deposits,
            outcomes=tuple(outcomes),
            queued=tuple(each.accepted for each in late),
            new_requests=tuple(each.accepted.request.request_id for each in new),
            reversals=reversals,
            recounts=recounts,
            leases=tuple(room.first_of(self._at_hand.leases(goods), lambda _: RECORD_BYTES)),
        )

    def queue_all(self) -> TradeEntry | None:
        """Returns an entry that queues what is pending and is not yet, as far as there is room; None if nothing."""
        left = self._pending.not_queued()
        fitting = Room(self._most).first_of(left, _size)
        return self.entry(queued=tuple(each.accepted for each in fitting)) if fitting else None

    def entry(
        self,
        *,
        deposits: tuple[Deposit, ...] = (),
        outcomes: tuple[Outcome, ...] = (),
        queued: tuple[Accepted, ...] = (),
        new_requests: tuple[str, ...] | None = None,
        reversals: tuple[Outcome, ...] = (),
        recounts: tuple[Recount, ...] = (),
        leases: tuple[Leasing, ...] = (),
    ) -> TradeEntry:
        """Returns an entry of this term; unless given, `new_requests` are the ids of `queued`."""
        if new_requests is None:
            new_requests = tuple(accepted.request.request_id for accepted in queued)
        return TradeEntry(
            entry_id=self._ctx.next_entry_id(),
            term=self._term,
            trader=self._ctx.name,
            written_at_ms=self._times.now_ms(),
            deposits=deposits,
            outcomes=outcomes,
            queued=queued,
            new_requests=new_requests,
            reversals=reversals,
            recounts=recounts,
            area=self._area,
            leases=leases,
        )

    def _deposits(self, room: Room) -> tuple[Deposit, ...]:
        """Returns the deposits that come in: as many as half of the room takes, for the rest is for requests."""
        now_ms = self._times.now_ms()
        offers = room.first_of(self._pending.offers(), lambda offer: size_of(offer.clock), spare=room.half)
        return tuple(
            Deposit(offer=offer, remaining=offer.quantity, deposited_at_ms=now_ms, term=self._term, area=self._area)
            for offer in offers
        )

    def _decide_in_order(
        self,
        waiting: list[PendingRequest],
        goods: Draft,
        sales: int,
        room: Room,
    ) -> list[Outcome]:
        market, timing = self._ctx.settings.market, self._ctx.settings.timing
        to_go = sales_to_go(sales, market.resign_after_sales, at_most=timing.max_batch)
        outcomes: list[Outcome] = []
        for place, pending in enumerate(waiting):
            if len(outcomes) == timing.max_batch or to_go <= 0 or not room.takes(_size(pending)):
                break
            outcome = decide(
                pending.accepted,
                goods,
                seq=self._state.post.seq + len(outcomes) + 1,
                term=self._term,
                trader=self._ctx.name,
                now_ms=self._times.now_ms(),
                commission_rate=market.commission_rate,
                concurrent=_is_tied(waiting, place) if self._ctx.settings.clock == "vector" else None,
                fellows=self._state.post.in_office() if self._area else (),
                foretold=pending.foretold,
                pinned=pending.pinned,
            )
            if pending.foretold == "refused":
                request, traders = pending.accepted.request, self._state.post.in_office()
                there = goods.find(request.item, request.quantity, excluded_sellers(request.buyer, traders))
                pending.in_vain = there is not None
            outcomes.append(outcome)
            to_go -= outcome.sale is not None
        return outcomes


def _is_tied(waiting: list[PendingRequest], place: int) -> bool:
    """Whether the clock of one that waits is concurrent with that of the one before it or after it in the order."""
    clock = waiting[place].accepted.request.clock
    beside = waiting[max(place - 1, 0) : place] + waiting[place + 1 : place + 2]
    return any(are_concurrent(clock, other.accepted.request.clock) for other in beside)


def _size(pending: PendingRequest) -> int:
    return size_of(pending.accepted.request.clock)
