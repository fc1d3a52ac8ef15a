"""What callers only want to read from the ledger: the outcome of a request long decided, a seller's standing.

The trader looks it up on their behalf, once for all who ask the same at the same time. Nothing here changes anything,
so it waits for no entry. Where the ledger cannot be read, callers are told to ask again.
"""

from __future__ import annotations

from peers.core.calls import AskOutcome, AskReversals, Reply, ReversalsReply, Standing, StandingReply
from peers.core.commands import Respond
from peers.core.context import Context
from peers.core.ledger.port import FindReversals, FindSales, Found, LookUp, Operation, Result
from peers.core.market.records import Accepted, Outcome
from peers.errors import PostClosed, WireError

Reading = LookUp | FindSales | FindReversals


class LedgerReads:
    """The readings under way in one term, and who waits for which."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._waiting: dict[Reading, list[int]] = {}

    def outcome(self, call_id: int, call: AskOutcome) -> None:
        self._read(LookUp(request_ids=(call.request_id,)), call_id)

    def standing(self, call_id: int, call: Standing) -> None:
        self._read(FindSales(seller=call.seller, after_seq=call.after_seq), call_id)

    def reversals(self, call_id: int, call: AskReversals) -> None:
        self._read(FindReversals(customer=call.customer, after=call.after), call_id)

    def _read(self, operation: Reading, call_id: int) -> None:
        waiting = self._waiting.setdefault(operation, [])
        waiting.append(call_id)
        if len(waiting) == 1:
            self._ctx.perform(operation)

    def on_ledger(self, operation: Operation, result: Result) -> None:
        """Answers those who wait for this reading, if anybody does."""
        if isinstance(operation, Reading):
            self._answer(self._waiting.pop(operation, ()), _reply(operation, result))

    def refuse(self, refusal: WireError) -> None:
        """Answers everybody who waits with `refusal`."""
        for callers in self._waiting.values():
            self._answer(callers, refusal)

    def _answer(self, callers: list[int] | tuple[()], reply: Reply | WireError) -> None:
        for call_id in callers:
            self._ctx.emit(Respond(call_id=call_id, reply=reply))


def _reply(operation: Reading, result: Result) -> Reply | WireError:
    if not isinstance(result, Found):
        return PostClosed(why="the books cannot be reached")
    if isinstance(operation, FindSales):
        return StandingReply(sales=result.outcomes, deposits=result.deposits)
    if isinstance(operation, FindReversals):
        numbers = [each.taken_back.number for each in result.outcomes if each.taken_back is not None]
        return ReversalsReply(reversals=result.outcomes, upto=max(numbers, default=operation.after))
    recorded: tuple[Outcome | Accepted, ...] = result.outcomes + result.queued
    return recorded[0] if recorded else None
