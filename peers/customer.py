"""A customer from outside: it is no peer, but buys, deposits and asks like one.

It knows the name server and nothing else. Whatever happens to the trader, it asks again, with the same id, of whoever
is trader now, until there is an answer or its patience ends. For tests, chaos runs and benches.
"""

from __future__ import annotations

import random
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any

from nameserver.client import NameServerClient
from peers.core.market.limits import checked, read_price
from peers.core.market.records import Offer, PurchaseRequest
from peers.core.membership.clocks import Clock, make_clock
from peers.errors import BadRequest, NotTrader, PostClosed, TownError, WireError
from peers.rpc.public_form import Document, offer_dict, request_dict, stamp_of
from peers.rpc.rpc_connection import CallFailed, RpcConnection
from peers.runtime.journal import Journal

FIRST_WAIT_S = 0.005
LONGEST_WAIT_S = 0.25


class Customer:
    """One customer, for one thread. With the `directory` of a town, it keeps a journal there for the audit.

    `timeout_s` bounds one call, `patience_s` all tries to have one thing answered. `tries` counts all calls to
    traders, those in vain included. `area` is whose post it trades at, in a town with several.

    Raises BadRequest at once for a name, a quantity, a price or an id beyond the limits of the market
    (`peers.core.market.limits`), and for what the trader refuses; TownError if there is no answer in `patience_s`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        name: str | None = None,
        clock: str = "lamport",
        timeout_s: float = 2.0,
        patience_s: float = 30.0,
        directory: Path | None = None,
        area: str = "",
    ) -> None:
        self.name = str(checked("buyer", name or f"customer-{uuid.uuid4().hex[:8]}"))
        self.tries = 0
        self._names = NameServerClient(host, port, timeout_s)
        self._clock: Clock = make_clock(clock, self.name)
        self._area = area
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._journal = Journal(directory, self.name) if directory is not None else None
        self._session = uuid.uuid4().hex[:8]
        self._number = 0
        self._trader: RpcConnection | None = None
        self._given_up = False

    def __enter__(self) -> Customer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of all connections."""
        self._drop_trader()
        self._names.close()
        if self._journal is not None:
            self._journal.close()

    def give_up(self) -> None:
        """Ends its patience: what it asks for now ends with a TownError at the next try. From any thread."""
        self._given_up = True

    # -- trading -------------------------------------------------------------------------------------------

    def buy(self, item: str, quantity: int = 1, *, request_id: str | None = None) -> Document:
        """Buys; returns the outcome as recorded, sold or unavailable."""
        purchase = PurchaseRequest(
            request_id=checked("request_id", request_id or self._fresh_id()),
            buyer=self.name,
            item=item,
            quantity=checked("quantity", quantity),
            clock=self._clock.tick(),
        )
        request = request_dict(purchase)
        self._note("asked", request=request)
        outcome: Document = self.ask("buy", request)
        self._note("told", outcome=outcome)
        return outcome

    def deposit(self, item: str, quantity: int, price: str, *, deposit_id: str | None = None) -> Document:
        """Deposits; returns the deposit as recorded."""
        goods = Offer(
            deposit_id=checked("deposit_id", deposit_id or self._fresh_id("d")),
            seller=self.name,
            item=item,
            quantity=checked("quantity", quantity),
            price=read_price(price),
            clock=self._clock.tick(),
        )
        offer = offer_dict(goods)
        self._note("offered", offer=offer)
        deposit: Document = self.ask("deposit", offer)
        self._note("deposited", deposit=deposit)
        return deposit

    def outcome(self, request_id: str) -> Document | None:
        """Returns the outcome of a request, None while it is undecided or if it never arrived."""
        outcome: Document | None = self.ask("outcome", request_id)
        return outcome

    def search(self, item: str | None = None) -> list[Document]:
        """Returns what is on offer of `item`, or of all items, a row for each deposit."""
        found: list[Document] = self.ask("search", item)
        return found

    def _fresh_id(self, kind: str = "") -> str:
        self._number += 1
        return f"{self.name}-{self._session}-{kind}{self._number}"

    def _note(self, kind: str, **payload: Any) -> None:
        if self._journal is not None:
            self._journal.write(time.time_ns() // 1_000_000, kind, **payload)

    # -- asking whoever is trader --------------------------------------------------------------------------

    def ask(self, method: str, argument: object) -> Any:
        """Calls `method` on whoever is trader, until there is an answer."""
        deadline_s = time.monotonic() + self._patience_s
        wait_s = FIRST_WAIT_S
        while True:
            try:
                connection = self._trader or self._find_trader()
                self.tries += 1
                return connection.call(method, argument)
            except BadRequest:
                raise
            except (CallFailed, TownError, WireError) as error:
                if not isinstance(error, WireError) or isinstance(error, NotTrader):
                    self._drop_trader()  # The next try looks up anew who is in office.
                if self._given_up or time.monotonic() + wait_s > deadline_s:
                    raise TownError(f"no answer to {method} in {self._patience_s:g} s ({error})") from error
                told_s = error.retry_after_ms / 1000 if isinstance(error, PostClosed) else 0.0
            time.sleep(max(wait_s * random.uniform(0.5, 1.0), told_s))
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _find_trader(self) -> RpcConnection:
        listed = self._names.trader(self._area)
        if listed is None:
            raise NotTrader(trader=None, term=0)
        connection = RpcConnection(listed.uri, self._timeout_s)
        try:
            self._follow(connection.call("status"))
        except BaseException:
            connection.close()
            raise
        self._trader = connection
        return connection

    def _follow(self, status: Document) -> None:
        """Takes in the trader's clock: a request stamped with an older time would jump the queue."""
        stamp = stamp_of(status.get("clock")) if isinstance(status, dict) else None
        if stamp is not None:
            self._clock.merge(stamp)

    def _drop_trader(self) -> None:
        connection, self._trader = self._trader, None
        if connection is not None:
            connection.close()
