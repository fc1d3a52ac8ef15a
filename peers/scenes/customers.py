"""Customers from outside who buy and deposit just what a scene needs, each on a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from peers.customer import Customer
from peers.rpc.forms.public_form import Document

_T = TypeVar("_T")

PATIENCE_S = 30.0
"""How long a customer asks on. No option: in a scene, trade goes on in a second."""


class SceneCustomer:
    """One customer. What it does is done one after another; a purchase that was only begun goes on meanwhile."""

    def __init__(self, name: str, host: str, port: int, *, clock: str, timeout_s: float, directory: Path) -> None:
        self.name = name
        self._customer = Customer(
            host, port, name=name, clock=clock, timeout_s=timeout_s, patience_s=PATIENCE_S, directory=directory
        )
        # Its own thread, for one that waits for an answer must not hold up others.
        self._thread = ThreadPoolExecutor(1, f"customer-{name}")

    def begin_buying(self, item: str, quantity: int = 1) -> asyncio.Future[Document]:
        """Sends a purchase; the outcome comes when it is decided. TownError (in the future) if it never is."""
        return self._do(lambda: self._customer.buy(item, quantity))

    async def buy(self, item: str, quantity: int = 1) -> Document:
        """Buys; returns the outcome as recorded. TownError if there is none in PATIENCE_S."""
        return await self.begin_buying(item, quantity)

    async def deposit(self, item: str, quantity: int, price: str) -> Document:
        """Deposits; returns the deposit as recorded. TownError likewise."""
        return await self._do(lambda: self._customer.deposit(item, quantity, price))

    async def search(self) -> list[Document]:
        """Returns what is on offer; it has found the trader then, and knows its clock. TownError likewise."""
        return await self._do(self._customer.search)

    def _do(self, work: Callable[[], _T]) -> asyncio.Future[_T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def close(self) -> None:
        """Lets go of its connections; gives up what is still unanswered."""
        self._customer.give_up()
        await self._do(self._customer.close)
        self._thread.shutdown(wait=False)


def stock_of(found: list[dict[str, Any]]) -> dict[str, int]:
    """Returns what a search found, in units by item."""
    stock: dict[str, int] = {}
    for row in found:
        stock[row["item"]] = stock.get(row["item"], 0) + int(row["remaining"])
    return stock
