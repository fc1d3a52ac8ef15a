"""A step from one state of the small town to the next: a draft is a node being made, and carries commands out."""

from __future__ import annotations

from typing import Any

from peers.core.calls import Unreachable
from peers.core.commands import CallTrader, CancelTimer, Command, NotifySales, Perform, Respond, Send, SetTimer, Stop
from peers.core.inputs import (
    CallCompleted,
    Input,
    LedgerReplied,
    PeerGone,
    Received,
    RequestReceived,
    SalesNotified,
)
from peers.core.ledger.port import (
    Append,
    FindSales,
    Load,
    LookUp,
    MakeBooks,
    Operation,
    Reach,
    RecordElection,
    Unknown,
)
from peers.core.market.records import Outcome
from peers.core.messages import ClockNews
from peers.errors import WireError
from peers.simulator.exhaustive.checks import Checks
from peers.simulator.exhaustive.interning import Ledgers, Peers
from peers.simulator.exhaustive.node import Node, Road, Thing

_QUIET = frozenset(("heartbeat", "clock", "period", "tally"))
"""Timers that never fire in a walk."""
_READS = (FindSales, Load, LookUp, Reach, RecordElection)
_APPENDS, _READING, _MAKING = 0, 1, 2
RESIGN_CALL = 10**6  # No call of a peer's own has this number.
GONE = Unreachable(why="gone")


class Laws:
    """What all steps of one walk share: how peers and ledger go on from a state, and what must hold meanwhile."""

    def __init__(self, peers: Peers, ledgers: Ledgers, checks: Checks, *, books_behind: bool) -> None:
        self.peers = peers
        self.ledgers = ledgers
        self.checks = checks
        self.books_behind = books_behind
        self._errors: dict[str, WireError] = {}

    def same_error(self, error: WireError) -> WireError:
        """One object for equal errors, so that states that hold them are equal."""
        return self._errors.setdefault(f"{type(error).__name__} {error.fields()}", error)


class Draft:
    """A node being made: the town after one step."""

    def __init__(self, laws: Laws, node: Node) -> None:
        self._laws = laws
        self.now_s = node.now_s
        self.peers = list(node.peers)
        self.up = list(node.up)
        self.timers = {(rank, name): due_s for rank, name, due_s in node.timers}
        self.roads = dict(node.roads)
        self.asks = {(caller, ask_id): asked for caller, ask_id, asked in node.asks}
        self.ledger = node.ledger
        self.faults = node.faults

    def node(self) -> Node:
        return Node(
            now_s=self.now_s,
            peers=tuple(self.peers),
            up=tuple(self.up),
            timers=frozenset((rank, name, due_s) for (rank, name), due_s in self.timers.items()),
            roads=frozenset(self.roads.items()),
            asks=frozenset((*ask, asked) for ask, asked in self.asks.items()),
            ledger=self.ledger,
            faults=self.faults,
        )

    def incarnation(self, rank: int) -> int:
        """Which one that peer is in."""
        return self._laws.peers.get(self.peers[rank]).view.me.incarnation

    # -- roads ---------------------------------------------------------------------------------------------

    def put(self, road: Road, thing: Thing) -> None:
        self.roads[road] = (*self.roads.get(road, ()), thing)

    def take(self, road: Road, place: int) -> Thing:
        things = self.roads[road]
        rest = things[:place] + things[place + 1 :]
        if rest:
            self.roads[road] = rest
        else:
            del self.roads[road]
        return things[place]

    # -- steps ---------------------------------------------------------------------------------------------

    def handle(self, rank: int, event: Input) -> None:
        """A peer takes an input in, and its commands are carried out."""
        if not self.up[rank]:
            return
        if isinstance(event, CallCompleted):
            self.asks.pop((rank, event.ask_id), None)
        self.peers[rank], commands = self._laws.peers.step(self.peers[rank], event, self.now_s)
        for command in commands:
            self._do(rank, command)

    def _do(self, rank: int, command: Command) -> None:
        if isinstance(command, Send):
            self._send(rank, command)
        elif isinstance(command, SetTimer):
            if command.timer not in _QUIET:
                self.timers[rank, command.timer] = round(self.now_s + command.after_s, 6)
        elif isinstance(command, CancelTimer):
            self.timers.pop((rank, command.timer), None)
        elif isinstance(command, Perform):
            self._perform(rank, command.operation)
        elif isinstance(command, CallTrader):
            self._ask(rank, command)
        elif isinstance(command, Respond):
            self._answer(rank, command)
        elif isinstance(command, NotifySales):
            self._laws.checks.check_told(self.ledger, command.sales)
            self.put(("any", rank, command.customer.rank), SalesNotified(sales=command.sales))
        elif isinstance(command, Stop):
            self.crash(rank)

    def _perform(self, rank: int, operation: Operation) -> None:
        """Appends and readings go down lanes of their own; the books are made at once, unless they stay behind."""
        if isinstance(operation, MakeBooks) and not self._laws.books_behind:
            self.ledger, _ = self._laws.ledgers.step(self.ledger, operation)
            return
        made = isinstance(operation, MakeBooks)
        lane = _MAKING if made else _APPENDS if isinstance(operation, Append) else _READING
        self.put(("lane", rank, lane), operation)

    def _send(self, rank: int, command: Send) -> None:
        to = command.to.rank
        if not self.up[to]:
            self.put(("any", to, rank), PeerGone(rank=to, incarnation=command.to.incarnation))
            return
        event = Received(sender=rank, incarnation=self.incarnation(rank), message=command.message)
        if isinstance(command.message, ClockNews):
            self.handle(to, event)
        else:
            self.put(("link", rank, to), event)

    def _ask(self, rank: int, command: CallTrader) -> None:
        to = command.trader.rank
        self.asks[rank, command.ask_id] = to
        if self.up[to]:
            self.put(("any", rank, to), RequestReceived(call_id=rank * 1000 + command.ask_id, call=command.call))
        else:
            self.put(("any", to, rank), CallCompleted(ask_id=command.ask_id, reply=GONE))

    def _answer(self, rank: int, command: Respond) -> None:
        reply = command.reply
        if isinstance(reply, Outcome):
            self._laws.checks.check_told(self.ledger, (reply,))
        caller, ask_id = divmod(command.call_id, 1000)
        if (caller, ask_id) in self.asks:
            if isinstance(reply, WireError):
                reply = self._laws.same_error(reply)
            self.put(("any", rank, caller), CallCompleted(ask_id=ask_id, reply=reply))

    def perform(self, rank: int, lane: int, *, answer_lost: bool = False, done: bool = True) -> None:
        """The first operation of a lane reaches the ledger."""
        operation: Any = self.take(("lane", rank, lane), 0)
        result: Any = Unknown(why="lost")
        if isinstance(operation, MakeBooks):
            self.ledger, _ = self._laws.ledgers.step(self.ledger, operation)
            return
        if done:
            self.ledger, known = self._laws.ledgers.step(self.ledger, operation)
            self._laws.checks.check_result(rank, operation, known)
            result = result if answer_lost else known
        replied = LedgerReplied(operation=operation, result=result)
        if isinstance(operation, _READS):
            self.handle(rank, replied)
        else:
            self.put(("any", -1 - lane, rank), replied)

    def crash(self, rank: int) -> None:
        self.up[rank] = False
        for road in [r for r in self.roads if r[2] == rank or (r[0] == "lane" and r[1] == rank)]:
            del self.roads[road]
        self.timers = {key: due_s for key, due_s in self.timers.items() if key[0] != rank}
        for (caller, ask_id), asked in sorted(self.asks.items()):
            if asked == rank and self.up[caller]:
                self.put(("any", rank, caller), CallCompleted(ask_id=ask_id, reply=GONE))
        self.asks = {key: asked for key, asked in self.asks.items() if key[0] != rank and asked != rank}
        for other, alive in enumerate(self.up):
            if alive:
                self.put(("any", rank, other), PeerGone(rank=rank, incarnation=self.incarnation(rank)))
