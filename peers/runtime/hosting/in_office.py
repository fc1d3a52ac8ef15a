"""What a host does while its peer is in office: the name server lists it as the trader, its ledger stays open, its
customers are told of sales, and a watchdog sees to it that the core is not held."""

from __future__ import annotations

import threading

import msgspec

from peers.core.commands import HoldPost
from peers.core.membership.members import Member
from peers.core.messages import MemberNews
from peers.core.settings import TimingSettings
from peers.rpc.wire import pack
from peers.runtime.brief_calls import deliver_once
from peers.runtime.hosting.core_runner import CoreRunner
from peers.runtime.logs import Log
from peers.runtime.name_registration import NameRegistration
from peers.runtime.trader_client import SaleNotifier
from peers.runtime.watchdog import Watchdog

HELD_FOR = 0.5
"""The core of a trader is at one input for this part of `suspect_s` before the town is told. No setting: less than 1,
or the neighbours know by themselves, and far more than an input takes."""


class InOffice:
    """What follows from it that the peer of this `runner`, which is `member`, holds the post of its area or not."""

    def __init__(
        self, runner: CoreRunner, member: Member, registration: NameRegistration, timing: TimingSettings, log: Log
    ) -> None:
        self.holds_post = False
        self._runner = runner
        self._member = member
        self._registration = registration
        self._timeout_s = timing.call_timeout_s
        self._log = log
        self.sale_notifier = SaleNotifier()
        bound_s = timing.suspect_s * HELD_FOR
        self._watchdog = Watchdog(bound_s, runner.lock.locked, lambda: runner.handled, self._tell_core_is_held)

    # These are called under the core's lock.

    def hold(self, command: HoldPost) -> None:
        """Begins what a trader's host does, or ends it."""
        self._registration.hold(command.term if command.held else None, command.area)
        if command.area:
            return  # It only stands in for another; its own office goes on.
        self._runner.ledger.hold(command.held)
        self.holds_post = command.held
        self._watchdog.watch(on=command.held)
        if not command.held:
            self.sale_notifier.rest()

    def stop(self) -> None:
        """Watches no more, and tells nobody anything."""
        self._watchdog.stop()
        self.sale_notifier.stop()

    # These without it.

    def join(self, timeout_s: float) -> None:
        """Waits for the thread that tells customers, but no longer than that."""
        self.sale_notifier.join(timeout_s)

    def _tell_core_is_held(self) -> None:
        """The core is held while in office: the neighbours hear that this peer is gone. It refutes that as soon as it
        goes on, and if there is another trader by then, the log says so. From the watchdog's thread."""
        self._log.warning("the core is held, so the town is told that this trader is gone")
        exchange = self._runner.exchange
        gone = msgspec.structs.replace(self._member, incarnation=exchange.incarnation, up=False)
        told = pack(exchange.seal((MemberNews(members=(gone,)),)))
        for neighbour in self._runner.neighbours:  # One of them may be held as well.
            threading.Thread(target=deliver_once, args=(neighbour.uri, told, self._timeout_s), daemon=True).start()
