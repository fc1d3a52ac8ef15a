"""What is pending in one term: requests and deposits that are taken in and not yet recorded, and who waits for which.

It knows nothing of the log; the term says what was recorded, and everybody who waited for it is answered. Whoever
asks again with an id that is known waits along, or is answered at once; the same id with other contents is refused.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from peers.core.calls import Reply
from peers.core.commands import Respond
from peers.core.context import Context
from peers.core.market.records import Accepted, Deposit, Foretold, Offer, Outcome, PurchaseRequest
from peers.errors import BadRequest, WireError

REMEMBERED = 4096
"""Outcomes a trader keeps at hand for those who ask again; older ones are looked up."""


class PendingRequest:
    """A request that is accepted and not yet decided, and the calls that wait for it.

    `queued` says whether the log has it; `since_s` is the monotonic time of its acceptance; `foretold` is what its
    buyer was told out of a cache, and `in_vain` says that it was refused so while there was some.
    """

    __slots__ = ("accepted", "callers", "foretold", "in_vain", "pinned", "queued", "since_s", "sort_key")

    def __init__(self, accepted: Accepted, *, queued: bool, since_s: float = 0.0) -> None:
        self.accepted = accepted
        self.queued = queued
        self.since_s = since_s
        self.sort_key = accepted.request.sort_key
        self.callers: list[int] = []
        self.foretold: Foretold | None = None
        self.in_vain = False
        self.pinned: str | None = None  # The deposit of which so much is leased for its promise.


class PendingRequests:
    """What is pending in one term. `queue` is what it begins with: the requests its predecessors left."""

    def __init__(self, ctx: Context, queue: Iterable[Accepted]) -> None:
        self._ctx = ctx
        self._requests = {accepted.request.request_id: PendingRequest(accepted, queued=True) for accepted in queue}
        self._offers: dict[str, tuple[Offer, list[int]]] = {}
        self._decided: OrderedDict[str, Outcome] = OrderedDict()

    def __len__(self) -> int:
        """How many requests and deposits are pending."""
        return len(self._requests) + len(self._offers)

    @property
    def deposits(self) -> int:
        """How many deposits are pending."""
        return len(self._offers)

    # -- taking in -----------------------------------------------------------------------------------------

    def outcome(self, request: PurchaseRequest) -> Outcome | None:
        """Returns the outcome of a request decided not long ago. Raises BadRequest if its id stood for another."""
        decided = self._decided.get(request.request_id)
        if decided is not None:
            require_same("request_id", decided.request, request)
        return decided

    def wait_for(self, request: PurchaseRequest, call_id: int) -> bool:
        """Lets a caller wait for a request that is pending; returns whether it is. Raises BadRequest likewise."""
        pending = self._requests.get(request.request_id)
        if pending is None:
            return False
        require_same("request_id", pending.accepted.request, request)
        pending.callers.append(call_id)
        return True

    def add(self, accepted: Accepted, call_id: int, now_s: float) -> PendingRequest:
        """Takes in a request that is new here; returns it as it is pending."""
        pending = PendingRequest(accepted, queued=False, since_s=now_s)
        pending.callers.append(call_id)
        self._requests[accepted.request.request_id] = pending
        return pending

    def wait_for_deposit(self, offer: Offer, call_id: int) -> bool:
        """Lets a caller wait for a deposit that is pending; returns whether it is. Raises BadRequest likewise."""
        if offer.deposit_id not in self._offers:
            return False
        known, callers = self._offers[offer.deposit_id]
        require_same("deposit_id", known, offer)
        callers.append(call_id)
        return True

    def add_deposit(self, offer: Offer, call_id: int) -> None:
        self._offers[offer.deposit_id] = (offer, [call_id])

    def caller_left(self, call_id: int) -> None:
        for callers in [p.callers for p in self._requests.values()] + [c for _, c in self._offers.values()]:
            if call_id in callers:
                callers.remove(call_id)

    # -- what is pending -----------------------------------------------------------------------------------

    def recorded(self, request_id: str) -> Outcome | Accepted | None:
        """Returns what the log has of a request, as far as that is at hand.

        Not what was only taken in: it may have been asked for before, and decided so long ago that only the log
        knows, which refuses it when it is written."""
        if request_id in self._decided:
            return self._decided[request_id]
        pending = self._requests.get(request_id)
        return pending.accepted if pending is not None and pending.queued else None

    def in_order(self) -> list[PendingRequest]:
        """The pending requests, lowest clock first."""
        return sorted(self._requests.values(), key=lambda pending: pending.sort_key)

    def was_refused_in_vain(self, request_id: str) -> bool:
        """Whether a pending request was refused out of a cache while there was what it asks for."""
        pending = self._requests.get(request_id)
        return pending is not None and pending.in_vain

    def offers(self) -> list[Offer]:
        """The pending deposits, in the order in which they came."""
        return [offer for offer, _ in self._offers.values()]

    def not_queued(self) -> list[PendingRequest]:
        """The pending requests that only this trader knows of."""
        return [pending for pending in self._requests.values() if not pending.queued]

    def renumber(self, after: int) -> int:
        """Numbers the requests that only this trader knows of anew, in their order, the first one `after` + 1.

        Returns the last number. To be called when another trader of the same log has used these numbers."""
        for pending in self.not_queued():
            after += 1
            pending.accepted = msgspec.structs.replace(pending.accepted, arrival=after)
        return after

    def refuse_one(self, request_id: str, refusal: WireError) -> None:
        """Lets go of a request that waits elsewhere, as it turned out: whoever waits for it here is told so."""
        pending = self._requests.pop(request_id, None)
        if pending is not None:
            self._answer(pending.callers, refusal)

    # -- recorded ------------------------------------------------------------------------------------------

    def on_queued(self, accepted: Accepted) -> None:
        """The log holds `accepted`, undecided: it waits there, whether or not it was pending here."""
        pending = self._requests.setdefault(accepted.request.request_id, PendingRequest(accepted, queued=True))
        pending.queued, pending.accepted = True, accepted

    def settle(self, outcome: Outcome) -> None:
        """The log holds `outcome`: everybody who waited for it is told."""
        request_id = outcome.request.request_id
        self._decided[request_id] = outcome
        if len(self._decided) > REMEMBERED:
            self._decided.popitem(last=False)
        pending = self._requests.pop(request_id, None)
        if pending is not None:
            same = pending.accepted.request == outcome.request
            self._answer(pending.callers, outcome if same else _used_before("request_id"))

    def take_back(self, outcome: Outcome) -> None:
        """The log holds that a sale was taken back: who asks again for what was decided is told so."""
        if outcome.request.request_id in self._decided:
            self._decided[outcome.request.request_id] = outcome

    def settle_deposit(self, deposit: Deposit) -> None:
        """The log holds `deposit`: everybody who waited for it is told."""
        offer, callers = self._offers.pop(deposit.offer.deposit_id, (deposit.offer, []))
        self._answer(callers, deposit if offer == deposit.offer else _used_before("deposit_id"))

    def refuse(self, refusal: WireError) -> None:
        """Answers everybody who still waits with `refusal`: to ask elsewhere, or again."""
        for pending in self._requests.values():
            self._answer(pending.callers, refusal)
        for _, callers in self._offers.values():
            self._answer(callers, refusal)

    def _answer(self, callers: Iterable[int], reply: Reply | WireError) -> None:
        for call_id in callers:
            self._ctx.emit(Respond(call_id=call_id, reply=reply))


def require_same(field: str, known: PurchaseRequest | Offer, asked: PurchaseRequest | Offer) -> None:
    """Raises BadRequest if an id is used again for something else."""
    if known != asked:
        raise _used_before(field)


def _used_before(field: str) -> BadRequest:
    return BadRequest(field=field, why="was used before with other contents")
