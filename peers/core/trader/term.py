"""One term of a trader in office: takes requests and deposits in, decides them in order, has them recorded, answers.

One entry of the log is under way at a time, and what arrives meanwhile shares the next one (group commit, Gawlick and
Kinkade, 1985). Recorded and decided is the same entry. What an entry has no room for, and has waited for
`queue_after_s`, is queued in the same entry; so what waits for long waits in the log, where a successor finds it.
Nobody is told a decision before the log has it, and nobody is shown goods of an entry that is still under way.

The state is the fold of the entries that stand (`post_state`); what the next entry would do is worked out on a draft.
So no entry is ever undone: one whose fate is unknown is written again until it is known, and another's entry
in its place ends the term. Unless that is of another area, which shares the log: then it is taken in, and ours is
drawn up anew (`others`).
"""

from __future__ import annotations

import msgspec

from peers.core.calls import (
    AskOutcome,
    AskReversals,
    AsOf,
    Buy,
    Call,
    MakeDeposit,
    Reply,
    ReportStock,
    Search,
    Standing,
    not_in_office,
)
from peers.core.commands import Respond
from peers.core.context import Context
from peers.core.leadership.reasons import VacancyReason
from peers.core.ledger.log import OfficeEntry, TradeEntry
from peers.core.ledger.port import AlreadyRecorded, Appended, EndLost, Operation, Result, Taken, TooLarge
from peers.core.ledger.post_state import PostState
from peers.core.market.records import Outcome, Post
from peers.core.market.resignation import is_resignation_due
from peers.core.messages import StockNews
from peers.core.trader.committer import Behind, Committer
from peers.core.trader.drafting import EntryDrafter
from peers.core.trader.group_commit import GroupCommit
from peers.core.trader.intake import Intake
from peers.core.trader.offered import as_of
from peers.core.trader.others import OthersEntries, notify
from peers.core.trader.pending import PendingRequests
from peers.core.trader.read_gate import ReadGate
from peers.core.trader.reads import LedgerReads
from peers.core.trader.seat import THE_ONLY, Seat
from peers.core.trader.stock_at_hand import StockAtHand
from peers.core.trader.stock_reports import StockReports
from peers.core.trader.times_of_day import TimesOfDay
from peers.errors import PostClosed, WireError


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """Why a term is over. `post` is None if the trader left by itself, else the post as another's entry left it."""

    reason: VacancyReason
    post: Post | None = None


class TraderTerm:
    """One term of office. `ended` is set when it is over; the peer looks at it after each input.

    `state` is certain to have been all of the log at `certain_s`, in seconds of the monotonic clock."""

    def __init__(self, ctx: Context, state: PostState, seat: Seat = THE_ONLY, *, certain_s: float) -> None:
        self._ctx = ctx
        self._seat = seat
        self.term = state.post.of(seat.area).term
        self.sales = 0
        self.ended: Ended | None = None
        self._state = state
        self._pending = PendingRequests(ctx, state.queue_of(seat.area))
        times = TimesOfDay(ctx)
        self._reports = StockReports(ctx, state, times, seat)
        self._gate = ReadGate(ctx, state, certain_s)
        self._at_hand = StockAtHand(ctx, state, self._pending, self._gate, seat)
        self._drafter = EntryDrafter(ctx, state, self._pending, self._reports, self._at_hand, times, seat)
        self._group_commit = GroupCommit(ctx, seat)
        self._reads = LedgerReads(ctx, state, self._pending, self._gate, seat.area)
        self._committer = Committer(ctx, state.place, seat)
        others = OthersEntries(ctx, state, self._pending, self._reports, self._at_hand)
        self._intake = Intake(ctx, state, self._pending, others, self._at_hand, self._group_commit, times, seat)
        # The calls that asked this trader to resign; they are answered when the term is over.
        self._leave_callers: list[int] = []

    @property
    def post(self) -> Post:
        """The post of all areas, as far as the log has been read."""
        return self._state.post

    @property
    def area(self) -> str:
        """The area whose post it is."""
        return self._seat.area

    @property
    def as_of(self) -> AsOf:
        """How far this trader has read."""
        return as_of(self._state, self._seat.area)

    # -- what callers ask ----------------------------------------------------------------------------------

    def on_call(self, call_id: int, call: Call) -> None:
        try:
            if isinstance(call, Buy):
                if self._intake.buy(call_id, call.request):
                    self.pump()
            elif isinstance(call, MakeDeposit):
                if self._intake.deposit(call_id, call.offer):
                    self.pump()
            elif isinstance(call, AskOutcome):
                self._reads.outcome(call_id, call)
            elif isinstance(call, Search):
                self._at_hand.search(call_id, call)
            elif isinstance(call, Standing):
                self._reads.standing(call_id, call)
            elif isinstance(call, ReportStock):
                self._on_report(call_id, call)
            elif isinstance(call, AskReversals):
                self._on_ask_reversals(call_id, call)
            else:
                self._leave_callers.append(call_id)
                self.leave(VacancyReason.RESIGNED)
        except WireError as error:
            self._answer(call_id, error)

    def on_caller_left(self, call_id: int) -> None:
        self._pending.caller_left(call_id)
        self._reports.caller_left(call_id)

    def _on_report(self, call_id: int, call: ReportStock) -> None:
        self._intake.require_open()
        if len(self._reports) >= self._ctx.settings.timing.max_pending:
            raise PostClosed(why="too many wait already")
        self._reports.take_in(call_id, call)

    def _on_ask_reversals(self, call_id: int, call: AskReversals) -> None:
        known = self._reports.reversals_for(call)
        if known is not None:
            self._answer(call_id, known)
        else:
            self._reads.reversals(call_id, call, self._state)

    def _answer(self, call_id: int, reply: Reply | WireError) -> None:
        self._ctx.emit(Respond(call_id=call_id, reply=reply))

    # -- deciding ------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Writes the next entry if nothing stands in its way."""
        if not self._committer.is_idle or self.ended is not None:
            return
        leaving_for = self._intake.closed_for
        has_work = self._pending or self._reports.ready
        if (has_work and self._committer.is_beaten) or self._gate.needs_reading:
            self._committer.read_on()
        elif leaving_for is not None:
            left_behind = self._drafter.queue_all()
            if left_behind is not None:  # Whatever was accepted must be in the log, where the successor finds it.
                self._committer.append(left_behind)
            else:
                self.ended = Ended(reason=leaving_for)
        elif self._reports.ready:  # Somebody has paid for what there is not: that does not wait for others.
            entry = self._drafter.next_entry(self._sales_that_count)
            if entry.recounts or self._pending:
                self._group_commit.begins(len(self._pending))
                self._committer.append(entry)
        elif self._pending and not self._group_commit.is_worth_waiting(len(self._pending)):
            self._group_commit.begins(len(self._pending))
            self._committer.append(self._drafter.next_entry(self._sales_that_count))

    def _give_back(self) -> None:
        """Gives back what was leased and is not wanted here, if nothing is under way."""
        if self._committer.is_idle and self.ended is None and self._at_hand.has_idle_leases and not self._pending:
            entry = self._drafter.next_entry(self._sales_that_count)
            if entry.leases:
                self._committer.append(entry)

    def on_gather_timer(self) -> None:
        """The wait for more requests is over: the entry is written with those that are there."""
        self.pump()

    # -- what the ledger says ------------------------------------------------------------------------------

    def on_ledger(self, operation: Operation, result: Result) -> None:
        self._gate.on_ledger(operation, result)
        self._reads.on_ledger(operation, result)
        self._reports.on_ledger(operation, result)
        settled = self._committer.on_ledger(operation, result)
        if isinstance(settled, Appended):
            entry = self._committer.entry
            assert isinstance(entry, TradeEntry)
            self._on_appended(entry)
        elif isinstance(settled, Behind):
            self._intake.take_in_others(settled.entries)
            self._gate.on_read()
            if settled.is_end is not None:
                self._at_hand.on_end(complete=settled.is_end)
                self._gate.on_read_to_end()
        elif isinstance(settled, AlreadyRecorded):
            self._on_already_recorded(settled)
        elif isinstance(settled, TooLarge):
            self._on_too_large()
        elif isinstance(settled, Taken):
            self.ended = Ended(reason=VacancyReason.DEPOSED, post=self._post_of(settled))
        elif isinstance(settled, EndLost):  # What was told of it is lost; who reads again goes on from what stands.
            self.ended = Ended(reason=VacancyReason.END_LOST)
        if settled is not None or self._reports.ready or self._gate.needs_reading:
            self.pump()

    def follow(self) -> None:
        """Reads what the traders of other areas have written, if nothing is under way. To be called now and then."""
        self._give_back()
        if self._seat.area and self._committer.is_idle and self.ended is None:
            self._committer.read_on()

    def on_stock_news(self, news: StockNews) -> None:
        """A trader of another area tells what an entry of its own left of the stock."""
        self._at_hand.on_pushed(news.deposits, news.place)

    def on_ledger_timer(self) -> None:
        """Time to try again what the ledger could not do."""
        self._committer.on_timer()

    def repeat(self, after_s: float) -> None:
        """Has another thread write the entry under way, if it has had no answer for `after_s`."""
        self._committer.repeat(after_s)

    @property
    def is_held(self) -> bool:
        """Whether the entry under way gets no answer, whichever thread writes it."""
        return self._committer.is_held

    def _post_of(self, taken: Taken) -> Post:
        """Returns the post as far as the entry in our place tells; its term is later than ours in any case."""
        entry = taken.entry
        if isinstance(entry, OfficeEntry):
            return Post(term=entry.term, trader=entry.trader, since_ms=entry.written_at_ms, uri=entry.uri)
        return Post(term=self.term + 1)

    def _on_appended(self, entry: TradeEntry) -> None:
        changes = self._state.take_in(entry)
        self._ctx.perform(changes)
        self._at_hand.on_own(entry, changes)
        self._on_taken_back(entry)
        for deposit in entry.deposits:
            self._pending.settle_deposit(deposit)
        told: dict[str, list[Outcome]] = {}
        for outcome in entry.outcomes:
            self._pending.settle(outcome)
            if outcome.sale is not None:
                self.sales += 1
                told.setdefault(outcome.sale.seller, []).append(outcome)
        for accepted in entry.queued:
            self._pending.on_queued(accepted)
        self._ctx.count("decisions", len(entry.outcomes))
        self._ctx.count("commits")
        notify(self._ctx, told)
        self._gate.on_own(self._committer.begun_s)
        self._group_commit.ended(len(entry.outcomes) + len(entry.deposits), len(self._pending))
        if is_resignation_due(self._sales_that_count, self._ctx.settings.market.resign_after_sales):
            self.leave(VacancyReason.RESIGNED)

    def _on_taken_back(self, entry: TradeEntry) -> None:
        """What the entry took back is known from now on; the sellers are answered, and the buyers told."""
        if not entry.recounts:
            return
        told: dict[str, list[Outcome]] = {}
        for outcome in entry.reversals:
            self._pending.take_back(outcome)
            told.setdefault(outcome.request.buyer, []).append(outcome)
        self._reports.on_appended(entry)
        notify(self._ctx, told)

    def _on_already_recorded(self, recorded: AlreadyRecorded) -> None:
        """Somebody asked again for what was recorded long ago: it is answered, and the entry drawn up without it."""
        before = len(self._pending)
        for outcome in recorded.outcomes:
            self._pending.settle(outcome)
        for deposit in recorded.deposits:
            # One that still held something would be in stock, and would have been known.
            self._pending.settle_deposit(msgspec.structs.replace(deposit, remaining=0))
        self._ctx.count("asked_again")
        if recorded.reversals:
            self._reports.look_again()
        elif len(self._pending) == before:  # The next entry would be the same, and be refused again.
            self.ended = Ended(reason=VacancyReason.BOOKS_CHANGED)

    def _on_too_large(self) -> None:
        """The entry is larger than was counted: it is drawn up anew with half as much, unless that is little."""
        self._ctx.count("entries_too_large")
        if not self._drafter.draw_smaller():
            self.give_up()

    # -- leaving -------------------------------------------------------------------------------------------

    def leave(self, reason: VacancyReason) -> None:
        """Takes in nothing more; ends the term once nothing is under way. Who stands in for another stays."""
        if not self._seat.stands_in:
            self._ctx.leadership.leave_office(reason)
            self.pump()

    @property
    def _sales_that_count(self) -> int:
        """How many sales bring nearer the end of the term; none do of one who stands in for another."""
        return 0 if self._seat.stands_in else self.sales

    def give_up(self) -> None:
        """Ends the term at once, for the ledger cannot be reached."""
        self.ended = Ended(reason=VacancyReason.BOOKS_AWAY)

    def close(self, *, trader: str | None, term: int) -> None:
        """Answers everybody who still waits: ask the next trader, with the same id."""
        refusal = not_in_office(trader, term, self._ctx.members)
        self._pending.refuse(refusal)
        self._gate.refuse(refusal)
        self._reads.refuse(refusal)
        self._reports.refuse(refusal)
        for call_id in self._leave_callers:
            self._answer(call_id, None)
        self._ctx.cancel_timer(self._seat.ledger_timer)
        self._ctx.cancel_timer(self._seat.gather_timer)
