"""Walks every order of events of a small town, with faults at every place they can be put.

What is exact and what is not. Three peers and a ledger. Messages of one link keep their order, and so do operations
of one lane; apart from that everything that is on its way may arrive next. A fault (see `Walk`) may strike between
any two events, as long as there are faults left. Time passes only when nothing is on its way, to the next timer: the
network is faster than the patience of peers. That leaves out premature timeouts, except the false alarm, which is a
fault here. There are no beats, clock news arrive at once, and reading the ledger is one step with hearing its answer.
Breadth first, to a depth and a number of states that are reported. A walk may begin where one quiet order of events
has led.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec
from rich.console import Console

from db.audit.invariants import check_books
from db.ledger.memory import MemoryLedger
from peers.core.calls import Resign
from peers.core.inputs import (
    CallCompleted,
    PeerGone,
    RequestReceived,
    SalesNotified,
    Start,
    TimerFired,
    TimerName,
)
from peers.core.ledger.log import OfficeEntry
from peers.core.ledger.port import AlreadyRecorded, Append, Appended, Loaded, Operation, Taken
from peers.core.market.records import Outcome
from peers.core.membership.members import Member, Snapshot
from peers.core.names import Role, peer_name
from peers.core.peer import Peer
from peers.core.settings import Settings, make_settings
from peers.errors import WireError
from peers.simulator.draft import GONE, RESIGN_CALL, Draft, Node, Road, Thing
from peers.simulator.history import describe_input, describe_operation
from peers.simulator.interning import MIDDLE, Ledgers, Peers


class Violated(Exception):
    """A property does not hold in the state being made."""


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """What to walk. `faults` is how many may strike: a peer in office crashes, is taken for gone by a neighbour, or
    is asked to resign; a link's message or a call is lost; the answer to an entry is lost, and it stands or does not.

    `books_behind`: the books are made at any time after the entry, or never, if their maker dies. `begins_with`: the
    walk begins when nothing is on its way and this is the next timer.
    """

    name: str
    settings: dict[str, Any]
    roles: tuple[Role, ...]
    edges: tuple[tuple[int, int], ...]
    starters: tuple[int, ...]
    trades: bool
    faults: int
    depth: int
    books_behind: bool = False
    begins_with: TimerName | None = None


class Sight(msgspec.Struct, kw_only=True):
    """What a walk saw. `complete`: every state up to `depth` was seen."""

    walk: str
    faults: int
    states: int = 0
    steps: int = 0
    depth: int = 0
    complete: bool = False
    sometimes: dict[str, int] = msgspec.field(default_factory=dict)
    violation: str = ""
    trace: tuple[str, ...] = ()


class Explorer:
    """Makes nodes from nodes, and checks what must hold in each."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.settings: Settings = make_settings(walk.settings)
        self.peers = Peers(self.settings)
        self.ledgers = Ledgers()
        self.sometimes: dict[str, int] = {}
        self._errors: dict[str, WireError] = {}
        self._judged: set[int] = set()

    def first(self) -> Node:
        """The town as it begins: everybody is about to start."""
        members = tuple(
            Member(rank=rank, name=peer_name(role, rank), role=role, uri=str(rank), incarnation=0)
            for rank, role in enumerate(self.walk.roles)
        )
        snapshot = Snapshot(members=members, edges=self.walk.edges)
        numbers = tuple(
            self.peers.number(Peer(member, self.settings, MIDDLE, trades=self.walk.trades)) for member in members
        )
        empty = Node(0.0, numbers, (True,) * len(members), frozenset(), frozenset(), frozenset(), 0, 0)
        draft = Draft(self, empty._replace(ledger=self.ledgers.number(MemoryLedger()), faults=self.walk.faults))
        for rank in range(len(members)):
            draft.handle(rank, Start(snapshot=snapshot, starts_election=rank in self.walk.starters))
        node = draft.node()
        while self.walk.begins_with is not None and not self._begins(node):
            node = next(self.next(node._replace(faults=0)))[1]._replace(faults=node.faults)
        return node

    def _begins(self, node: Node) -> bool:
        upcoming = min(node.timers, key=lambda timer: timer[2], default=None)
        return not node.roads and upcoming is not None and upcoming[1] == self.walk.begins_with

    def next(self, node: Node) -> Iterator[tuple[str, Node]]:
        """Every step there is from here: what happens, and the state after it."""
        for road, things in sorted(node.roads, key=lambda each: each[0]):
            for place in range(len(things) if road[0] == "any" else 1):
                yield self._arrive(node, road, place)
        yield from self._fire(node)
        if node.faults:
            yield from self._fail(node)

    def _arrive(self, node: Node, road: Road, place: int) -> tuple[str, Node]:
        draft = Draft(self, node)
        kind, source, to = road
        if kind == "lane":
            what = f"{source} at the ledger: {describe_operation(node_thing(node, road, 0))}"
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
                draft = Draft(self, node)
                draft.now_s = max(draft.now_s, due_s)
                del draft.timers[rank, name]
                draft.handle(rank, TimerFired(timer=name))
                yield f"{rank} timer {name} at {due_s:.3f}", draft.node()

    def _fail(self, node: Node) -> Iterator[tuple[str, Node]]:
        held = [rank for rank, alive in enumerate(node.up) if alive and self.peers.in_office[node.peers[rank]]]
        for rank in held:
            draft = self._fault(node)
            draft.crash(rank)
            yield f"# {rank} crashes", draft.node()
            draft = self._fault(node)
            draft.handle(rank, RequestReceived(call_id=RESIGN_CALL, call=Resign()))
            yield f"# {rank} is asked to resign", draft.node()
            for other, alive in enumerate(node.up):
                if alive and other != rank:
                    draft = self._fault(node)
                    draft.handle(other, PeerGone(rank=rank, incarnation=0))
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
        draft = Draft(self, node)
        draft.faults -= 1
        return draft

    # -- properties ----------------------------------------------------------------------------------------

    def same_error(self, error: WireError) -> WireError:
        """One object for equal errors, so that states that hold them are equal."""
        return self._errors.setdefault(f"{type(error).__name__} {error.fields()}", error)

    def check_told(self, ledger: int, outcomes: tuple[Outcome, ...]) -> None:
        state = self.ledgers.states[ledger]
        early = [each for each in outcomes if state.recorded(each.request.request_id) != each]
        if early:
            ids = ", ".join(each.request.request_id for each in early)
            raise Violated(f"acknowledged_is_recorded: {ids} was told before it was recorded")

    def check_office(self, rank: int, operation: Operation, result: Any) -> None:
        if isinstance(operation, Append):
            kind = "a candidate's" if isinstance(operation.entry, OfficeEntry) else "a deposed trader's"
            if isinstance(result, Taken):
                self._saw(f"{kind} entry was refused")
            elif isinstance(result, AlreadyRecorded):
                self._saw("a request or deposit of old was asked for again")
            elif isinstance(result, Appended) and operation.entry.trader != peer_name(self.walk.roles[rank], rank):
                raise Violated(f"one_trader_a_term: {rank} writes as {operation.entry.trader}")
        elif isinstance(result, Loaded):
            if result.queue:
                self._saw("a successor found a queue")
            if result.entries and result.made >= 0:
                self._saw("a successor found the books behind")

    def check(self, node: Node) -> None:
        """The invariants of the books, once for each state of the ledger; and who is in office."""
        terms = [self.peers.get(node.peers[rank]).ctx.view.term for rank in self._held(node)]
        if len(terms) > 1:
            self._saw("two peers in office by their own belief")
        if len(set(terms)) != len(terms):
            raise Violated(f"one_trader_a_term: two peers hold term {terms[0]}")
        if node.ledger in self._judged:
            return
        self._judged.add(node.ledger)
        documents = self.ledgers.states[node.ledger].documents()
        verdict = check_books(
            documents["requests"], documents["deposits"], documents["posts"], log=documents["log"], calm=False
        )
        if verdict.violations:
            raise Violated(str(verdict))

    def _held(self, node: Node) -> list[int]:
        held = [rank for rank, alive in enumerate(node.up) if alive and self.peers.in_office[node.peers[rank]]]
        return held if len(held) > 1 else []

    def _saw(self, what: str) -> None:
        self.sometimes[what] = self.sometimes.get(what, 0) + 1


def node_thing(node: Node, road: Road, place: int) -> Any:
    """What is at that place of a road."""
    return dict(node.roads)[road][place]


def explore(walk: Walk, most_states: int) -> Sight:
    """Walks breadth first, until the depth is reached or there are too many states."""
    explorer = Explorer(walk)
    sight = Sight(walk=walk.name, faults=walk.faults, sometimes=explorer.sometimes)
    level = [explorer.first()]
    seen = {hash(level[0]): ("", 0)}
    sight.states = 1
    while level and sight.depth < walk.depth:
        below: list[Node] = []
        for node in level:
            steps = explorer.next(node)
            while True:
                what = ""
                try:
                    what, reached = next(steps)
                    key = hash(reached)
                    sight.steps += 1
                    if key in seen:
                        continue
                    seen[key] = (what, hash(node))
                    explorer.check(reached)
                except StopIteration:
                    break
                except Violated as violated:
                    sight.violation = str(violated)
                    sight.trace = (*_trace(seen, hash(node)), what or "(the step that broke it)")
                    return sight
                below.append(reached)
                sight.states += 1
            if sight.states >= most_states:
                return sight
        level = below
        sight.depth += 1
    sight.complete = True
    return sight


def _trace(seen: dict[int, tuple[str, int]], key: int) -> tuple[str, ...]:
    steps: list[str] = []
    while key in seen and seen[key][0]:
        what, key = seen[key]
        steps.append(what)
    return tuple(reversed(steps))


_HURRY: dict[str, Any] = {
    "market": {
        "items": ("fish",),
        "stock": 3,
        "price_min": 7,
        "price_max": 7,
        "max_purchases": 1,
        "period_s": 3600,
        "think_s": 0.01,
        "resign_after_sales": 0,
    },
    "timing": {"heartbeat_interval_s": 3600, "suspect_s": 3600, "clock_gap_s": 3600},
}
_LINE = ((0, 1), (1, 2))
_TRIANGLE = ((0, 1), (0, 2), (1, 2))

_MARKET = Walk(
    name="a market of three",
    settings=_HURRY,
    roles=("merchant", "merchant", "merchant"),
    edges=_LINE,
    starters=(0,),
    trades=True,
    faults=1,
    depth=60,
    begins_with="buy",
)

WALKS = (
    Walk(
        name="an election with two starters",
        settings=_HURRY,
        roles=("buyer", "merchant", "merchant"),
        edges=_TRIANGLE,
        starters=(0, 1),
        trades=False,
        faults=2,
        depth=40,
    ),
    _MARKET,
    msgspec.structs.replace(_MARKET, faults=2),
    msgspec.structs.replace(_MARKET, name="a market of three, the books behind", books_behind=True),
)


def show_walks(console: Console, *, most_states: int) -> int:
    """Walks all there is to walk; returns the exit code."""
    code = 0
    for walk in WALKS:
        began_s = time.perf_counter()
        sight = explore(walk, most_states)
        took_s = time.perf_counter() - began_s
        bound = "all of them" if sight.complete else "as many as were allowed"
        console.print(
            f"{sight.walk}, up to {sight.faults} faults: {sight.states:,} states, {sight.steps:,} steps, "
            f"{sight.depth} steps deep ({bound}), in {took_s:.0f} s"
        )
        for what, number in sorted(sight.sometimes.items()):
            console.print(f"  {number:>9,}  {what}")
        if sight.violation:
            code = 1
            console.print(f"VIOLATED: {sight.violation}")
            for step in sight.trace:
                console.print(f"  {step}")
    if not code:
        console.print("No violation.")
    return code
