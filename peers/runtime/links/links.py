"""The links to neighbours: each has a thread that owns the connection and sends what waits, many messages a call.

A call carries messages one way and, in its answer, whatever handling them made the other say to us; so a heartbeat
and the one back cost one call. How a call fails says what is certain. Refused, or answered by somebody else:
who was there is gone, and the core is told at once. Broken: it may only be the connection, so another is made, which
then is refused or not. Silent: nothing is certain; the core's suspicion will tell.

A link connects as soon as there is one, so that both ends have a connection from the other. When a peer dies, the
kernel ends its connections, and each neighbour looks (`probe`) whether anybody is still there: a death is noticed
within milliseconds, without a heartbeat.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Protocol

from peers.core.membership.members import Member
from peers.core.messages import ClockNews, Heartbeat, LinkMessage
from peers.errors import WireError
from peers.rpc.rpc_connection import AnotherListens, Broken, CallFailed, NobodyListens, RpcConnection
from peers.rpc.wake_up import WakeUp
from peers.rpc.wire import Parcel, pack, unpack_parcel
from peers.runtime.links.cuts import Cuts
from peers.runtime.logs import Log

# None of these is a setting: the first three only bound memory, and what is dropped heartbeats make good.
MOST_WAITING = 1000
"""The most messages kept for a slow neighbour."""

MOST_IN_A_PARCEL = 200
"""The most messages in one call."""

MOST_PASSING = 16
"""The most links at a time to peers that are no neighbours."""

LINGER_S = 1.0
"""How long such a link is kept after its last message; a connection is cheaper to make than to keep for long."""

_TRIES_S = (0.0, 0.002, 0.01, 0.05)
"""The pauses before each try: a dying process may still take a connection for a moment, and break it. That is the
kernel's doing, and takes no longer on a slow network."""


class Exchange(Protocol):
    """What links need of their peer; see `LinkExchange`."""

    @property
    def cuts(self) -> Cuts: ...

    def seal(self, messages: tuple[LinkMessage, ...]) -> Parcel: ...

    def received(self, parcel: Parcel) -> None: ...

    def gone(self, rank: int, incarnation: int) -> None: ...


class Links:
    """All links of one peer. Methods are called under the core's lock, `probe` and `drain` without."""

    def __init__(self, exchange: Exchange, timeout_s: float, log: Log) -> None:
        self.exchange = exchange
        self.timeout_s = timeout_s
        self.log = log
        self.cuts = exchange.cuts
        # By rank: the links to neighbours, and those to others, which end after some idle time.
        self._links: dict[int, _Link] = {}
        self._passing: dict[int, _Link] = {}
        # Links that were let go of and may still have something to send.
        self._retired: list[_Link] = []

    def set_neighbours(self, members: Iterable[Member]) -> None:
        """Links to these and lets go of others."""
        wanted = {member.rank: member for member in members}
        for rank, link in list(self._links.items()):
            if rank not in wanted or wanted[rank].uri != link.member.uri:
                self._retire(self._links.pop(rank))
        for rank, member in wanted.items():
            known = self._links.get(rank)
            if known is not None:
                known.member = member
                continue
            link = self._links[rank] = _Link(self, member, lasting=True)
            link.start()
            link.probe()

    def send(self, to: Member, message: LinkMessage) -> None:
        """Sends along the link, or, to one who is no neighbour, over a connection that does not last."""
        link: _Link | None = self._links.get(to.rank)
        if link is None or link.member.uri != to.uri:
            link = self._passing_link(to)
        if link is not None:
            link.member = to
            link.put(message)

    def _passing_link(self, to: Member) -> _Link | None:
        for rank, old in list(self._passing.items()):
            if old.ended:
                del self._passing[rank]
        link: _Link | None = self._passing.get(to.rank)
        if link is not None and link.member.uri == to.uri:
            return link
        if link is not None:
            self._retire(self._passing.pop(to.rank))
        if len(self._passing) >= MOST_PASSING:
            return None
        link = self._passing[to.rank] = _Link(self, to, lasting=False)
        link.start()
        return link

    def _retire(self, link: _Link) -> None:
        link.retire()
        self._retired = [other for other in self._retired if not other.ended]
        self._retired.append(link)

    def retire_all(self) -> None:
        """Lets go of everybody, once what waits has been sent."""
        for links in (self._links, self._passing):
            for rank in list(links):
                self._retire(links.pop(rank))

    def drain(self, timeout_s: float) -> None:
        """Waits for links that were let go of to have sent everything."""
        deadline_s = time.monotonic() + timeout_s
        for link in list(self._retired):
            link.join(max(0.0, deadline_s - time.monotonic()))

    def probe(self, rank: int) -> None:
        """Finds out at once whether the neighbour is still there. From any thread."""
        link = self._links.get(rank)
        if link is not None:
            link.probe()


class _Link:
    """One link: a queue, a thread, a connection. `lasting`: to a neighbour; others end after some idle time."""

    def __init__(self, links: Links, member: Member, *, lasting: bool) -> None:
        self.member = member
        self.ended = False
        self._links = links
        self._lasting = lasting
        # Whether this link is to end once what waits has been sent.
        self._retired = False
        # Whether to find out, without anything to send, if somebody is still there.
        self._probing = False
        # Whether the last call was answered; a failure is logged only if the one before was answered.
        self._answered = True
        self._waiting: deque[LinkMessage] = deque()
        self._lock = threading.Lock()
        self._wake_up = WakeUp()
        self._connection = RpcConnection(member.uri, links.timeout_s)
        self._thread = threading.Thread(target=self._run, name=f"link to {member.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def put(self, message: LinkMessage) -> None:
        with self._lock:
            if self._waiting:
                self._make_room(message)
            self._waiting.append(message)
        self._wake_up.ring()

    def _make_room(self, message: LinkMessage) -> None:
        """Drops what says no more than this one, which is newer, so that one who is behind has the less to read."""
        if isinstance(message, Heartbeat | ClockNews):
            kind = _kind(message)
            self._waiting = deque(m for m in self._waiting if _kind(m) != kind)
        if len(self._waiting) >= MOST_WAITING:
            self._drop_one()

    def _drop_one(self) -> None:
        """Drops the oldest of what the next heartbeat makes good, or else the oldest of all."""
        dispensable = next((m for m in self._waiting if isinstance(m, Heartbeat | ClockNews)), None)
        if dispensable is not None:
            self._waiting.remove(dispensable)
        else:
            self._waiting.popleft()

    def probe(self) -> None:
        self._probing = True
        self._wake_up.ring()

    def retire(self) -> None:
        self._retired = True
        self._wake_up.ring()

    def _run(self) -> None:
        while self._wake_up.wait(None if self._lasting else LINGER_S):
            messages = self._take()
            while messages:
                self._deliver(messages)
                self._probing = False
                messages = self._take()
            if self._probing:
                self._probing = False
                self._look()
            if self._retired and not self._waiting:
                break
        self.ended = True
        self._connection.close()

    def _take(self) -> tuple[LinkMessage, ...]:
        with self._lock:
            waiting = self._waiting
            return tuple(waiting.popleft() for _ in range(min(len(waiting), MOST_IN_A_PARCEL)))

    def _look(self) -> None:
        """Finds out whether the neighbour is still there.

        Only a new connection tells for certain that nobody is; only the old one tells that it still works. Where
        there is no old one, delivering makes a new one.
        """
        if self._is_cut():
            return
        if self._connection.connected and self._connection.is_refused():
            self._links.exchange.gone(self.member.rank, self.member.incarnation)
        else:
            self._deliver(())

    def _is_cut(self) -> bool:
        cuts = self._links.cuts
        return cuts.mutes(self.member.rank) or cuts.deafens(self.member.rank)

    def _deliver(self, messages: tuple[LinkMessage, ...]) -> None:
        """Delivers, and takes in what comes back. What cannot be delivered is dropped: heartbeats make it good."""
        exchange, cuts = self._links.exchange, self._links.cuts
        if cuts.mutes(self.member.rank):
            time.sleep(self._links.timeout_s)  # With a real cut it would take as long to find out.
            return
        packed = pack(exchange.seal(messages))
        for pause_s in _TRIES_S:
            if pause_s:
                time.sleep(pause_s)
            try:
                answer = unpack_parcel(self._connection.call("deliver", packed))
            except (NobodyListens, AnotherListens):
                exchange.gone(self.member.rank, self.member.incarnation)
                return
            except Broken:
                continue
            except (CallFailed, WireError) as error:
                if self._answered:
                    self._links.log.warning("a neighbour does not answer", neighbour=self.member.name, why=str(error))
                self._answered = False
                return
            self._answered = True
            if answer.sender != self.member.rank:  # It answers for somebody else than was called.
                return
            if answer.messages and not cuts.deafens(self.member.rank):
                exchange.received(answer)
            return


def _kind(message: LinkMessage) -> object:
    return (Heartbeat, message.reply) if isinstance(message, Heartbeat) else type(message)
