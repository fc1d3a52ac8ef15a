"""All that a peer of a chaos town does otherwise than others, from its first moment on."""

from __future__ import annotations

from collections.abc import Callable

from peers.core.ledger.port import Ledger
from peers.core.reports import Report
from peers.runtime.faults.ambush import Ambush
from peers.runtime.faults.disk import Disk
from peers.runtime.faults.memory import Hunger
from peers.runtime.faults.through_switch import reach_through
from peers.runtime.faults.wall_clock import WallClock
from peers.runtime.logs import Log
from peers.runtime.spec import EatMemory, LieInWait, SetClock, SpoilDisk


class ChaosPeer:
    """The one of this process, which reaches everybody through the switch at `port`. Once a process, for it changes
    how connections are made, replies sent, files written and the time asked for in all of it."""

    def __init__(self, port: int, name: str, log: Log) -> None:
        reach_through(port, name)
        self._clock = WallClock()
        self._disk = Disk()
        self._hunger = Hunger()
        self._ambush = Ambush(log.warning)
        self._ambush.watch_replies()

    def around_ledger(self, make_ledger: Callable[[], Ledger]) -> Callable[[], Ledger]:
        """Returns what makes a ledger that the peer may be ambushed at."""
        return self._ambush.around(make_ledger)

    def around_reports(self, on_report: Callable[[Report], None]) -> Callable[[Report], None]:
        """Returns what takes reports in, and may be held meanwhile."""
        return self._ambush.around_reports(on_report)

    def obey(self, order: LieInWait | SetClock | SpoilDisk | EatMemory) -> None:
        """Does what the town orders."""
        if isinstance(order, LieInWait):
            self._ambush.lay(order)
        elif isinstance(order, SpoilDisk):
            self._disk.spoil(order)
        elif isinstance(order, EatMemory):
            self._hunger.eat(order)
        else:
            self._clock.set(order)
