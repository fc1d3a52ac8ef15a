"""Every order of events of a small town, with faults at every place they can be put.

What is exact and what is not. Three peers and a ledger. Messages of one link keep their order, and so do operations
of one lane; apart from that everything that is on its way may arrive next. A fault (see `Walk`) may strike between
any two events, as long as there are faults left. Time passes only when nothing is on its way, to the next timer: the
network is faster than the patience of peers. That leaves out premature timeouts, except the false alarm, which is a
fault here. There are no beats, clock news arrive at once, and reading the ledger is one step with hearing its answer.
A walk may begin where one quiet order of events has led.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from db.ledger.memory import MemoryLedger
from peers.core.calls import Resign
from peers.core.inputs import CallCompleted, LoseGoods, PeerGone, RequestReceived, SalesNotified, Start, TimerFired
from peers.core.ledger.port import Append
from peers.core.membership.members import Member, Snapshot
from peers.core.names import peer_name
from peers.core.peer import Peer
from peers.core.settings import make_settings
from peers.simulator.describe import describe_input, describe_operation
from peers.simulator.exhaustive.checks import Checks
from peers.simulator.exhaustive.draft import GONE, RESIGN_CALL, Draft, Laws
from peers.simulator.exhaustive.interning import MIDDLE, Ledgers, Peers
from peers.simulator.exhaustive.node import Node, Road, Thing
from peers.simulator.exhaustive.walks import Walk


class Explorer:
    """Makes nodes from nodes, and checks what must hold in each."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._settings = make_settings(walk.settings)
        self._peers = Peers(self._settings)
        self._ledgers = Ledgers()
        self.checks = Checks(walk.roles, self._peers, self._ledgers)
        self._laws = Laws(self._peers, self._ledgers, self.checks, books_behind=walk.books_behind)

    def first(self) -> Node:
        """The town as it begins: everybody is about to start."""
        members = tuple(
            Member(rank=rank, name=peer_name(role, rank), role=role, uri=str(rank), incarnation=0)
            for rank, role in enumerate(self._walk.roles)
        )
        snapshot = Snapshot(members=members, edges=self._walk.edges)
        numbers = tuple(
            self._peers.number(Peer(member, self._settings, MIDDLE, trades=self._walk.trades)) for member in members
        )
        empty = Node(0.0, numbers, (True,) * len(members), frozenset(), frozenset(), frozenset(), 0, 0)
        draft = Draft(
            self._laws, empty._replace(ledger=self._ledgers.number(MemoryLedger()), faults=self._walk.faults)
        )
        for rank in range(len(members)):
            draft.handle(rank, Start(snapshot=snapshot, starts_election=rank in self._walk.starters))
        node = draft.node()
        while self._walk.begins_with is not None and not self._begins(node):
            node = next(self.next(node._replace(faults=0)))[1]._replace(faults=node.faults)
        return node

    def _begins(self, node: Node) -> bool:
        upcoming = min(node.timers, key=lambda timer: timer[2], default=None)
        return not node.roads and upcoming is not None and upcoming[1] == self._walk.begins_with

    def next(self, node: Node) -> Iterator[tuple[str, Node]]:
        """Every step there is from here: what happens, and the state after it."""
        for road, things in sorted(node.roads, key=lambda each: each[0]):
            for place in range(len(things) if road[0] == "any" else 1):
                yield self._arrive(node, road, place)
        yield from self._fire(node)
        if node.faults:
            yield from self._fail(node)

    def _arrive(self, node: Node, road: Road, place: int) -> tuple[str, Node]:
        draft = Draft(self._laws, node)
        kind, source, to = road
        if kind == "lane":
            what = f"{source} at the ledger: {describe_operation(node.thing_at(road, 0))}"
            draft.perform(source, to)
        else:
            event: Any = draft.take(road, place)
            what = f"{to} {describe_input(event)}"
            draft.handle(to, event)
        return what, draft.node()

    def _fire(self, node: Node) -> Iterator[tuple[str, Node]]:
        until_s = node.now_s if node.roads else min((due_s for _, _, due_s in node.timers), default=0.0)
        for rank, name, due_s in sorted(node.timers):
            if due_s <= until_s:
                draft = Draft(self._laws, node)
                draft.now_s = max(draft.now_s, due_s)
                del draft.timers[rank, name]
                draft.handle(rank, TimerFired(timer=name))
                yield f"{rank} timer {name} at {due_s:.3f}", draft.node()

    def _fail(self, node: Node) -> Iterator[tuple[str, Node]]:
        for rank, alive in enumerate(node.up if self._walk.losses else ()):
            if alive:
                draft = self._fault(node)
                draft.handle(rank, LoseGoods(share=1.0))
                yield f"# {rank} loses its goods", draft.node()
        for rank in self.checks.in_office(node):
            draft = self._fault(node)
            draft.crash(rank)
            yield f"# {rank} crashes", draft.node()
            draft = self._fault(node)
            draft.handle(rank, RequestReceived(call_id=RESIGN_CALL, call=Resign()))
            yield f"# {rank} is asked to resign", draft.node()
            for other, alive in enumerate(node.up):
                if alive and other != rank:
                    draft = self._fault(node)
                    draft.handle(other, PeerGone(rank=rank, incarnation=draft.incarnation(rank)))
                    yield f"# {other} takes {rank} for gone", draft.node()
        for road, things in sorted(node.roads, key=lambda each: each[0]):
            yield from self._lose(node, road, things[0])

    def _lose(self, node: Node, road: Road, thing: Thing) -> Iterator[tuple[str, Node]]:
        kind, source, to = road
        if kind == "lane" and isinstance(thing, Append):
            for done in (True, False):
                draft = self._fault(node)
                draft.perform(source, to, answer_lost=True, done=done)
                yield f"# unknown, {'done' if done else 'not done'}: {describe_operation(thing)}", draft.node()
        elif kind == "link" or isinstance(thing, RequestReceived | SalesNotified):
            draft = self._fault(node)
            draft.take(road, 0)
            if isinstance(thing, RequestReceived):
                draft.put(("any", to, source), CallCompleted(ask_id=thing.call_id % 1000, reply=GONE))
            yield f"# lost: {describe_input(thing)}", draft.node()  # type: ignore[arg-type]

    def _fault(self, node: Node) -> Draft:
        draft = Draft(self._laws, node)
        draft.faults -= 1
        return draft
