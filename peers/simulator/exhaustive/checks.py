"""What must hold in every state and at every step of a walk, and what is counted on the way."""

from __future__ import annotations

from typing import Any

from db.audit.invariants import check_books
from peers.core.ledger.log import OfficeEntry, TradeEntry
from peers.core.ledger.port import AlreadyRecorded, Append, Appended, Loaded, Operation, Taken
from peers.core.market.records import Outcome
from peers.core.names import Role, peer_name
from peers.simulator.exhaustive.interning import Ledgers, Peers
from peers.simulator.exhaustive.node import Node


class Violated(Exception):
    """A property does not hold in the state being made."""


class Checks:
    """The properties of one walk. `sometimes` counts what is interesting."""

    def __init__(self, roles: tuple[Role, ...], peers: Peers, ledgers: Ledgers) -> None:
        self.sometimes: dict[str, int] = {}
        self._roles = roles
        self._peers = peers
        self._ledgers = ledgers
        self._judged: set[int] = set()

    def check_told(self, ledger: int, outcomes: tuple[Outcome, ...]) -> None:
        """Raises Violated if an outcome is told that the ledger does not have."""
        state = self._ledgers.states[ledger]
        early = [each for each in outcomes if state.recorded(each.request.request_id) != each]
        if early:
            ids = ", ".join(each.request.request_id for each in early)
            raise Violated(f"acknowledged_is_recorded: {ids} was told before it was recorded")

    def check_result(self, rank: int, operation: Operation, result: Any) -> None:
        """Raises Violated if a peer writes in another's name."""
        if isinstance(operation, Append):
            kind = "a candidate's" if isinstance(operation.entry, OfficeEntry) else "a deposed trader's"
            if isinstance(result, Taken):
                self._saw(f"{kind} entry was refused")
            elif isinstance(result, AlreadyRecorded):
                self._saw("a request or deposit of old was asked for again")
            elif isinstance(result, Appended) and operation.entry.trader != peer_name(self._roles[rank], rank):
                raise Violated(f"one_trader_a_term: {rank} writes as {operation.entry.trader}")
            elif (
                isinstance(result, Appended) and isinstance(operation.entry, TradeEntry) and operation.entry.reversals
            ):
                self._saw("a sale was taken back")
        elif isinstance(result, Loaded):
            if result.queue:
                self._saw("a successor found a queue")
            if result.entries and result.made >= 0:
                self._saw("a successor found the books behind")

    def check_node(self, node: Node) -> None:
        """The invariants of the books, once for each state of the ledger; and who is in office. Raises Violated."""
        terms = [self._peers.get(node.peers[rank]).view.term for rank in self._rivals(node)]
        if len(terms) > 1:
            self._saw("two peers in office by their own belief")
        if len(set(terms)) != len(terms):
            raise Violated(f"one_trader_a_term: two peers hold term {terms[0]}")
        if node.ledger in self._judged:
            return
        self._judged.add(node.ledger)
        documents = self._ledgers.states[node.ledger].documents()
        verdict = check_books(
            documents["requests"], documents["deposits"], documents["posts"], log=documents["log"], calm=False
        )
        if verdict.violations:
            raise Violated(str(verdict))

    def in_office(self, node: Node) -> list[int]:
        """The ranks of those who are up and believe themselves in office."""
        return [rank for rank, alive in enumerate(node.up) if alive and self._peers.in_office[node.peers[rank]]]

    def _rivals(self, node: Node) -> list[int]:
        held = self.in_office(node)
        return held if len(held) > 1 else []

    def _saw(self, what: str) -> None:
        self.sometimes[what] = self.sometimes.get(what, 0) + 1
