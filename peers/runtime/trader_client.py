"""What a peer asks of the trader for its own buying and selling, and what a trader tells sellers.

Neither may hold up anything else: asking waits for durable answers, and telling may meet a seller that hangs. So each
has threads of its own, which own their connections and keep them.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from peers.core.calls import (
    AskOutcome,
    AskReversals,
    Buy,
    Call,
    Failure,
    MakeDeposit,
    Reply,
    ReportStock,
    Standing,
    Unreachable,
)
from peers.core.commands import CallTrader, NotifySales
from peers.core.market.records import Outcome
from peers.core.membership.members import Member
from peers.errors import WireError
from peers.rpc.forms.public_form import deposit_of, offer_dict, outcome_of, request_dict
from peers.rpc.rpc_connection import CallFailed, RpcConnection
from peers.rpc.wake_up import WakeUp
from peers.rpc.wire import pack, unpack_reversals, unpack_standing, unpack_stock_reply

OnCompleted = Callable[[int, Reply | Failure], None]

# None of these is a setting, for nothing is lost by them: a seller that was not told asks for its standing.
TELL_TIMEOUT_S = 0.5
"""How long to wait for a seller to take in what it is told."""

FORGIVE_AFTER_S = 1.0
"""For how long a seller that did not answer is told nothing."""

MOST_CONNECTIONS = 1000
"""The most connections kept open to sellers; more than any town that was tried has sellers."""

MOST_UNTOLD = 10_000
"""A seller that does not listen is kept no more sales than about this many."""


class TraderClient:
    """Carries out CallTrader: a thread for what a buyer asks, one for all else, each made when needed."""

    def __init__(self, timeout_s: float, replied: OnCompleted) -> None:
        self._timeout_s = timeout_s
        self._replied = replied
        # One queue for what buyers ask (True), one for what sellers ask, and about what was taken back (False).
        self._queues: dict[bool, _CallQueue] = {}

    def ask(self, ask: CallTrader) -> None:
        """Sends it off. Under the core's lock."""
        buying = isinstance(ask.call, Buy | AskOutcome)
        queue = self._queues.get(buying)
        if queue is None:
            queue = self._queues[buying] = _CallQueue(self._timeout_s, self._replied)
        queue.put(ask)

    def stop(self) -> None:
        """Ends all asking, what is under way too. Under the core's lock."""
        for queue in self._queues.values():
            queue.stop()

    def join(self, timeout_s: float) -> None:
        for queue in self._queues.values():
            queue.join(timeout_s)


class _CallQueue:
    """Asks one thing after the other, always of whoever is to be asked now."""

    def __init__(self, timeout_s: float, replied: OnCompleted) -> None:
        self._timeout_s = timeout_s
        self._replied = replied
        self._asker: _Asker | None = None
        # Those of earlier traders that have not ended: one that is still connecting cannot be hurried.
        self._retired: list[_Asker] = []

    def put(self, ask: CallTrader) -> None:
        uri, asker = ask.trader.uri, self._asker
        if asker is None or asker.uri != uri:
            self.stop()
            asker = self._asker = _Asker(uri, self._timeout_s, self._replied)
        asker.put(ask)

    def stop(self) -> None:
        self._retired = [asker for asker in self._retired if asker.is_running]
        if self._asker is not None:
            self._asker.stop()
            self._retired.append(self._asker)
            self._asker = None

    def join(self, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        for asker in self._retired:
            asker.join(max(0.0, deadline_s - time.monotonic()))


class _Asker:
    """The thread that asks one trader, and owns the connection. Once stopped, a call under way is broken off.

    A connection that is only being made cannot be broken off: where the trader was cut off, that takes as long as a
    call may. So the next trader is asked by another thread, and does not wait for this one."""

    def __init__(self, uri: str, timeout_s: float, replied: OnCompleted) -> None:
        self.uri = uri
        self._replied = replied
        self._waiting: deque[CallTrader] = deque()
        self._wake_up = WakeUp()
        self._connection = RpcConnection(uri, timeout_s)
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="asking", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def put(self, ask: CallTrader) -> None:
        self._waiting.append(ask)
        self._wake_up.ring()

    def stop(self) -> None:
        self._stopped = True
        self._connection.cut()
        self._wake_up.ring()

    def join(self, timeout_s: float) -> None:
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopped:
            self._wake_up.wait()
            while self._waiting and not self._stopped:
                ask = self._waiting.popleft()
                self._replied(ask.ask_id, self._reply(self._connection, ask))
        self._connection.close()

    @staticmethod
    def _reply(connection: RpcConnection, ask: CallTrader) -> Reply | Failure:
        # Only one who stands in for the trader of another area than its own has to be told which is meant.
        area = {"area": ask.area} if ask.area not in ("", ask.trader.area) else {}
        try:
            return _ask(connection, ask.call, area)
        except WireError as error:
            return error
        except (CallFailed, ValueError) as error:
            return Unreachable(why=str(error)[:200])


def _ask(connection: RpcConnection, call: Call, area: dict[str, str]) -> Reply:
    if isinstance(call, Buy):
        return outcome_of(connection.call("buy", request_dict(call.request), **area))
    if isinstance(call, MakeDeposit):
        return deposit_of(connection.call("deposit", offer_dict(call.offer), **area))
    if isinstance(call, Standing):
        return unpack_standing(connection.call("standing", call.seller, call.after_seq, **area))
    if isinstance(call, AskOutcome):
        found = connection.call("outcome", call.request_id, **area)
        return None if found is None else outcome_of(found)
    if isinstance(call, ReportStock):
        return unpack_stock_reply(connection.call("report_stock", pack(call), **area))
    if isinstance(call, AskReversals):
        return unpack_reversals(connection.call("reversals", call.customer, call.after, **area))
    raise ValueError(f"a peer does not ask for {type(call).__name__}")


class SaleNotifier:
    """Carries out NotifySales. What waits for a seller is told in one call; one that does not answer is left out."""

    def __init__(self) -> None:
        # By rank of the seller: the sales that it is still to be told of, oldest first.
        self._untold: dict[int, tuple[Member, list[Outcome]]] = {}
        # By rank of the seller, the one told last at the end.
        self._connections: OrderedDict[int, RpcConnection] = OrderedDict()
        # By rank of a seller that did not answer: until when it is told nothing.
        self._silent_until_s: dict[int, float] = {}
        self._lock = threading.Lock()
        self._wake_up = WakeUp()
        # Whether the connections are to be closed once everything has been told.
        self._closing = False
        self._stopped = False
        self._thread: threading.Thread | None = None

    def tell(self, tell: NotifySales) -> None:
        """Has it told. Under the core's lock."""
        rank = tell.customer.rank
        with self._lock:
            _, sales = self._untold.get(rank, (tell.customer, []))
            if len(sales) < MOST_UNTOLD:
                sales.extend(tell.sales)
            self._untold[rank] = (tell.customer, sales)
        if self._thread is None and not self._stopped:
            self._thread = threading.Thread(target=self._run, name="telling", daemon=True)
            self._thread.start()
        self._wake_up.ring()

    def rest(self) -> None:
        """Lets go of the connections, once everything has been told: this peer is out of office."""
        self._closing = True
        self._wake_up.ring()

    def stop(self) -> None:
        self._stopped = True
        self._wake_up.ring()

    def join(self, timeout_s: float) -> None:
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopped:
            self._wake_up.wait()
            with self._lock:
                untold, self._untold = self._untold, {}
            for seller, sales in untold.values():
                if not self._stopped:
                    self._tell(seller, sales)
            if self._closing:
                self._closing = False
                self._let_go()
        self._let_go()

    def _tell(self, seller: Member, sales: list[Outcome]) -> None:
        if time.monotonic() < self._silent_until_s.get(seller.rank, 0.0):
            return
        try:
            self._connection_to(seller).call("told", pack(sales))
        except (CallFailed, WireError):
            self._silent_until_s[seller.rank] = time.monotonic() + FORGIVE_AFTER_S
        else:
            self._silent_until_s.pop(seller.rank, None)

    def _connection_to(self, seller: Member) -> RpcConnection:
        connection = self._connections.pop(seller.rank, None)
        if connection is not None and connection.uri != seller.uri:
            connection.close()
            connection = None
        self._connections[seller.rank] = connection = connection or RpcConnection(seller.uri, TELL_TIMEOUT_S)
        if len(self._connections) > MOST_CONNECTIONS:
            _, oldest = self._connections.popitem(last=False)
            oldest.close()
        return connection

    def _let_go(self) -> None:
        while self._connections:
            _, connection = self._connections.popitem()
            connection.close()
