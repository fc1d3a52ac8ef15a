"""Customers who buy one thing after another on a stage, and what they were told, so that it can be held against the
books."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from itertools import pairwise

import msgspec

from peers.rpc.forms.public_form import Document
from peers.scenes.stage import Stage
from peers.scenes.verdict import NotSeen
from peers.town.database.books import Books

ITEM = "fish"
PRICE = "2.50"
STOCK = 100_000
_TELL_S = 1.0


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase that a customer was told of: when (monotonic), and as which in number it was decided."""

    request_id: str
    seq: int
    at_s: float


class Crowd:
    """`names` buy for as long as this is open, one unit at a time, from a stock that `owner` brings."""

    def __init__(self, stage: Stage, names: tuple[str, ...], owner: str = "olga") -> None:
        self._stage = stage
        self._owner = stage.customer(owner)
        self._buyers = [stage.customer(name) for name in names]
        self._tasks: list[asyncio.Task[None]] = []
        self._enough = False
        self.told: list[Told] = []
        self.in_vain: list[Document] = []

    async def open(self) -> None:
        """Brings the goods, and lets everybody in."""
        await self._owner.deposit(ITEM, STOCK, PRICE)
        names = ", ".join(buyer.name for buyer in self._buyers)
        self._stage.say(f"{self._owner.name} brings {STOCK:,} {ITEM}; {names} buy one after another, without a pause")
        self._tasks = [asyncio.create_task(self._buy(number)) for number in range(len(self._buyers))]
        self._tasks.append(asyncio.create_task(self._count()))

    async def close(self) -> None:
        """Lets everybody finish what they are about; raises what one of them ended with."""
        self._enough = True
        *buying, counting = self._tasks
        try:
            await asyncio.gather(*buying)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(counting, *buying, return_exceptions=True)

    async def more(self, count: int) -> None:
        """Returns once so many more were told than now. NotSeen if they are not."""
        wanted = len(self.told) + count

        async def enough() -> bool | None:
            for task in self._tasks:
                if task.done():
                    await task  # It ended with an error, which is told.
                    raise NotSeen("a customer stopped buying")
            return len(self.told) >= wanted or None

        await self._stage.until(enough, f"{count} more purchases")

    def longest_gap_s(self, since_s: float) -> float:
        """Returns the longest time since then (monotonic) in which nobody was told anything."""
        moments = [since_s, *(told.at_s for told in self.told if told.at_s > since_s)]
        return max((after - before for before, after in pairwise(moments)), default=0.0)

    async def _buy(self, number: int) -> None:
        while not self._enough:
            outcome = await self._buyers[number].buy(ITEM)
            if outcome["status"] == "sold":
                self.told.append(Told(request_id=outcome["request_id"], seq=outcome["seq"], at_s=time.monotonic()))
            else:
                self.in_vain.append(outcome)

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(_TELL_S)
            self._stage.say(f"{len(self.told):,} purchases so far, all of them acknowledged")

    async def prove(self) -> None:
        """Holds what was told against the books, and takes down what is seen."""

        def recorded(books: Books) -> dict[str, int]:
            return {sale.request_id: sale.seq for sale in books.sales()}

        books = await self._stage.in_books(recorded)
        lost = [told for told in self.told if told.request_id not in books]
        moved = [told for told in self.told if books.get(told.request_id, told.seq) != told.seq]
        told = {each.request_id for each in self.told}
        rows = [row for row in await self._owner.search() if row["seller"] == self._owner.name]
        left = sum(int(row["remaining"]) for row in rows)
        check = self._stage.check
        check(f"of {len(self.told):,} acknowledged purchases, this many are missing in the books", len(lost), 0)
        check("this many are there as another decision than the buyer was told", len(moved), 0)
        check("this many were acknowledged twice", len(self.told) - len(told), 0)
        check("this many sales are in the books that nobody was told of", len(books.keys() - told), 0)
        check(f"{ITEM} gone from the stock", STOCK - left, len(self.told))
        worth = Decimal(PRICE) * len(self.told)
        self._stage.say(f"the books have every one of the {len(self.told):,} purchases, worth {worth:,}")


def in_words(gap_s: float) -> str:
    """Returns a time that people waited."""
    return f"{gap_s * 1000:.0f} ms" if gap_s < 1 else f"{gap_s:.1f} s"
