"""The trader's docket: requests and deposits that are taken in and not yet recorded, and who waits for which.

It knows nothing of commits; the office says what was recorded, and the docket answers everybody who waited for it.
Whoever asks again with an id that is known waits along, or is answered at once; the same id with other contents is
refused.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container, Iterable
from typing import Literal

from peers.core.calls import Reply
from peers.core.commands import Answer
from peers.core.context import Context
from peers.core.records import Accepted, Deposit, Offer, Outcome, PurchaseRequest
from peers.errors import BadRequest, WireError

REMEMBERED = 4096
"""Outcomes a trader keeps at hand for those who ask again; older ones are looked up."""

Place = Literal["fresh", "queueing", "queued"]


class Entry:
    """A request that is accepted and not yet decided, and who waits for it."""

    __slots__ = ("accepted", "callers", "order", "place", "since_s")

    def __init__(self, accepted: Accepted, place: Place, since_s: float = 0.0) -> None:
        self.accepted = accepted
        self.since_s = since_s
        self.order = accepted.request.order
        self.place: Place = place
        self.callers: list[int] = []


class Docket:
    """What is pending in one office. `queue` is what it begins with: the requests its predecessors left."""

    def __init__(self, ctx: Context, queue: Iterable[Accepted]) -> None:
        self._ctx = ctx
        self._entries = {accepted.request.request_id: Entry(accepted, "queued") for accepted in queue}
        self._offers: dict[str, tuple[Offer, list[int]]] = {}
        self._decided: OrderedDict[str, Outcome] = OrderedDict()

    def __len__(self) -> int:
        """How many requests and deposits are pending."""
        return len(self._entries) + len(self._offers)

    # -- taking in -----------------------------------------------------------------------------------------

    def outcome(self, request: PurchaseRequest) -> Outcome | None:
        """Returns the outcome of a request decided not long ago; BadRequest if its id stood for another."""
        decided = self._decided.get(request.request_id)
        if decided is not None:
            require_same("request_id", decided.request, request)
        return decided

    def wait_for(self, request: PurchaseRequest, call_id: int) -> bool:
        """Lets a caller wait for a request that is pending; returns whether it is."""
        entry = self._entries.get(request.request_id)
        if entry is None:
            return False
        require_same("request_id", entry.accepted.request, request)
        entry.callers.append(call_id)
        return True

    def add(self, accepted: Accepted, call_id: int, now_s: float) -> None:
        entry = self._entries[accepted.request.request_id] = Entry(accepted, "fresh", now_s)
        entry.callers.append(call_id)

    def wait_for_deposit(self, offer: Offer, call_id: int) -> bool:
        """Lets a caller wait for a deposit that is pending; returns whether it is."""
        if offer.deposit_id not in self._offers:
            return False
        known, callers = self._offers[offer.deposit_id]
        require_same("deposit_id", known, offer)
        callers.append(call_id)
        return True

    def add_deposit(self, offer: Offer, call_id: int) -> None:
        self._offers[offer.deposit_id] = (offer, [call_id])

    def caller_left(self, call_id: int) -> None:
        for callers in [e.callers for e in self._entries.values()] + [c for _, c in self._offers.values()]:
            if call_id in callers:
                callers.remove(call_id)

    # -- what is pending -----------------------------------------------------------------------------------

    def find(self, request_id: str) -> Outcome | Accepted | None:
        """Returns what is known here of a request."""
        if request_id in self._decided:
            return self._decided[request_id]
        entry = self._entries.get(request_id)
        return entry.accepted if entry is not None else None

    def in_order(self) -> list[Accepted]:
        """The pending requests, lowest order first."""
        return [entry.accepted for entry in sorted(self._entries.values(), key=lambda e: e.order)]

    def offers(self) -> list[Offer]:
        """The pending deposits, in the order in which they came."""
        return [offer for offer, _ in self._offers.values()]

    def is_queued(self, request_id: str) -> bool:
        return self._entries[request_id].place == "queued"

    def take_fresh(self, *, but: Container[str], since_s: float) -> tuple[Accepted, ...]:
        """Returns what is not in the queue yet and has waited since `since_s` or longer, to be written there now."""
        ripe = [entry for entry in self._fresh(but) if entry.since_s <= since_s]
        for entry in ripe:
            entry.place = "queueing"
        return tuple(entry.accepted for entry in ripe)

    def oldest_fresh_s(self, *, but: Container[str]) -> float | None:
        """Returns since when something has waited outside the queue, None if nothing does."""
        return min((entry.since_s for entry in self._fresh(but)), default=None)

    def _fresh(self, but: Container[str]) -> list[Entry]:
        return [e for request_id, e in self._entries.items() if e.place == "fresh" and request_id not in but]

    def was_queued(self, entries: Iterable[Accepted], *, done: bool) -> None:
        """What `take_fresh` returned was written to the queue, or it was not (or that is in doubt)."""
        for accepted in entries:
            entry = self._entries.get(accepted.request.request_id)
            if entry is not None and entry.place == "queueing":
                entry.place = "queued" if done else "fresh"

    def found_queued(self, accepted: Accepted) -> bool:
        """The ledger's queue holds `accepted`; returns whether that was news."""
        request_id = accepted.request.request_id
        entry = self._entries.get(request_id)
        if entry is None:
            entry = self._entries[request_id] = Entry(accepted, "queued")
        was = entry.place
        entry.place, entry.accepted = "queued", accepted
        return was != "queued"

    # -- recorded ------------------------------------------------------------------------------------------

    def settle(self, outcome: Outcome) -> None:
        """The ledger holds `outcome`: everybody who waited for it is told."""
        request_id = outcome.request.request_id
        self._decided[request_id] = outcome
        if len(self._decided) > REMEMBERED:
            self._decided.popitem(last=False)
        entry = self._entries.pop(request_id, None)
        if entry is not None:
            same = entry.accepted.request == outcome.request
            self._answer(entry.callers, outcome if same else _used_before("request_id"))

    def settle_deposit(self, deposit: Deposit) -> None:
        """The ledger holds `deposit`: everybody who waited for it is told."""
        offer, callers = self._offers.pop(deposit.offer.deposit_id, (deposit.offer, []))
        self._answer(callers, deposit if offer == deposit.offer else _used_before("deposit_id"))

    def refuse(self, refusal: WireError) -> None:
        """Everybody who still waits is told to ask elsewhere, or again."""
        for entry in self._entries.values():
            self._answer(entry.callers, refusal)
        for _, callers in self._offers.values():
            self._answer(callers, refusal)

    def _answer(self, callers: Iterable[int], reply: Reply | WireError) -> None:
        for call_id in callers:
            self._ctx.emit(Answer(call_id=call_id, reply=reply))


def require_same(field: str, known: PurchaseRequest | Offer, asked: PurchaseRequest | Offer) -> None:
    """Raises BadRequest if an id is used again for something else."""
    if known != asked:
        raise _used_before(field)


def _used_before(field: str) -> BadRequest:
    return BadRequest(field=field, why="was used before with other contents")
