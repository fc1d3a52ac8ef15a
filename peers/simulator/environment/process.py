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
        "answers",
        "area",
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

    def __init__(self, me: Member, settings: Settings, seed: str, area: str = "") -> None:
        self.peer = Peer(me, settings, Random(seed), area=area)
        self.area = area  # The one it belongs to, where several share the log.
        self.view = self.peer.view
        self.rank = me.rank
        self.name = me.name
        self.uri = me.uri
        self.up = True
        self.started = False
        self.answers: int | None = None  # The rank whose message is being handled: what is for it goes back that way.
        self.hung = False
        self.slow_s = 0.0  # Every input and timer is handled so much later.
        self.jump_ms = 0  # By how much its time of day is wrong.
        self.inbox: list[tuple[int, Input]] = []  # What came while it hung, each with the number of its event.
        self.late_timers: list[TimerName] = []  # Timers that came due while it hung.
        # By timer, the number of the event that fires it; events of timers set anew or cancelled have other numbers.
        self.timers: dict[TimerName, int] = {}
        self.asks: set[int] = set()  # The ids of its own calls that were not answered yet.
        # What waits for the ledger, by lane (`ledger_road`). The first of each stays there until it is answered.
        self.lanes: tuple[deque[Operation], ...] = (deque(), deque(), deque(), deque())
        self.backlog: deque[MakeBooks] = deque()  # The books that are still to be made, in the order of the log.
        self.held_lanes: list[int] = []  # The lanes that stand still because it hung.
        # By rank, when the last message sent to that peer arrives, in seconds of the schedule.
        self.links_free_s: dict[int, float] = {}
        self.buys = True
