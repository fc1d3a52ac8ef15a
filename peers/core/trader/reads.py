"""What callers only want to read from the ledger: the outcome of a request, a seller's standing.

The trader looks it up on their behalf, once for all who ask the same at the same time. Nothing here changes anything,
so it waits for no entry. Where the ledger cannot be read, callers are told to ask again.

What became of a request is answered as of a moment after the call came (linearizable; Herlihy and Wing, 1990): it
waits until it is certain that this trader had read the whole log at such a moment (`read_gate`), and what is looked
up must have been read as far.
"""

from __future__ import annotations

from functools import partial

from peers.core.calls import AskOutcome, AskReversals, Reply, ReversalsReply, Standing, StandingReply
from peers.core.commands import Respond
from peers.core.context import Context
from peers.core.ledger.log import NOWHERE
from peers.core.ledger.port import FindReversals, FindSales, Found, LookUp, Operation, Result
from peers.core.ledger.post_state import PostState
from peers.core.market.records import Accepted, Outcome
from peers.core.trader.offered import as_of
from peers.core.trader.pending import PendingRequests
from peers.core.trader.read_gate import ReadGate
from peers.errors import PostClosed, WireError

Reading = LookUp | FindSales | FindReversals


class LedgerReads:
    """The readings under way in one term, and who waits for which."""

    def __init__(
        self, ctx: Context, state: PostState, pending: PendingRequests, gate: ReadGate, area: str = ""
    ) -> None:
        self._ctx = ctx
        self._state = state
        self._pending = pending
        self._gate = gate
        self._area = area
        self._waiting: dict[Reading, list[int]] = {}
        # By the number of a call, how far what is looked up for it must have been read.
        self._least: dict[int, int] = {}
        # By reading of reversals: the last place of the log, and the last reversal, when it was asked for.
        self._asked_at: dict[FindReversals, tuple[int, int]] = {}

    def outcome(self, call_id: int, call: AskOutcome) -> None:
        """Answers what became of a request: out of what is known here, or it is looked up."""
        self._gate.let_through(self._ctx.now.mono_s, partial(self._on_certain, call_id, call))

    def _on_certain(self, call_id: int, call: AskOutcome, refusal: WireError | None) -> None:
        now = as_of(self._state, self._area)
        if refusal is None and call.since and not now.reaches(call.since, shared=bool(self._area)):
            refusal = PostClosed(why="the books have not got as far as you were told")
        known = self._pending.recorded(call.request_id)
        if refusal is not None or known is not None:
            self._ctx.emit(Respond(call_id=call_id, reply=known if refusal is None else refusal))
            return
        if self._ctx.settings.ledger.write_level == "majority":  # Below it, what this trader has read may be lost.
            self._least[call_id] = self._state.place
        self._read(LookUp(request_ids=(call.request_id,)), call_id)

    def standing(self, call_id: int, call: Standing) -> None:
        self._read(FindSales(seller=call.seller, after_seq=call.after_seq), call_id)

    def reversals(self, call_id: int, call: AskReversals, state: PostState) -> None:
        operation = FindReversals(customer=call.customer, after=call.after)
        self._asked_at.setdefault(operation, (state.place, state.post.reversals))
        self._read(operation, call_id)

    def _read(self, operation: Reading, call_id: int) -> None:
        waiting = self._waiting.setdefault(operation, [])
        waiting.append(call_id)
        if len(waiting) == 1:
            self._ctx.perform(operation)

    def on_ledger(self, operation: Operation, result: Result) -> None:
        """Answers those who wait for this reading, if anybody does."""
        if isinstance(operation, Reading):
            callers = self._waiting.pop(operation, [])
            callers = self._look_again_for(callers, operation, result)
            if isinstance(operation, FindReversals):
                place, latest = self._asked_at.pop(operation, (NOWHERE, 0))
                self._answer(callers, _reversals(operation, result, place, latest))
            else:
                self._answer(callers, _reply(operation, result))

    def _look_again_for(self, callers: list[int], operation: Reading, result: Result) -> list[int]:
        """Looks again for those who came after the reading had begun, and must be told more; returns the others."""
        if not isinstance(result, Found):
            for call_id in callers:
                self._least.pop(call_id, None)
            return callers
        late = [each for each in callers if self._least.get(each, NOWHERE) > result.place]
        for call_id in callers:
            if call_id in late:
                self._read(operation, call_id)
            else:
                self._least.pop(call_id, None)
        return [each for each in callers if each not in late]

    def refuse(self, refusal: WireError) -> None:
        """Answers everybody who waits with `refusal`."""
        for callers in self._waiting.values():
            self._answer(callers, refusal)

    def _answer(self, callers: list[int], reply: Reply | WireError) -> None:
        for call_id in callers:
            self._ctx.emit(Respond(call_id=call_id, reply=reply))


def _reversals(operation: FindReversals, result: Result, place: int, latest: int) -> Reply | WireError:
    """Returns the answer. It goes up to `latest`, unless there are more, or the reading stopped short of `place`."""
    if not isinstance(result, Found):
        return PostClosed(why="the books cannot be reached")
    numbers = [each.taken_back.number for each in result.outcomes if each.taken_back is not None]
    upto = max(numbers, default=operation.after)
    if result.place >= place and len(numbers) < operation.limit:
        upto = max(upto, latest)
    return ReversalsReply(reversals=result.outcomes, upto=upto)


def _reply(operation: LookUp | FindSales, result: Result) -> Reply | WireError:
    if not isinstance(result, Found):
        return PostClosed(why="the books cannot be reached")
    if isinstance(operation, FindSales):
        return StandingReply(sales=result.outcomes, deposits=result.deposits)
    recorded: tuple[Outcome | Accepted, ...] = result.outcomes + result.queued
    return recorded[0] if recorded else None
