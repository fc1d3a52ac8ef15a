"""The cache that promises only what the warehouse has set aside for it, so that no promise of its is broken.

Some units of what people ask for are leased to the trader's area in the log, with entries that are written anyway
(the escrow method, O'Neil, 1986). They are sold by that trader only, and only to whom it has promised them. For all
else the warehouse is asked, so nothing is refused early either. What nobody has asked for in a while is given back.
Two things can still break a promise: the seller of the goods takes office, or loses them.
"""

from __future__ import annotations

from typing import ClassVar

from peers.core.context import Context
from peers.core.ledger.log import Leasing
from peers.core.ledger.post_state import PostState
from peers.core.market.records import Deposit, Foretold, PurchaseRequest
from peers.core.market.stock import Draft, key_of
from peers.core.trader.seat import Seat


class Leased:
    """Promises out of what is leased to its area."""

    name: ClassVar[str] = "lease"
    sentence: ClassVar[str] = "it promises only what the log has set aside for it, so no promise is broken"

    def __init__(self, ctx: Context, state: PostState, seat: Seat) -> None:
        self._ctx = ctx
        self._state = state
        self._area = seat.area
        # By request, the deposit that something was promised out of, and how many units.
        self._promised: dict[str, tuple[str, int]] = {}
        # By item, when somebody asked for it last, in seconds of the monotonic clock.
        self._asked_s: dict[str, float] = {}
        # By deposit, what the entry under way gives back.
        self._giving: dict[str, int] = {}

    def offers(self, item: str | None) -> tuple[Deposit, ...] | None:
        self._ctx.count("cache_hits")
        return self._state.stock.on_offer(item)

    def foretell(self, request: PurchaseRequest, excluded: tuple[str, ...]) -> Foretold | None:
        self._asked_s[request.item] = self._ctx.now.mono_s
        stock = self._state.stock
        ours = (stock.holding(deposit_id)[0] for deposit_id in stock.leased_to(self._area))
        for deposit in sorted((each for each in ours if each.offer.item == request.item), key=key_of):
            deposit_id = deposit.offer.deposit_id
            if self._unpromised(deposit_id) >= request.quantity and deposit.offer.seller not in excluded:
                self._promised[request.request_id] = deposit_id, request.quantity
                self._ctx.count("cache_hits")
                return "promised"
        self._ctx.count("cache_misses")
        return None

    def _unpromised(self, deposit_id: str) -> int:
        promised = sum(units for each, units in self._promised.values() if each == deposit_id)
        return self._state.stock.leased(deposit_id, self._area) - promised - self._giving.get(deposit_id, 0)

    def pinned(self, request_id: str) -> str | None:
        return self._promised[request_id][0] if request_id in self._promised else None

    def settle(self, request_id: str) -> None:
        self._promised.pop(request_id, None)

    def on_own(self, deposits: tuple[Deposit, ...], place: int) -> None:
        """What is leased stands in the state."""
        del deposits, place
        self._giving = {}

    def on_read(self, deposits: tuple[Deposit, ...], place: int) -> None:
        """Nobody else sells what is leased here."""

    def on_end(self) -> None:
        """Nobody else sells what is leased here."""

    def on_pushed(self, deposits: tuple[Deposit, ...], place: int) -> None:
        """Nobody else sells what is leased here."""

    @property
    def has_idle_leases(self) -> bool:
        return any(self._is_idle(self._item_of(each)) for each in self._state.stock.leased_to(self._area))

    def leases(self, goods: Draft) -> tuple[Leasing, ...]:
        self._giving = {}
        changes: list[Leasing] = []
        held: dict[str, dict[str, int]] = {}
        for deposit_id in self._state.stock.leased_to(self._area):
            held.setdefault(self._item_of(deposit_id), {})[deposit_id] = goods.leased(deposit_id, self._area)
        for item in self._state.stock.items():
            ours = held.get(item, {})
            if self._is_idle(item):
                changes += self._give_back(ours)
            elif 2 * sum(ours.values()) < self._ctx.settings.market.cache_lease:
                changes += self._take_more(item, ours, goods)
        return tuple(changes)

    def _give_back(self, ours: dict[str, int]) -> list[Leasing]:
        promised = {deposit_id for deposit_id, _ in self._promised.values()}
        idle = [deposit_id for deposit_id, units in ours.items() if units and deposit_id not in promised]
        self._giving.update((deposit_id, ours[deposit_id]) for deposit_id in idle)
        return [Leasing(deposit=deposit_id, units=0) for deposit_id in idle]

    def _take_more(self, item: str, ours: dict[str, int], goods: Draft) -> list[Leasing]:
        """Of what is free each area may set aside its share, so that the first to come leaves something to others."""
        wanted = self._ctx.settings.market.cache_lease - sum(ours.values())
        areas = max(2, len(self._state.post.areas))
        taken: list[Leasing] = []
        for deposit_id in goods.that_may_have_free(item, areas):
            if wanted <= 0:
                break
            units = min(wanted, goods.free(deposit_id) // areas)
            if units > 0:
                taken.append(Leasing(deposit=deposit_id, units=ours.get(deposit_id, 0) + units))
                wanted -= units
        return taken

    def _is_idle(self, item: str) -> bool:
        asked_s = self._asked_s.get(item)
        return asked_s is None or self._ctx.now.mono_s - asked_s > self._ctx.settings.market.cache_ttl_s

    def _item_of(self, deposit_id: str) -> str:
        deposit, _ = self._state.stock.holding(deposit_id)
        return deposit.offer.item
