"""What one term takes in: requests and deposits that are new, each stamped and numbered in the order of arrival.

Whoever asks again with an id that is known waits along, or is answered at once. Nothing is taken in while the trader
leaves office, or while too many wait already: the caller is told to come later.
"""

from __future__ import annotations

from collections.abc import Iterable

from peers.core.commands import Respond
from peers.core.context import Context
from peers.core.leadership.reasons import VacancyReason
from peers.core.ledger.log import Entry
from peers.core.ledger.post_state import PostState
from peers.core.market.limits import check_not_far_ahead
from peers.core.market.records import Accepted, Offer, PurchaseRequest
from peers.core.market.rules import require_may_deposit
from peers.core.membership.clocks import Stamp, VectorStamp
from peers.core.trader.group_commit import GroupCommit
from peers.core.trader.others import OthersEntries
from peers.core.trader.pending import PendingRequests, require_same
from peers.core.trader.seat import Seat
from peers.core.trader.stock_at_hand import StockAtHand
from peers.core.trader.times_of_day import TimesOfDay
from peers.errors import PostClosed


class Intake:
    """Takes into `pending` what is asked of one term."""

    def __init__(
        self,
        ctx: Context,
        state: PostState,
        pending: PendingRequests,
        others: OthersEntries,
        at_hand: StockAtHand,
        group_commit: GroupCommit,
        times: TimesOfDay,
        seat: Seat,
    ) -> None:
        self._ctx = ctx
        self._state = state
        self._pending = pending
        self._others = others
        self._at_hand = at_hand
        self._group_commit = group_commit
        self._times = times
        self._seat = seat
        self._term = state.post.of(seat.area).term
        # The number of the last request accepted, here or by a predecessor.
        self._arrival = state.post.arrival

    @property
    def closed_for(self) -> VacancyReason | None:
        """Why nothing more is taken in: the trader leaves office. Who stands in for another stays."""
        return None if self._seat.stands_in else self._ctx.leadership.leaving_for

    def require_open(self) -> None:
        """Raises PostClosed if nothing more is taken in."""
        if self.closed_for is not None:
            raise PostClosed(why="the trader is leaving office")

    def buy(self, call_id: int, request: PurchaseRequest) -> bool:
        """Takes in a request; returns whether it is pending, or is answered already.

        Raises BadRequest if its id stood for another, or its clock cannot be; PostClosed if it has to come later."""
        outcome = self._pending.outcome(request)
        if outcome is not None:
            self._ctx.emit(Respond(call_id=call_id, reply=outcome))
            return False
        if not self._pending.wait_for(request, call_id):
            self._others.require_not_waiting(request)
            self._accept(call_id, request)
        return True

    def _accept(self, call_id: int, request: PurchaseRequest) -> None:
        self._require_room(len(self._pending))
        self._hear(request)
        self._arrival += 1
        accepted = Accepted(
            request=request,
            arrival=self._arrival,
            queued_at_ms=self._times.now_ms(),
            queued_term=self._term,
            area=self._seat.area,
        )
        self._at_hand.foretell(self._pending.add(accepted, call_id, self._ctx.now.mono_s))

    def _require_room(self, waiting: int) -> None:
        """Raises PostClosed if nothing more is taken in, or not while so many wait."""
        self.require_open()
        if waiting >= self._ctx.settings.timing.max_pending:
            self._ctx.count("told_to_come_later")
            raise PostClosed(
                why="too many wait already", retry_after_ms=self._group_commit.ms_for(len(self._pending))
            )

    def deposit(self, call_id: int, offer: Offer) -> bool:
        """Takes in a deposit; returns whether it is new, for then there is something to write.

        Raises BadRequest and PostClosed as `buy` does, and BadRequest if who offers it may not."""
        require_may_deposit(offer.seller, self._ctx.name)
        if self._pending.wait_for_deposit(offer, call_id):
            return False
        recorded = self._state.stock.get(offer.deposit_id)
        if recorded is not None:
            require_same("deposit_id", recorded.offer, offer)
            self._ctx.emit(Respond(call_id=call_id, reply=recorded))
            return False
        # Goods come in though many requests wait, for it may be goods that these want.
        self._require_room(self._pending.deposits)
        self._hear(offer)
        self._pending.add_deposit(offer, call_id)
        return True

    def take_in_others(self, entries: Iterable[Entry]) -> None:
        """Others have written to the log: what is only known here is numbered on behind what they took in."""
        self._arrival = self._others.take_in(entries)

    def _hear(self, stamped: PurchaseRequest | Offer) -> None:
        """Counts the event that a request or a deposit is. Raises BadRequest if its clock is too far ahead."""
        # A trader's own clock is behind those of customers that heard what it did; what it heard of is not.
        check_not_far_ahead(stamped.clock, max(self._ctx.clock.stamp(), self._ctx.news.stamp(), key=_time))
        clock = stamped.clock
        if isinstance(clock, VectorStamp):
            clock = clock.folded(self._ctx.members.names())
        self._ctx.hear_clock(clock)
        self._ctx.tick()


def _time(stamp: Stamp) -> int:
    return stamp.time
