"""A simulated process: the real peer, and what an operating system would know of it."""

from __future__ import annotations

from collections import deque
from random import Random

from peers.core.inputs import Input, TimerName
from peers.core.ledger.port import MakeBooks, Operation
from peers.core.membership.members import Member
from peers.core.peer import Peer
from peers.core.settings import Settings


class Process:
    """One life of one peer. Whoever comes back is another process with the same rank."""

    __slots__ = (
        "asks",
        "backlog",
        "buys",
        "held_lanes",
        "hung",
        "inbox",
        "jump_ms",
        "lanes",
        "late_timers",
        "links_free_s",
        "name",
        "peer",
        "rank",
        "slow_s",
        "started",
        "timers",
        "up",
        "uri",
        "view",
    )

    def __init__(self, me: Member, settings: Settings, seed: str) -> None:
        self.peer = Peer(me, settings, Random(seed))
        self.view = self.peer.view
        self.rank = me.rank
        self.name = me.name
        self.uri = me.uri
        self.up = True
        self.started = False
        self.hung = False
        self.slow_s = 0.0  # every input takes so much longer
        self.jump_ms = 0  # by how much its time of day is wrong
        self.inbox: list[tuple[int, Input]] = []  # what came while it hung: number of the event, input
        self.late_timers: list[TimerName] = []  # which came due while it hung
        self.timers: dict[TimerName, int] = {}  # number of the event that fires it
        self.asks: set[int] = set()  # calls of its own that are not answered
        self.lanes: tuple[deque[Operation], ...] = (deque(), deque())  # what waits for the ledger, the next one first
        self.backlog: deque[MakeBooks] = deque()  # what is still to be made of the books
        self.held_lanes: list[int] = []  # which stand still because it hung
        self.links_free_s: dict[int, float] = {}  # when the last message to that rank arrives
        self.buys = True
