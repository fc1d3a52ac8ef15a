"""A whole town in one place: real peers, a real ledger in memory, and a shuffler for everything between them.

A link keeps its order, as the real ones do; of what is first on each link, and of the ledger's answers, any may
come next. Calm weather: everything sent arrives before any timer fires. Stormy weather: timers fire whenever they
like, and messages get lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from random import Random

from db.ledger.memory import MemoryLedger
from peers.core.calls import Resign
from peers.core.commands import CancelTimer, Command, HoldPost, Perform, Publish, Send, SetTimer
from peers.core.inputs import (
    Input,
    Leave,
    LedgerReplied,
    Now,
    PeerGone,
    Received,
    RequestReceived,
    Start,
    TimerFired,
    TimerName,
)
from peers.core.ledger.log import OfficeEntry
from peers.core.ledger.port import Append, Appended, MakeBooks, Operation
from peers.core.membership.members import Edge, Snapshot
from peers.core.membership.overlay_graph import build_graph
from peers.core.messages import LinkMessage
from peers.core.names import Role
from peers.core.peer import Peer
from peers.core.reports import Elected, ElectionStarted, Report
from peers.core.settings import Settings
from tests.unit.core.words import T0_MS, peer, rules

Way = tuple[int, int]
"""From whom to whom; a peer hears from its ledger on the way from itself to itself."""


class Town:
    """Peers that do not trade: here they only elect."""

    def __init__(
        self,
        roles: Sequence[Role],
        *,
        seed: int = 0,
        starters: Sequence[int] = (0,),
        settings: Settings | None = None,
        edges: tuple[Edge, ...] | None = None,
    ) -> None:
        self.rng = Random(seed)
        self.ledger = MemoryLedger()
        self.now_s = 0.0
        self.members = [peer(rank, role) for rank, role in enumerate(roles)]
        made = settings or rules(resign_after_sales=0)
        self.peers = {m.rank: Peer(m, made, Random(seed + m.rank), trades=False) for m in self.members}
        self.parcels: dict[Way, deque[Input]] = {}
        self.timers: dict[tuple[int, TimerName], float] = {}
        self.dead: set[int] = set()
        self.reports: list[Report] = []
        self.taken: list[OfficeEntry] = []
        """The entries with which the post was taken, in the order of the log."""
        self.held: dict[int, int] = {}  # By rank, the term that the peer believes to hold.
        self.said: list[LinkMessage] = []
        """What was said along the edges, in order."""
        edges = edges or build_graph(len(roles), self.rng)
        snapshot = Snapshot(members=tuple(self.members), edges=edges)
        for rank in self.rng.sample(sorted(self.peers), len(self.peers)):
            self.happens(rank, Start(snapshot=snapshot, starts_election=rank in starters))

    # -- carrying things -----------------------------------------------------------------------------------

    def happens(self, rank: int, event: Input) -> None:
        if rank in self.dead:
            return
        now = Now(mono_s=self.now_s, wall_ms=T0_MS + int(self.now_s * 1000))
        for command in self.peers[rank].handle(event, now):
            self._carry_out(rank, command)

    def _carry_out(self, rank: int, command: Command) -> None:
        if isinstance(command, Send):
            self.said.append(command.message)
            self._post(rank, command)
        elif isinstance(command, SetTimer):
            self.timers[rank, command.timer] = self.now_s + command.after_s
        elif isinstance(command, CancelTimer):
            self.timers.pop((rank, command.timer), None)
        elif isinstance(command, Perform):
            self._perform(rank, command.operation)
        elif isinstance(command, HoldPost):
            if command.held:
                self.held[rank] = command.term
            else:
                self.held.pop(rank, None)
        elif isinstance(command, Publish):
            self.reports.append(command.report)

    def _post(self, rank: int, command: Send) -> None:
        to = command.to
        if to.rank in self.dead:
            self._send((to.rank, rank), PeerGone(rank=to.rank, incarnation=to.incarnation))
        else:
            incarnation = self.peers[rank].view.me.incarnation
            self._send((rank, to.rank), Received(sender=rank, incarnation=incarnation, message=command.message))

    def _send(self, way: Way, event: Input) -> None:
        self.parcels.setdefault(way, deque()).append(event)

    def _perform(self, rank: int, operation: Operation) -> None:
        result = self.ledger.perform(operation)
        if isinstance(operation, MakeBooks):
            return  # Nobody hears of the making of books.
        if isinstance(operation, Append) and isinstance(operation.entry, OfficeEntry) and result == Appended():
            self._note_taken(operation.entry)
        self._send((rank, rank), LedgerReplied(operation=operation, result=result))

    def _note_taken(self, entry: OfficeEntry) -> None:
        """One that is written again, for want of an answer, is found standing: it takes the post only once."""
        if not any(entry is taken for taken in self.taken):
            self.taken.append(entry)

    def _deliver_any(self, *, loss: float = 0.0) -> None:
        way = self.rng.choice(list(self.parcels))
        event = self.parcels[way].popleft()
        if not self.parcels[way]:
            del self.parcels[way]
        if not (isinstance(event, Received) and self.rng.random() < loss):
            self.happens(way[1], event)

    def _fire(self, key: tuple[int, TimerName]) -> None:
        self.now_s = max(self.now_s, self.timers.pop(key))
        self.happens(key[0], TimerFired(timer=key[1]))

    # -- the weather ---------------------------------------------------------------------------------------

    def arrives(self) -> None:
        """Everything under way arrives, in any order."""
        while self.parcels:
            self._deliver_any()

    def calm(self, for_s: float) -> None:
        until_s = self.now_s + for_s
        self.arrives()
        while self.timers:
            key = min(self.timers, key=lambda k: (self.timers[k], k))
            if self.timers[key] > until_s:
                break
            self._fire(key)
            self.arrives()
        self.now_s = until_s

    def arrives_partly(self, steps: int) -> None:
        """So many of the things under way arrive, or all, if there are fewer."""
        for _ in range(steps):
            if self.parcels:
                self._deliver_any()

    def storm(self, steps: int, *, loss: float) -> None:
        for _ in range(steps):
            if self.parcels and self.rng.random() < 0.9:
                self._deliver_any(loss=loss)
            elif self.timers:
                soon = sorted(self.timers, key=lambda k: (self.timers[k], k))[:4]
                self._fire(self.rng.choice(soon))

    # -- what befalls peers --------------------------------------------------------------------------------

    def kill(self, rank: int) -> None:
        self.dead.add(rank)
        self.held.pop(rank, None)
        self.timers = {key: due for key, due in self.timers.items() if key[0] != rank}

    def resign(self, rank: int) -> None:
        self.happens(rank, RequestReceived(call_id=1, call=Resign()))

    def leave(self, rank: int) -> None:
        self.happens(rank, Leave())

    # -- what came of it -----------------------------------------------------------------------------------

    def alive(self) -> list[int]:
        return [m.rank for m in self.members if m.rank not in self.dead]

    def trader(self) -> int:
        """The one in office, after making sure that everybody alive agrees on it and on its term."""
        assert len(self.held) == 1, f"in office: {self.held}"
        ((rank, term),) = self.held.items()
        for other in self.alive():
            status = self.peers[other].status()
            assert (status.trader, status.term) == (self.members[rank].name, term), status
            assert status.in_office == (other == rank)
        return rank

    def term(self) -> int:
        return self.held[self.trader()]

    def elected(self) -> list[tuple[int, int]]:
        """Who announced itself, and in which term."""
        return [(r.term, r.rank) for r in self.reports if isinstance(r, Elected)]

    def elections_started(self) -> int:
        return sum(isinstance(report, ElectionStarted) for report in self.reports)

    def check_one_trader_a_term(self) -> None:
        terms = [term for term, _ in self.elected()]
        assert len(set(terms)) == len(terms), self.elected()
        assert [taken.term for taken in self.taken] == list(range(1, len(self.taken) + 1))
        winners = {taken.term: taken.trader for taken in self.taken}
        for term, rank in self.elected():
            assert winners[term] == self.members[rank].name
