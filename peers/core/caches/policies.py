"""The policies there are. Each keeps a shelf, but for the one that keeps nothing."""

from __future__ import annotations

from typing import ClassVar

from peers.core.caches.base import StockCache
from peers.core.caches.leased import Leased
from peers.core.caches.shelf import Shelf
from peers.core.commands import Send
from peers.core.context import Context
from peers.core.ledger.log import Leasing
from peers.core.ledger.post_state import PostState
from peers.core.market.records import Deposit, Foretold, PurchaseRequest
from peers.core.market.stock import Draft
from peers.core.membership.members import trader_at
from peers.core.messages import StockNews
from peers.core.trader.seat import Seat


class _LeasesNothing:
    """Most policies set nothing aside: what they promise, they only believe to be there."""

    has_idle_leases = False

    def pinned(self, _request_id: str) -> str | None:
        return None

    def leases(self, _goods: Draft) -> tuple[Leasing, ...]:
        return ()


class NoCache(_LeasesNothing):
    """Nothing is kept: a search reads the log first, and nothing is promised."""

    name: ClassVar[str] = "none"
    sentence: ClassVar[str] = "nothing is kept at hand; a search reads the log first, and nobody is promised anything"

    def __init__(self, _ctx: Context, state: PostState, seat: Seat) -> None:
        self._state = state
        self._is_alone = not seat.area

    def offers(self, item: str | None) -> tuple[Deposit, ...] | None:
        # Who shares the log with nobody has read all there is.
        return self._state.stock.on_offer(item) if self._is_alone else None

    def foretell(self, _request: PurchaseRequest, _excluded: tuple[str, ...]) -> Foretold | None:
        return None

    def settle(self, request_id: str) -> None: ...
    def on_own(self, deposits: tuple[Deposit, ...], place: int) -> None: ...
    def on_read(self, deposits: tuple[Deposit, ...], place: int) -> None: ...
    def on_end(self) -> None: ...
    def on_pushed(self, deposits: tuple[Deposit, ...], place: int) -> None: ...


class WriteThrough(_LeasesNothing):
    """The trader's own entries are on the shelf as soon as they stand; those of others once it has read them."""

    name: ClassVar[str] = "write-through"
    sentence: ClassVar[str] = "it learns of its own sales at once, and of others' when it reads on in the log"

    def __init__(self, ctx: Context, state: PostState, seat: Seat) -> None:
        self._ctx = ctx
        self._state = state
        self._seat = seat
        self._shelf = Shelf(state.stock.on_offer(), state.place)

    def offers(self, item: str | None) -> tuple[Deposit, ...] | None:
        self._ctx.count("cache_hits")
        return self._shelf.on_offer(item)

    def foretell(self, request: PurchaseRequest, excluded: tuple[str, ...]) -> Foretold | None:
        self._ctx.count("cache_hits")
        return "promised" if self._shelf.promise(request, excluded) else "refused"

    def settle(self, request_id: str) -> None:
        self._shelf.release(request_id)

    def on_own(self, deposits: tuple[Deposit, ...], place: int) -> None:
        self._shelf.update(deposits, place)

    def on_read(self, deposits: tuple[Deposit, ...], place: int) -> None:
        self._shelf.update(deposits, place)

    def on_end(self) -> None:
        """The shelf has all of it."""

    def on_pushed(self, deposits: tuple[Deposit, ...], place: int) -> None:
        """This policy does not listen."""


class Pushed(WriteThrough):
    """As write-through; and each trader tells the others of each entry of its own, as soon as it stands."""

    name: ClassVar[str] = "push"
    sentence: ClassVar[str] = "others tell it of each of their sales, which may come late or get lost"

    def on_own(self, deposits: tuple[Deposit, ...], place: int) -> None:
        super().on_own(deposits, place)
        news = StockNews(place=place, deposits=deposits)
        for holder in self._state.post.areas:
            if deposits and holder.trader != self._ctx.name:
                self._ctx.emit(Send(to=trader_at(holder.trader, holder.uri), message=news))

    def on_pushed(self, deposits: tuple[Deposit, ...], place: int) -> None:
        self._ctx.count("cache_pushed")
        self._shelf.update(deposits, place)


class TimeToLive(WriteThrough):
    """What is on the shelf counts for `cache_ttl_s`, less this trader's own sales; then all of it is read again."""

    name: ClassVar[str] = "ttl"
    sentence: ClassVar[str] = "what it has read counts for cache_ttl_s, and is read again after that"

    def __init__(self, ctx: Context, state: PostState, seat: Seat) -> None:
        super().__init__(ctx, state, seat)
        self._read_s = ctx.now.mono_s

    @property
    def _is_stale(self) -> bool:
        return self._ctx.now.mono_s - self._read_s > self._ctx.settings.market.cache_ttl_s

    def offers(self, item: str | None) -> tuple[Deposit, ...] | None:
        if self._is_stale:
            self._ctx.count("cache_misses")
            return None
        return super().offers(item)

    def foretell(self, request: PurchaseRequest, excluded: tuple[str, ...]) -> Foretold | None:
        if self._is_stale:
            self._ctx.count("cache_misses")
            return None
        return super().foretell(request, excluded)

    def on_own(self, deposits: tuple[Deposit, ...], place: int) -> None:
        """An entry of this trader stands, so it has read all before it: a good moment to read the shelf again."""
        super().on_own(deposits, place)
        self.on_end()

    def on_read(self, deposits: tuple[Deposit, ...], place: int) -> None:
        """It is not looked at before its time."""

    def on_end(self) -> None:
        self._refresh()

    def _refresh(self) -> None:
        if self._is_stale:
            self._shelf.reset(self._state.stock.on_offer(), self._state.place)
            self._read_s = self._ctx.now.mono_s


POLICIES: dict[str, type[NoCache | WriteThrough | Leased]] = {
    policy.name: policy for policy in (NoCache, WriteThrough, Pushed, TimeToLive, Leased)
}
"""The policies by name, as `market.cache` names them."""


def make_cache(ctx: Context, state: PostState, seat: Seat) -> StockCache:
    """Returns the cache of one term, which begins with `state`. Who shares the log with nobody needs none."""
    return POLICIES[ctx.settings.market.cache if seat.area else NoCache.name](ctx, state, seat)
