"""The trader in office: takes requests and deposits in, decides them in order, has the ledger record it, answers.

The way of a request: *fresh* (accepted, in memory), *queued* (durable in the ledger's queue), *decided*. One commit
is under way at a time, and what arrives meanwhile shares the next one. What need not wait is recorded and decided in
the same transaction. What has waited for `queue_after_s` is written to the queue, by another lane: so a commit that
takes its usual time leaves nobody waiting there, and one that takes longer leaves nobody in memory alone. Nobody is
told anything before the ledger has it.

An office exists for one term. Whatever makes the trader's picture of the books doubtful ends it: a refused commit,
or books that are not as remembered. Only an unknown outcome is looked up first.
"""

from __future__ import annotations

import msgspec

from peers.core.calls import AskOutcome, Buy, Call, MakeDeposit, Reply, Search, Standing
from peers.core.commands import Answer, Tell
from peers.core.context import Context
from peers.core.docket import Docket, require_same
from peers.core.enquiries import Enquiries
from peers.core.gathering import Gathering
from peers.core.ledger import (
    AlreadyRecorded,
    Commit,
    Decision,
    Deposed,
    Done,
    Enqueue,
    Found,
    LedgerAway,
    LookUp,
    OfficeTaken,
    Operation,
    Result,
    Unknown,
)
from peers.core.market import Ruling, Stock, decide
from peers.core.names import rank_of
from peers.core.records import Accepted, Deposit, Offer, Outcome, Post, PurchaseRequest
from peers.core.reports import LedgerBack, LedgerTrouble
from peers.errors import BadRequest, NotTrader, PostClosed, WireError

MAX_AHEAD = 1_000_000
"""How far a caller's clock may be ahead of the trader's: a forged one must not use up the numbers there are."""

RETRY_LEDGER_S = 0.1
_SOON_S = 1e-6  # what is ripe that soon is ripe: a timer may come a rounding too early


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """Why an office is over: left of its own accord (`post` is None), or `post` stands at another term."""

    reason: str
    post: Post | None = None


class Office:
    """One term of office. `ended` is set when it is over; the peer looks at it after each input."""

    def __init__(self, ctx: Context, taken: OfficeTaken) -> None:
        self._ctx = ctx
        self.term = taken.post.term
        self.sales = 0
        self.ended: Ended | None = None
        self._seq = taken.post.seq
        self._arrival = taken.arrival
        self._stock = Stock(taken.stock)
        self._docket = Docket(ctx, taken.queue)
        self._gathering = Gathering(ctx)
        self._enquiries = Enquiries(ctx)
        self._committing: Commit | None = None
        self._rulings: tuple[Ruling, ...] = ()  # of the commit under way
        self._answered = True  # the commit's fate may still be unknown: then it is looked up
        self._enqueueing: Enqueue | None = None
        self._checking: LookUp | None = None
        self._queue_timer = False  # is set
        self._refused = False  # a write was, as recorded already: the look has to show what
        self._ledger_away = False  # until the next try
        self._trouble = False  # as people have been told
        self._leaving: str | None = None
        self._leave_callers: list[int] = []

    # -- what callers ask ----------------------------------------------------------------------------------

    def on_call(self, call_id: int, call: Call) -> None:
        try:
            if isinstance(call, Buy):
                self._on_buy(call_id, call.request)
            elif isinstance(call, MakeDeposit):
                self._on_deposit(call_id, call.offer)
            elif isinstance(call, AskOutcome):
                self._on_ask_outcome(call_id, call)
            elif isinstance(call, Search):
                self._answer(call_id, self._stock.on_offer(call.item))
            elif isinstance(call, Standing):
                self._enquiries.standing(call_id, call)
            else:
                self._leave_callers.append(call_id)
                self.leave("resigned")
        except WireError as error:
            self._answer(call_id, error)

    def on_caller_left(self, call_id: int) -> None:
        self._docket.caller_left(call_id)

    def _on_buy(self, call_id: int, request: PurchaseRequest) -> None:
        outcome = self._docket.outcome(request)
        if outcome is not None:
            self._answer(call_id, outcome)
            return
        if not self._docket.wait_for(request, call_id):
            self._accept(request, call_id)
        self.pump()

    def _accept(self, request: PurchaseRequest, call_id: int) -> None:
        self._open_for_business()
        self._count_event(request.clock.time, request)
        self._arrival += 1
        accepted = Accepted(
            request=request, arrival=self._arrival, queued_at_ms=self._ctx.now.wall_ms, queued_term=self.term
        )
        self._docket.add(accepted, call_id, self._ctx.now.mono_s)

    def _on_deposit(self, call_id: int, offer: Offer) -> None:
        if offer.seller == self._ctx.name:
            raise BadRequest(field="seller", why="is in office and sells nothing")
        if self._docket.wait_for_deposit(offer, call_id):
            return
        recorded = self._stock.get(offer.deposit_id)
        if recorded is not None:
            require_same("deposit_id", recorded.offer, offer)
            self._answer(call_id, self._as_recorded(recorded))
            return
        self._open_for_business()
        self._count_event(offer.clock.time, offer)
        self._docket.add_deposit(offer, call_id)
        self.pump()

    def _as_recorded(self, deposit: Deposit) -> Deposit:
        """The deposit without what the commit under way takes out of it: that may yet fail."""
        deposit_id = deposit.offer.deposit_id
        sales = [r.outcome for r in self._rulings if r.outcome.sale and r.outcome.sale.deposit == deposit_id]
        under_way = sum(outcome.request.quantity for outcome in sales)
        return msgspec.structs.replace(deposit, remaining=deposit.remaining + under_way)

    def _open_for_business(self) -> None:
        if self._leaving is not None:
            raise PostClosed(why="the trader is leaving office")

    def _count_event(self, time: int, stamped: PurchaseRequest | Offer) -> None:
        if time > self._ctx.clock.stamp().time + MAX_AHEAD:
            raise BadRequest(field="clock", why=f"is more than {MAX_AHEAD} ahead of the market's")
        self._ctx.clock.merge(stamped.clock)
        self._ctx.tick()

    def _on_ask_outcome(self, call_id: int, call: AskOutcome) -> None:
        known = self._docket.find(call.request_id)
        if known is not None:
            self._answer(call_id, known)
        else:
            self._enquiries.outcome(call_id, call)

    def _answer(self, call_id: int, reply: Reply | WireError) -> None:
        self._ctx.emit(Answer(call_id=call_id, reply=reply))

    # -- deciding ------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Starts the next commit if nothing stands in its way; what must wait for long goes to the queue."""
        if self._committing or self._checking or self._ledger_away:
            self._queue_fresh()
        elif self._enqueueing:
            pass  # soon over: what is being queued is decided together with what came after it, in order
        elif self._leaving is not None:
            self._queue_ripe(0.0)  # the successor shall find all that was accepted
            if self._enqueueing is None:
                self.ended = Ended(reason=self._leaving)
        elif self._docket and not self._gathering.is_worth_waiting(len(self._docket)):
            self._gathering.begins(len(self._docket))
            self._commit_batch()
            self._queue_fresh()  # those the batch had no room for

    def _commit_batch(self) -> None:
        deposits = tuple(
            Deposit(offer=offer, remaining=offer.quantity, deposited_at_ms=self._ctx.now.wall_ms, term=self.term)
            for offer in self._docket.offers()
        )
        for deposit in deposits:
            self._stock.add(deposit)
        self._rulings = tuple(self._decide_in_order())
        decisions = tuple(
            Decision(
                outcome=ruling.outcome,
                was_queued=self._docket.is_queued(ruling.outcome.request.request_id),
            )
            for ruling in self._rulings
        )
        self._committing = Commit(term=self.term, seq=self._seq, deposits=deposits, decisions=decisions)
        self._answered = False
        self._ctx.perform(self._committing)

    def _decide_in_order(self) -> list[Ruling]:
        market, timing = self._ctx.settings.market, self._ctx.settings.timing
        to_go = market.resign_after_sales - self.sales if market.resign_after_sales else timing.max_batch
        rulings: list[Ruling] = []
        for accepted in self._docket.in_order():
            if len(rulings) == timing.max_batch or to_go <= 0:
                break
            ruling = decide(
                accepted,
                self._stock,
                seq=self._seq + len(rulings) + 1,
                term=self.term,
                trader=self._ctx.name,
                now_ms=self._ctx.now.wall_ms,
                commission_rate=market.commission_rate,
            )
            rulings.append(ruling)
            to_go -= ruling.outcome.sale is not None
        return rulings

    def _queue_fresh(self) -> None:
        """Sees to it that what has to wait is queued, once it has waited for long enough to be worth it."""
        if self._queue_timer or self._enqueueing:
            return
        rest_s = self._queue_ripe(self._ctx.settings.timing.queue_after_s)
        if rest_s is not None:
            self._queue_timer = True
            self._ctx.set_timer("queue", rest_s)

    def _queue_ripe(self, after_s: float) -> float | None:
        """Queues what has waited for `after_s`; returns when there will be more to queue, None for never."""
        if self._enqueueing or self._checking or self._ledger_away:
            return None
        deciding = {r.outcome.request.request_id for r in self._rulings} if self._committing else set()
        now_s = self._ctx.now.mono_s
        fresh = self._docket.take_fresh(but=deciding, since_s=now_s - after_s + _SOON_S)
        if fresh:
            self._enqueueing = Enqueue(term=self.term, entries=fresh)
            self._ctx.perform(self._enqueueing)
        oldest_s = self._docket.oldest_fresh_s(but=deciding)
        return None if oldest_s is None else max(0.0, oldest_s + after_s - now_s)

    def on_gather_timer(self) -> None:
        """Those who were likely to come are there, or will not come."""
        if self.ended is None:
            self.pump()

    def on_queue_timer(self) -> None:
        """Something may have waited for long enough."""
        self._queue_timer = False
        if self.ended is None:
            self.pump()

    # -- what the ledger says ------------------------------------------------------------------------------

    def on_ledger(self, operation: Operation, result: Result) -> None:
        self._enquiries.on_ledger(operation, result)
        if operation not in (self._committing, self._enqueueing, self._checking):
            return
        if isinstance(result, Deposed):
            self.ended = Ended(reason="deposed", post=result.post)
            return
        self._refused |= isinstance(result, AlreadyRecorded)
        self._note_ledger(result)
        if operation == self._committing:
            self._on_commit(self._committing, result)
        elif operation == self._enqueueing:
            self._on_enqueue(self._enqueueing, result)
        elif isinstance(result, Found):
            self._on_checked(result)
        else:
            self._retry_later()
        if self.ended is None:
            self.pump()

    def on_ledger_timer(self) -> None:
        """Time to try again what the ledger could not do."""
        self._ledger_away = False
        self._look_up()
        self.pump()

    def _note_ledger(self, result: Result) -> None:
        away = isinstance(result, LedgerAway)
        if away and not self._trouble:
            self._ctx.say(LedgerTrouble(peer=self._ctx.name, why="no answer"))
        elif self._trouble and not isinstance(result, LedgerAway | Unknown):  # a lost answer says neither
            self._ctx.say(LedgerBack(peer=self._ctx.name))
        else:
            return
        self._trouble = away

    def _retry_later(self) -> None:
        self._ledger_away = True
        self._ctx.set_timer("ledger", RETRY_LEDGER_S)

    def _on_commit(self, commit: Commit, result: Result) -> None:
        self._answered = True
        if isinstance(result, Done):
            self._complete(commit)
            self._look_up()
        elif isinstance(result, LedgerAway):
            self._undo(commit)
            self._retry_later()
        else:
            requests = tuple(d.outcome.request.request_id for d in commit.decisions)
            self._check(requests, tuple(d.offer.deposit_id for d in commit.deposits))

    def _on_enqueue(self, enqueue: Enqueue, result: Result) -> None:
        self._enqueueing = None
        self._docket.was_queued(enqueue.entries, done=isinstance(result, Done))
        if isinstance(result, LedgerAway):
            self._retry_later()
        elif not isinstance(result, Done):
            self._check(tuple(a.request.request_id for a in enqueue.entries), ())

    def _check(self, request_ids: tuple[str, ...], deposit_ids: tuple[str, ...]) -> None:
        if self._checking is not None:
            request_ids += self._checking.request_ids
            deposit_ids += self._checking.deposit_ids
        self._checking = LookUp(request_ids=request_ids, deposit_ids=deposit_ids)
        self._look_up()

    def _look_up(self) -> None:
        """Looks up what is in doubt; not while a commit is on its way, which that look could just miss."""
        if self._checking is not None and self._answered:
            self._ctx.perform(self._checking)

    def _on_checked(self, found: Found) -> None:
        self._checking = None
        if found.post.term != self.term:
            self.ended = Ended(reason="deposed", post=found.post)
            return
        commit, settled = self._committing, False
        if commit is not None and found.post.seq == self._seq:
            self._undo(commit)
        elif commit is not None and _happened(commit, found):
            self._complete(commit)
            settled = True
        elif found.post.seq != self._seq:
            self.ended = Ended(reason="found the books changed")
            return
        for outcome in found.outcomes:
            self._docket.settle(outcome)
            settled = True
        for accepted in found.queued:
            settled |= self._docket.found_queued(accepted)
        for deposit in found.deposits:
            self._stock.add(deposit)
            self._docket.settle_deposit(deposit)
            settled = True
        self._ctx.count("looked_up_done" if settled else "looked_up_not_done")
        if self._refused and not settled:  # nor would it be accepted the next time
            self.ended = Ended(reason="found the books changed")
        self._refused = False

    # -- recorded, or not ----------------------------------------------------------------------------------

    def _complete(self, commit: Commit) -> None:
        self._committing, rulings, self._rulings = None, self._rulings, ()
        self._seq += len(commit.decisions)
        for deposit in commit.deposits:
            self._docket.settle_deposit(deposit)
        told: dict[str, list[Outcome]] = {}
        for ruling in rulings:
            self._docket.settle(ruling.outcome)
            if ruling.outcome.sale is not None:
                self.sales += 1
                told.setdefault(ruling.outcome.sale.seller, []).append(ruling.outcome)
        self._ctx.count("decisions", len(rulings))
        self._ctx.count("commits")
        for name, sales in told.items():
            seller = self._ctx.members.get(rank_of(name))
            if seller is not None and seller.up:
                self._ctx.emit(Tell(seller=seller, sales=tuple(sales)))
        self._gathering.ended(len(rulings) + len(commit.deposits), len(self._docket))
        if 0 < self._ctx.settings.market.resign_after_sales <= self.sales:
            self.leave("resigned")

    def _undo(self, commit: Commit) -> None:
        """Takes back what a commit that did not happen took out of the stock."""
        self._committing, rulings, self._rulings = None, self._rulings, ()
        for ruling in rulings:
            if ruling.source is not None:
                self._stock.give_back(ruling.source, ruling.outcome.request.quantity)
        for deposit in commit.deposits:
            self._stock.remove(deposit.offer.deposit_id)

    # -- leaving -------------------------------------------------------------------------------------------

    def leave(self, reason: str) -> None:
        """Takes in nothing more; ends the office once nothing is under way."""
        if self._leaving is None:
            self._leaving = reason
            self.pump()

    def close(self, *, trader: str | None, term: int) -> None:
        """Answers everybody who still waits: ask the next trader, with the same id."""
        refusal: WireError = NotTrader(trader=trader, term=term) if trader else PostClosed()
        self._docket.refuse(refusal)
        self._enquiries.refuse(refusal)
        for call_id in self._leave_callers:
            self._answer(call_id, None)
        self._ctx.cancel_timer("ledger")
        self._ctx.cancel_timer("queue")
        self._ctx.cancel_timer("gather")


def _happened(commit: Commit, found: Found) -> bool:
    """Whether the books hold just the decisions of `commit`, and none after them."""
    seqs = {outcome.request.request_id: outcome.seq for outcome in found.outcomes}
    all_there = all(seqs.get(d.outcome.request.request_id) == d.outcome.seq for d in commit.decisions)
    return all_there and found.post.seq == commit.seq + len(commit.decisions)
