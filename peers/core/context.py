"""What the parts of a peer share: who it is, what it knows, the time of the input at hand, the commands so far."""

from __future__ import annotations

from random import Random

from peers.core.calls import Call
from peers.core.commands import CallTrader, CancelTimer, Command, Perform, Publish, SetTimer
from peers.core.inputs import Now, TimerName
from peers.core.leadership.state import LeadershipMachine, LeadershipView
from peers.core.ledger.port import Operation
from peers.core.membership.clock_pace import PacedClock
from peers.core.membership.clocks import Stamp, make_clock
from peers.core.membership.members import Member, Membership
from peers.core.membership.overlay_graph import Adjacency
from peers.core.messages import TakenOver
from peers.core.names import rank_of
from peers.core.reports import Report
from peers.core.settings import Settings

INCARNATIONS_AHEAD_MS = 366 * 86_400_000
"""By so much the clocks of two machines may differ when peers are started there, in milliseconds. No setting: it only
has to be more than they do, and far less than there are numbers."""


class Context:
    """Shared by the parts of one peer. `now` and the commands belong to the input being handled."""

    def __init__(self, me: Member, settings: Settings, rng: Random, area: str = "") -> None:
        self.me = me
        # The area whose post this peer trades at, where several share one log; "" where there is only one.
        self.area = area
        self.settings = settings
        self.rng = rng
        self.clock = PacedClock(make_clock(settings.clock, me.name))
        # The beginning of each id of a request or deposit, so that ids stay unique when this peer is started again.
        self.id_prefix = f"{me.name}-{me.incarnation:x}-"
        self.members = Membership([me], [])
        # The neighbours of each rank that is up. Only `Gossip` writes it.
        self.graph: Adjacency = {}
        self.leadership = LeadershipMachine()
        # Who of another area stood in last for the trader of this one, as far as is known. Only `Peer` writes it.
        self.stand_in: TakenOver | None = None
        # Whether this peer was told to leave the market. Only `Peer` writes it.
        self.departing = False
        # False while the post is vacant because somebody did not reach the books, until this peer finds that it does.
        # Only `ElectionPart` writes it.
        self.reaches_books = True
        # The newest clock this peer has heard of, which a trader's own may be behind. Only `Gossip` writes it.
        self.news = PacedClock(make_clock(settings.clock, me.name))
        # The highest incarnation that was known when this peer began, and when that was; None before it has.
        self.first_incarnations = me.incarnation
        self.began_s: float | None = None
        # The number of the last sale that was taken back, as far as has been heard; heartbeats carry it.
        self.reversals = 0
        # How late timers and messages have come here recently, in seconds. Only `Gossip` writes it.
        self.late_s = 0.0
        self.now = Now(mono_s=0.0, wall_ms=0)
        # How often each thing happened, by name; `status` shows them, and nothing depends on them.
        self.counters: dict[str, int] = {}
        self._commands: list[Command] = []
        self._last_ask = 0
        self._last_entry = 0

    def emit(self, command: Command) -> None:
        self._commands.append(command)

    def take_commands(self) -> list[Command]:
        """Returns the commands since the last time, in order."""
        commands, self._commands = self._commands, []
        return commands

    def say(self, report: Report) -> None:
        self.emit(Publish(report=report))

    def perform(self, operation: Operation) -> None:
        self.emit(Perform(operation=operation))

    def set_timer(self, timer: TimerName, after_s: float) -> None:
        self.emit(SetTimer(timer=timer, after_s=after_s))

    def cancel_timer(self, timer: TimerName) -> None:
        self.emit(CancelTimer(timer=timer))

    def ask(self, trader: Member, call: Call) -> int:
        """Calls the trader directly; returns the number its reply will carry."""
        self._last_ask += 1
        self.emit(CallTrader(ask_id=self._last_ask, trader=trader, call=call, area=self.area))
        return self._last_ask

    def next_entry_id(self) -> str:
        """Returns an id for an entry of the log that no other entry has, of whichever peer and life."""
        self._last_entry += 1
        return f"{self.me.name}.{self.me.incarnation:x}.{self._last_entry}"

    def hear_of_reversals(self, number: int) -> None:
        """So many sales have been taken back, at least."""
        self.reversals = max(self.reversals, number)

    def count(self, counter: str, by: int = 1) -> None:
        self.counters[counter] = self.counters.get(counter, 0) + by

    @property
    def name(self) -> str:
        return self.me.name

    @property
    def neighbours(self) -> tuple[int, ...]:
        return self.graph.get(self.me.rank, ())

    @property
    def may_stand(self) -> bool:
        """Whether this peer is fit to be trader, by what it knows of itself."""
        return self.reaches_books and not self.departing

    @property
    def view(self) -> LeadershipView:
        return self.leadership.view

    @property
    def in_office(self) -> bool:
        return self.leadership.in_office

    def trader(self) -> Member | None:
        """The trader in office as far as is known, None while the post is vacant."""
        if self.view.vacant or self.view.trader is None:
            return None
        return self.members.get(self.view.trader)

    def whom_to_ask(self) -> Member | None:
        """Whom a customer of this area asks: its trader, or one of another area who stands in; None if nobody."""
        stand_in = self.stand_in
        if stand_in is not None and stand_in.term > self.view.term:
            return stand_in.trader
        return self.trader()

    def is_ours(self, name: str) -> bool:
        """Whether a peer of this name is a member here. A trader who is not may stand in from another area."""
        return self.members.get(rank_of(name)) is not None

    @property
    def highest_incarnation(self) -> int:
        """No honest record has a higher one. They are the times of day at which lives began, plus a few, so they grow
        as time passes; but what our own clock on the wall says by now, nobody may depend on."""
        passed_s = self.now.mono_s - (self.now.mono_s if self.began_s is None else self.began_s)
        return self.first_incarnations + round(passed_s * 1000) + INCARNATIONS_AHEAD_MS

    def hear_clock(self, stamp: Stamp) -> None:
        """Makes what another says its clock is our own, as far as one may be ahead of ours."""
        self.clock.merge(stamp, self.now.mono_s, self.members.names())

    def tick(self) -> Stamp:
        return self.clock.tick()
