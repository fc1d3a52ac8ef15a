"""Asks whoever is trader, until there is an answer, the deadline comes, or the circuit is open."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

from nameserver.client import NameServerClient
from peers.customer.answers import News, OnNews, TraderFaulted, TraderFound, TraderLost, Waiting
from peers.customer.backoff import Backoff
from peers.customer.breaker import CircuitBreaker
from peers.customer.errors import CircuitOpen, NoAnswer
from peers.endpoints import endpoint
from peers.errors import BadRequest, NotTrader, PostClosed, TownError, WireError
from peers.rpc.forms.public_form import Document
from peers.rpc.rpc_connection import AnotherListens, CallFailed, Faulted, NobodyListens, RpcConnection

T = TypeVar("T")

_LEAST_S = 0.001  # A call is given so much time even where the deadline is nearer: 0 would mean for ever.


class _Post:
    """What is known of the post of an area: who was last found in office, and the connection to it."""

    def __init__(self, area: str) -> None:
        self.area = area
        self.trader_name = ""
        # Whether it was last told that nobody is, so that whoever is found is news.
        self.is_lost = True
        self.connection: RpcConnection | None = None

    def drop(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()


class TraderCalls:
    """The calls of one customer, for one thread. `timeout_s` bounds one call; `tries` counts them, in vain or not.
    `may_have_run` says whether a try of the last `ask` before its answer went out: what it asks may have been done.
    `area` is whose post it trades at, in a town with several; another is asked only where a call says so.

    `on_status` gets what a trader of that area says of itself before it is asked anything; `on_news` gets word of
    what happens while an answer is waited for.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        timeout_s: float,
        breaker: CircuitBreaker,
        rng: Random,
        area: str = "",
        on_status: Callable[[Document], None],
        on_news: OnNews | None = None,
    ) -> None:
        self.tries = 0
        self.may_have_run = False
        self._where = endpoint(host, port)
        self._names = NameServerClient(host, port, timeout_s)
        self._own = _Post(area)
        self._posts = {area: self._own}
        self._timeout_s = timeout_s
        self._breaker = breaker
        self._rng = rng
        self._on_status = on_status
        self._on_news = on_news
        self._given_up = threading.Event()

    @property
    def names(self) -> NameServerClient:
        """The name server, to ask it something else."""
        return self._names

    @property
    def trader(self) -> str:
        """The name of who was last found in office, empty for nobody yet."""
        return self._own.trader_name

    @property
    def uri(self) -> str:
        """The address of the trader that is asked, empty while there is none."""
        return self._own.connection.uri if self._own.connection is not None else ""

    def close(self) -> None:
        """Lets go of all connections."""
        for post in self._posts.values():
            post.drop()
        self._names.close()

    def give_up(self) -> None:
        """Ends all patience: what is asked for now ends with NoAnswer at the next try. From any thread."""
        self._given_up.set()

    def ask(self, method: str, *arguments: object, within_s: float, area: str | None = None) -> Any:
        """Calls `method` on whoever is trader, of another area than the customer's own if one is named, until there
        is an answer; returns that.

        Raises BadRequest as answered, NoAnswer if there is no answer in `within_s`, CircuitOpen if nothing was sent,
        as nobody in the town has answered for a while."""
        self.may_have_run = False
        blocked_s = self._breaker.admit(time.monotonic())
        if blocked_s:
            raise CircuitOpen(self._where, blocked_s)
        deadline_s = time.monotonic() + within_s
        backoff = Backoff(self._rng)
        post = self._own if area is None else self._posts.setdefault(area, _Post(area))
        while True:
            tries = self.tries
            try:
                return self._try(post, method, arguments, deadline_s)
            except BadRequest:
                raise
            except (CallFailed, TownError, WireError) as error:
                # A trader that leaves office, or closes its post, may have taken it in before.
                if self.tries > tries and not isinstance(error, NobodyListens | AnotherListens):
                    self.may_have_run = True
                told_s = error.retry_after_ms / 1000 if isinstance(error, PostClosed) else 0.0
                if not self._wait(backoff.next_s(told_s), deadline_s):
                    what = method if post is self._own else f"{method} in {post.area}"
                    raise NoAnswer(what, within_s, error) from error

    def look_until(self, look: Callable[[float], T | None], within_s: float) -> T | None:
        """Looks, with so many seconds left, until there is something to be found; None if there was not in time, or
        all patience has ended."""
        deadline_s = time.monotonic() + within_s
        backoff = Backoff(self._rng)
        left_s = within_s
        while (found := look(left_s)) is None:
            wait_s = backoff.next_s()
            left_s = deadline_s - time.monotonic() - wait_s
            if left_s <= 0 or self._given_up.wait(wait_s):
                return None
        return found

    def _try(self, post: _Post, method: str, arguments: tuple[object, ...], deadline_s: float) -> Any:
        """One try. Raises what it ended with, and tells the breaker."""
        try:
            connection = post.connection or self._find_trader(post, deadline_s)
            self.tries += 1
            self._bound(connection, deadline_s)
            answer = connection.call(method, *arguments)
        except WireError as error:
            self._breaker.succeeded()  # A refusal is an answer.
            self._take_in(post, error)
            raise
        except Faulted:
            self._breaker.succeeded()  # So is this. But it may be one out of office: it is looked up anew.
            post.drop()
            self._tell(TraderFaulted(trader=post.trader_name))
            raise
        except (CallFailed, TownError) as error:
            self._breaker.failed(time.monotonic())
            self._lose_trader(post, str(error))
            raise
        self._breaker.succeeded()
        return answer

    def _wait(self, wait_s: float, deadline_s: float) -> bool:
        """Waits, and goes on waiting while the circuit is open, with all others; False if the next try would come too
        late, or all patience has ended."""
        while True:
            now_s = time.monotonic()
            wait_s = max(wait_s, self._breaker.blocked_s(now_s))
            if now_s + wait_s > deadline_s or self._given_up.wait(wait_s):
                return False
            wait_s = self._breaker.admit(time.monotonic())
            if not wait_s:
                return True

    def _bound(self, called: RpcConnection | NameServerClient, deadline_s: float) -> None:
        """Has no call last (much) longer than the deadline, however much it has to bring."""
        left_s = max(deadline_s - time.monotonic(), _LEAST_S)
        called.limit(min(self._timeout_s, left_s), left_s)

    # -- who is trader -------------------------------------------------------------------------------------

    def _find_trader(self, post: _Post, deadline_s: float) -> RpcConnection:
        self._bound(self._names, deadline_s)
        listed = self._names.trader(post.area)
        if listed is None:
            raise NotTrader(trader=None, term=0)
        connection = RpcConnection(listed.uri, self._timeout_s)
        try:
            self._bound(connection, deadline_s)
            status = connection.call("status")
        except BaseException:
            connection.close()
            raise
        post.connection = connection
        if isinstance(status, dict):
            self._greet(post, status)
        return connection

    def _greet(self, post: _Post, status: Document) -> None:
        if post is self._own:  # The clock of another market may be far ahead of this one's, which would refuse it.
            self._on_status(status)
        if status.get("in_office") is not True:
            return
        before, post.trader_name = post.trader_name, str(status.get("name", ""))
        if post.is_lost or before != post.trader_name:
            post.is_lost = False
            self._tell(TraderFound(trader=post.trader_name, term=int(status.get("term", 0)), after=before))

    def _take_in(self, post: _Post, error: WireError) -> None:
        if isinstance(error, NotTrader):
            self._lose_trader(post, "it is not in office")
        elif isinstance(error, PostClosed):
            self._tell(Waiting(why=error.why))

    def _lose_trader(self, post: _Post, why: str) -> None:
        """The next try looks up anew who is in office."""
        post.drop()
        post.is_lost = True
        self._tell(TraderLost(trader=post.trader_name, why=why))

    def _tell(self, news: News) -> None:
        if self._on_news is not None:
            self._on_news(news)
