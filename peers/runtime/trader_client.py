"""What a peer asks of the trader for its own buying and selling, and what a trader tells sellers.

Neither may hold up anything else: asking waits for durable answers, and telling may meet a seller that hangs. So each
has threads of its own, which own their connections and keep them.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from peers.core.calls import AskOutcome, Buy, Call, Failure, MakeDeposit, Reply, Standing, Unreachable
from peers.core.commands import CallTrader, NotifySales
from peers.core.market.records import Outcome
from peers.core.membership.members import Member
from peers.errors import WireError
from peers.rpc.rpc_connection import CallFailed, RpcConnection
from peers.rpc.wake_up import WakeUp
from peers.rpc.wire import deposit_of, offer_dict, outcome_of, pack, request_dict, unpack_standing

OnCompleted = Callable[[int, Reply | Failure], None]

# None of these is a setting, for nothing is lost by them: a seller that was not told asks for its standing.
TELL_TIMEOUT_S = 0.5
FORGIVE_AFTER_S = 1.0
"""How long a seller that did not answer is told nothing."""

MOST_TOLD_LINES = 1000
"""Connections kept open to sellers; more than there are in any town that was ever tried."""

MOST_UNTOLD = 10_000
"""Sales kept for one seller that does not listen."""


class TraderClient:
    """Carries out Ask: one thread for what a buyer asks, one for what a seller asks, each made when first needed."""

    def __init__(self, timeout_s: float, replied: OnCompleted) -> None:
        self._timeout_s = timeout_s
        self._replied = replied
        self._errands: dict[bool, _Errands] = {}

    def ask(self, ask: CallTrader) -> None:
        """Sends it off. Under the host's lock."""
        buying = isinstance(ask.call, Buy | AskOutcome)
        errands = self._errands.get(buying)
        if errands is None:
            errands = self._errands[buying] = _Errands(self._timeout_s, self._replied)
        errands.put(ask)

    def stop(self) -> None:
        """Ends all asking, what is under way too. Under the host's lock."""
        for errands in self._errands.values():
            errands.stop()

    def join(self, timeout_s: float) -> None:
        for errands in self._errands.values():
            errands.join(timeout_s)


class _Errands:
    """Asks one thing after the other. Asking somebody else breaks off a call under way: it would be in vain."""

    def __init__(self, timeout_s: float, replied: OnCompleted) -> None:
        self._timeout_s = timeout_s
        self._replied = replied
        self._waiting: deque[CallTrader] = deque()
        self._bell = WakeUp()
        self._lock = threading.Lock()
        self._line: RpcConnection | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="asking", daemon=True)
        self._thread.start()

    def put(self, ask: CallTrader) -> None:
        self._waiting.append(ask)
        with self._lock:
            if self._line is not None and self._line.uri != ask.trader.uri:
                self._line.cut()
        self._bell.ring()

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._line is not None:
                self._line.cut()
        self._bell.ring()

    def join(self, timeout_s: float) -> None:
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopped:
            self._bell.wait()
            while self._waiting and not self._stopped:
                ask = self._waiting.popleft()
                self._replied(ask.ask_id, self._reply(self._line_to(ask.trader.uri), ask.call))
        if self._line is not None:
            self._line.close()

    def _line_to(self, uri: str) -> RpcConnection:
        line = self._line
        if line is not None and line.uri == uri:
            return line
        if line is not None:
            line.close()
        fresh = RpcConnection(uri, self._timeout_s)
        with self._lock:
            self._line = fresh
        return fresh

    @staticmethod
    def _reply(line: RpcConnection, call: Call) -> Reply | Failure:
        try:
            return _ask(line, call)
        except WireError as error:
            return error
        except (CallFailed, ValueError) as error:
            return Unreachable(why=str(error)[:200])


def _ask(line: RpcConnection, call: Call) -> Reply:
    if isinstance(call, Buy):
        return outcome_of(line.call("buy", request_dict(call.request)))
    if isinstance(call, MakeDeposit):
        return deposit_of(line.call("deposit", offer_dict(call.offer)))
    if isinstance(call, Standing):
        return unpack_standing(line.call("standing", call.seller, call.after_seq))
    if isinstance(call, AskOutcome):
        found = line.call("outcome", call.request_id)
        return None if found is None else outcome_of(found)
    raise ValueError(f"a peer does not ask for {type(call).__name__}")


class SaleNotifier:
    """Carries out Tell. What waits for one seller is told in one call; one that does not answer is left out."""

    def __init__(self) -> None:
        self._untold: dict[int, tuple[Member, list[Outcome]]] = {}
        self._lines: OrderedDict[int, RpcConnection] = OrderedDict()
        self._silent_until_s: dict[int, float] = {}
        self._lock = threading.Lock()
        self._bell = WakeUp()
        self._closing = False
        self._stopped = False
        self._thread: threading.Thread | None = None

    def tell(self, tell: NotifySales) -> None:
        """Has it told. Under the host's lock."""
        rank = tell.seller.rank
        with self._lock:
            _, sales = self._untold.get(rank, (tell.seller, []))
            if len(sales) < MOST_UNTOLD:
                sales.extend(tell.sales)
            self._untold[rank] = (tell.seller, sales)
        if self._thread is None and not self._stopped:
            self._thread = threading.Thread(target=self._run, name="telling", daemon=True)
            self._thread.start()
        self._bell.ring()

    def rest(self) -> None:
        """Lets go of the connections, once everything has been told: this peer is out of office."""
        self._closing = True
        self._bell.ring()

    def stop(self) -> None:
        self._stopped = True
        self._bell.ring()

    def join(self, timeout_s: float) -> None:
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopped:
            self._bell.wait()
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
            self._line_to(seller).call("told", pack(sales))
        except (CallFailed, WireError):
            self._silent_until_s[seller.rank] = time.monotonic() + FORGIVE_AFTER_S
        else:
            self._silent_until_s.pop(seller.rank, None)

    def _line_to(self, seller: Member) -> RpcConnection:
        line = self._lines.pop(seller.rank, None)
        if line is not None and line.uri != seller.uri:
            line.close()
            line = None
        self._lines[seller.rank] = line = line or RpcConnection(seller.uri, TELL_TIMEOUT_S)
        if len(self._lines) > MOST_TOLD_LINES:
            _, oldest = self._lines.popitem(last=False)
            oldest.close()
        return line

    def _let_go(self) -> None:
        while self._lines:
            _, line = self._lines.popitem()
            line.close()
