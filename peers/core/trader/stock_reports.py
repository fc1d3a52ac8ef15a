"""What sellers report of their goods in one term: sales that cannot be honoured are taken back, missing goods written
off.

That is a compensating transaction (Garcia-Molina and Salem, 1987): the sale stays in the log, and an entry of its own
undoes it, goods and money at once. That it does so once needs no memory: the id of a request comes into the log as
taken back a single time, as its outcome does. What a seller has lost of a deposit only grows, and is reported as a
whole, so an old report, or the same one again, writes nothing off a second time.

A report is looked up before it is believed. What was read must be no older than the last entry that counted a deposit
anew, and this trader's own first one; then of what can change since, the stock at hand is the measure.
"""

from __future__ import annotations

from collections import deque

import msgspec

from peers.core.calls import AskReversals, Reply, ReportStock, ReversalsReply, StockReply
from peers.core.commands import Respond
from peers.core.context import Context
from peers.core.ledger.log import Recount, TradeEntry
from peers.core.ledger.port import Found, LookUp, Operation, Result
from peers.core.ledger.post_state import PostState
from peers.core.ledger.sizes import Room, size_of
from peers.core.market.records import Deposit, Outcome, Reversal
from peers.core.trader.pending import REMEMBERED
from peers.core.trader.seat import THE_ONLY, Seat
from peers.core.trader.times_of_day import TimesOfDay
from peers.errors import BadRequest, PostClosed, WireError

REASON = "the seller does not have the goods"


class _Report:
    """A report that is not answered yet. `found` is what the ledger has of it, None until that was read."""

    __slots__ = ("call", "callers", "found")

    def __init__(self, call: ReportStock) -> None:
        self.call = call
        self.callers: list[int] = []
        self.found: Found | None = None

    @property
    def reading(self) -> LookUp:
        return LookUp(request_ids=self.call.unfilled, deposit_ids=(self.call.deposit_id,))


class StockReports:
    """The reports under way in one term, which began with `state`; `state` goes on with it."""

    def __init__(self, ctx: Context, state: PostState, times: TimesOfDay, seat: Seat = THE_ONLY) -> None:
        self._ctx = ctx
        self._state = state
        self._times = times
        self._term = state.post.of(seat.area).term
        self._fresh_from = state.place
        self._reports: dict[ReportStock, _Report] = {}
        # Those that are in the entry under way.
        self._drawn: list[_Report] = []
        # The sales that were taken back last in this term, in order.
        self._taken_back: deque[Outcome] = deque(maxlen=REMEMBERED)
        ctx.hear_of_reversals(state.post.reversals)

    @property
    def ready(self) -> bool:
        """Whether there is something to write."""
        return any(report.found is not None for report in self._reports.values())

    def __len__(self) -> int:
        return len(self._reports)

    # -- taking in -----------------------------------------------------------------------------------------

    def take_in(self, call_id: int, call: ReportStock) -> None:
        """A seller reports; it is answered once what follows from it is in the log."""
        report = self._reports.get(call)
        if report is None:
            report = self._reports[call] = _Report(call)
            self._ctx.perform(report.reading)
        report.callers.append(call_id)

    def caller_left(self, call_id: int) -> None:
        for report in self._reports.values():
            if call_id in report.callers:
                report.callers.remove(call_id)

    def on_ledger(self, operation: Operation, result: Result) -> None:
        """Takes in what was looked up. What is no report's is passed over."""
        if not isinstance(operation, LookUp) or not operation.deposit_ids:
            return
        for report in list(self._reports.values()):
            if report.found is None and report.reading == operation:
                self._on_found(report, result)

    def _on_found(self, report: _Report, result: Result) -> None:
        if not isinstance(result, Found):
            self._answer(report, PostClosed(why="the books cannot be reached"))
        elif result.place < self._fresh_from:
            self._ctx.perform(report.reading)
        else:
            try:
                _check(report.call, result)
            except BadRequest as error:
                self._answer(report, error)
                return
            report.found = result
            if self._draw_one(report, 0) is None:
                self._answer(report, _reply(report, result.deposits[0]))

    # -- writing down --------------------------------------------------------------------------------------

    def draw(self, room: Room) -> tuple[tuple[Outcome, ...], tuple[Recount, ...]]:
        """Returns what the next entry takes back, and the deposits that it counts anew, each once, as far as there is
        `room` for whole reports."""
        self._drawn = []
        if not self._reports:
            return (), ()
        reversals: list[Outcome] = []
        recounts: dict[str, Recount] = {}
        for report in list(self._reports.values()):
            if report.found is None or report.call.deposit_id in recounts:
                continue
            drawn = self._draw_one(report, len(reversals))
            if drawn is None:
                self._answer(report, _reply(report, report.found.deposits[0]))
                continue
            if not room.takes(_size(*drawn)):
                break
            reversals += drawn[0]
            recounts[report.call.deposit_id] = drawn[1]
            self._drawn.append(report)
            if len(reversals) >= self._ctx.settings.timing.max_batch:
                break
        return tuple(reversals), tuple(recounts.values())

    def _draw_one(self, report: _Report, before: int) -> tuple[list[Outcome], Recount] | None:
        """Returns what a report amounts to, after `before` other reversals of the same entry; None if to nothing."""
        assert report.found is not None
        call, deposit = report.call, report.found.deposits[0]
        stocked = self._state.stock.get(call.deposit_id)
        left = 0 if stocked is None else stocked.remaining
        first = self._state.post.reversals + before + 1
        undone = [each for each in report.found.outcomes if each.taken_back is None]
        reversals = [self._take_back(each, number) for number, each in enumerate(undone, start=first)]
        returned = sum(each.request.quantity for each in reversals)
        missing = deposit.offer.quantity - call.handed_over - call.holds - deposit.written_off
        off = min(max(0, missing), left + returned)
        if not reversals and not off:
            return None
        counted = msgspec.structs.replace(
            deposit, remaining=left + returned - off, written_off=deposit.written_off + off, leases=()
        )
        return reversals, Recount(deposit=counted, returned=returned, written_off=off)

    def _take_back(self, outcome: Outcome, number: int) -> Outcome:
        sale = outcome.sale
        assert sale is not None, "`_check` has seen to it"
        reversal = Reversal(
            number=number,
            amount=sale.amount,
            commission=sale.commission,
            earned=sale.earned,
            term=self._term,
            trader=self._ctx.name,
            taken_back_at_ms=self._times.now_ms(),
            reason=REASON,
            place=self._state.place + 1,
        )
        return msgspec.structs.replace(outcome, taken_back=reversal)

    def on_appended(self, entry: TradeEntry) -> None:
        """The entry stands, and the state has it: whoever reported what is in it is answered. It has recounts."""
        self.hear_of(entry)
        self._ctx.count("taken_back", len(entry.reversals))
        by_id = {each.request.request_id: each for each in entry.reversals}
        deposits = {each.deposit.offer.deposit_id: each.deposit for each in entry.recounts}
        for report in self._drawn:
            assert report.found is not None
            known = (by_id.get(each.request.request_id, each) for each in report.found.outcomes)
            report.found = msgspec.structs.replace(report.found, outcomes=tuple(known))
            self._answer(report, _reply(report, deposits[report.call.deposit_id]))
        self._drawn = []
        self.look_again()

    def hear_of(self, entry: TradeEntry) -> None:
        """Takes in what an entry took back, whoever wrote it; the state has it."""
        self._taken_back += entry.reversals
        self._ctx.hear_of_reversals(self._state.post.reversals)

    def look_again(self) -> None:
        """What was read of the other reports may be out of date: it is read again, as of now or later."""
        self._fresh_from = self._state.place
        for report in self._reports.values():
            if report.found is not None:
                report.found = None
                self._ctx.perform(report.reading)

    # -- answering -----------------------------------------------------------------------------------------

    def reversals_for(self, call: AskReversals) -> ReversalsReply | None:
        """Returns the answer, as it nearly always is at hand; None where some of it is of an earlier term."""
        latest = self._state.post.reversals
        if call.after < latest - len(self._taken_back):
            return None
        theirs = [each for each in self._taken_back if _concerns(each, call)]
        return ReversalsReply(reversals=tuple(theirs), upto=max(latest, call.after))

    def refuse(self, refusal: WireError) -> None:
        """Answers everybody who still waits with `refusal`: to ask elsewhere, or again."""
        for report in list(self._reports.values()):
            self._answer(report, refusal)

    def _answer(self, report: _Report, reply: Reply | WireError) -> None:
        self._reports.pop(report.call, None)
        for call_id in report.callers:
            self._ctx.emit(Respond(call_id=call_id, reply=reply))


def _size(reversals: list[Outcome], recount: Recount) -> int:
    clocks = [recount.deposit.offer.clock, *(outcome.request.clock for outcome in reversals)]
    return sum(map(size_of, clocks))


def _concerns(outcome: Outcome, call: AskReversals) -> bool:
    reversal, sale = outcome.taken_back, outcome.sale
    if reversal is None or sale is None or reversal.number <= call.after:
        return False
    return call.customer in (outcome.request.buyer, sale.seller)


def _reply(report: _Report, deposit: Deposit) -> StockReply:
    assert report.found is not None
    return StockReply(deposit=deposit, reversals=report.found.outcomes)


def _check(call: ReportStock, found: Found) -> None:
    """Raises BadRequest for what cannot be true of the deposit, or of the sales that are to be taken back."""
    deposit = found.deposits[0] if found.deposits else None
    if deposit is None:
        raise BadRequest(field="deposit_id", why="must be that of a deposit")
    if deposit.offer.seller != call.seller:
        raise BadRequest(field="seller", why=f"must be {deposit.offer.seller}, whose deposit it is")
    quantity = deposit.offer.quantity
    if call.handed_over + call.holds > quantity:
        raise BadRequest(field="holds", why=f"must be at most {quantity}, with what was handed over")
    sold = [each for each in found.outcomes if each.sale is not None and each.sale.deposit == call.deposit_id]
    if len(sold) != len(set(call.unfilled)):
        raise BadRequest(field="unfilled", why="must be sales out of that deposit")
    missing = quantity - call.handed_over - call.holds - deposit.written_off
    if missing <= 0 and any(each.taken_back is None for each in sold):
        raise BadRequest(
            field="holds", why="must be less than what the deposit should have: nothing is missing of it"
        )
