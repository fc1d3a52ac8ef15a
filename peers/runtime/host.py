"""The Pyro5 host of one peer: takes inputs to the core, one at a time, and has its commands carried out.

There is one lock, around `handle`. Under it commands are only handed over (put into a queue, written to the
journal); whatever may block happens on a thread of its own: links, ledger, calls to the trader, news to sellers, the
entry at the name server. An exception out of the core is a bug, and a peer with a bug must not go on: `on_fault` is
told, and ends the process.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from peers.core.calls import AsOf, Call, Failure, OnOffer, Reply, Search, Status
from peers.core.commands import (
    CallTrader,
    CancelTimer,
    Command,
    Crash,
    HoldPost,
    NotifySales,
    Perform,
    Publish,
    Respond,
    Send,
    SetLinks,
    SetTimer,
    Stop,
)
from peers.core.inputs import (
    CallCompleted,
    Input,
    Leave,
    LedgerReplied,
    Now,
    Quiesce,
    Received,
    SalesNotified,
    Start,
    TimerFired,
    TimerName,
)
from peers.core.journal import JOURNALED
from peers.core.ledger.port import Ledger, Operation, Result
from peers.core.market.records import Outcome
from peers.core.membership.members import Member, Snapshot
from peers.core.messages import LinkMessage, MemberNews
from peers.core.reports import Demoted, Report, Returned
from peers.core.settings import make_settings
from peers.endpoints import host_of
from peers.errors import NotTrader, PostClosed
from peers.rpc.deferred_replies import DeferredReplies, OnReply
from peers.rpc.endpoint import PeerEndpoint, handlers
from peers.rpc.forms.public_form import Document, Reader
from peers.rpc.security.tls import is_secured
from peers.rpc.serving.reactor import Afterwards
from peers.rpc.serving.served_connection import ServedConnection
from peers.rpc.serving.server import Server
from peers.rpc.wire import Parcel, pack
from peers.runtime.area_search import AreaSearch
from peers.runtime.brief_calls import call_back, deliver_once, pass_on
from peers.runtime.core import Core, MakeCore, make_peer, member_of
from peers.runtime.homes import Homes
from peers.runtime.journal import Journal, NotedFirst, handed_over_before
from peers.runtime.ledger_executor import LedgerExecutor
from peers.runtime.links.exchange import LinkExchange
from peers.runtime.links.links import Links
from peers.runtime.logs import Log
from peers.runtime.name_registration import NameRegistration
from peers.runtime.spec import CutLinks, PeerSpec
from peers.runtime.timers import Timers
from peers.runtime.trader_client import SaleNotifier, TraderClient
from peers.runtime.waiting_calls import WaitingCalls
from peers.runtime.watchdog import Watchdog

ANSWER_WITHIN = 0.8
"""A caller is told "not decided yet" after this part of a call's timeout, before it gives up by itself. No setting:
it has only to be less than 1, by more than the way of an answer takes."""

HELD_FOR = 0.5
"""The core of a trader is at one input for this part of `suspect_s` before the town is told. No setting: less than 1,
or the neighbours know by themselves, and far more than an input takes."""

REGISTER_PATIENCE_S = 10.0
"""How long to look for a name server at the start. No setting: a town starts one before its first peer."""


class NearestSearch(Protocol):
    """Who searches in the books near this peer; see `db.ledger.searching`."""

    def search(self, item: str | None, since: AsOf | None) -> OnOffer | None: ...

    def close(self) -> None: ...


class PeerHost:
    """One peer, listening from the start; `register` it, then `begin`.

    `nearest` answers searches while this peer is not in office. `on_report` and `on_stop` are called under the lock
    and must not block; `on_fault` gets what the core raised.
    """

    def __init__(
        self,
        spec: PeerSpec,
        *,
        make_ledger: Callable[[], Ledger],
        log: Log,
        on_report: Callable[[Report], None],
        on_stop: Callable[[], None],
        on_fault: Callable[[BaseException], None],
        make_core: MakeCore = make_peer,
        nearest: NearestSearch | None = None,
    ) -> None:
        settings = make_settings(spec.settings)
        timeout_s = settings.timing.call_timeout_s
        self.name = spec.name
        self._on_report, self._on_stop, self._on_fault = on_report, on_stop, on_fault
        self._log = log
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._begun = threading.Event()
        self._ended = False
        self._nearest = nearest
        self._in_office = False
        patience_s = ANSWER_WITHIN * timeout_s
        self._replies = DeferredReplies(patience_s, lambda: self._calls.turn_away_the_late())  # noqa: PLW0108 - there are none yet
        # It only matters to a seller that has lost its goods; then this peer's earlier lives are to be read up.
        lost = settings.market.loss_after_crash
        self._handed_over = handed_over_before(Path(spec.directory), spec.name) if lost else ()
        self._journal = Journal(Path(spec.directory), spec.name)
        # How many inputs the core has handled, and the neighbours that it has; both are read without the lock.
        self._handled = 0
        self._neighbours: tuple[Member, ...] = ()
        bound_s = settings.timing.suspect_s * HELD_FOR
        self._watchdog = Watchdog(bound_s, self._lock.locked, lambda: self._handled, self._tell_held)
        self._noted_first = NotedFirst(self._journal, spec.name, on_report)
        self._timers = Timers(self._lock, self._fire)
        self._ledger = LedgerExecutor(make_ledger, self._on_result, self._replies, log)
        self._calls = WaitingCalls(self._step, self._lock, self._ledger.carry_out, self._replies)
        self._exchange = LinkExchange(
            spec.rank,
            spec.incarnation,
            self._step,
            self._lock,
            self._begun,
            timeout_s,
            known=(lambda: self._core.snapshot().members) if is_secured() else None,
        )
        self._links = Links(self._exchange, timeout_s, log)
        self._trader_client = TraderClient(timeout_s, self._on_replied)
        self._sale_notifier = SaleNotifier()
        served = PeerEndpoint(self, Reader(settings))
        self._server = Server(
            spec.host,
            served,
            spec.name,
            on_hangup=self._on_hangup,
            handlers=handlers(served),
            advertised=spec.advertised,
            ports=spec.ports,
        )
        self.member = member_of(spec, self._server.uri)
        nameserver = (spec.nameserver_host, spec.nameserver_port)
        self.home = host_of(self.member.uri)
        self._homes = Homes(self.snapshot, nameserver)
        self.home_of, self.home_of_rank = self._homes.home_of, self._homes.home_of_rank
        self._shares_log = bool(spec.areas) and settings.market.one_stock
        self._area_search = AreaSearch(spec.area, spec.areas, nameserver, served.browse)
        self._registration = NameRegistration(spec.nameserver_host, spec.nameserver_port, self.member)
        self._core: Core = make_core(self.member, settings, spec)
        # `_step` itself carries out Send, Perform and Publish, for these need more than the command.
        self._carry_out: dict[type[Command], Callable[[Any], None]] = {
            Respond: lambda command: self._calls.answer(command.call_id, command.reply),
            SetTimer: lambda command: self._timers.set(command.timer, command.after_s),
            CancelTimer: lambda command: self._timers.cancel(command.timer),
            CallTrader: lambda command: self._noted_first.then(lambda: self._trader_client.ask(command)),
            NotifySales: self._sale_notifier.tell,
            SetLinks: self._set_links,
            HoldPost: self._hold_post,
            Crash: lambda _: os.kill(os.getpid(), signal.SIGKILL),
            Stop: lambda _: self._on_stop(),
        }
        self._server.start()

    # -- beginning and end ---------------------------------------------------------------------------------

    def register(self) -> None:
        """Has the name server list this peer, from now on; TownError if there is none."""
        self._registration.start(REGISTER_PATIENCE_S)

    def begin(self, snapshot: Snapshot, *, starts_election: bool = False) -> None:
        """The market opens."""
        self._timers.start()
        with self._lock:
            start = Start(snapshot=snapshot, starts_election=starts_election, handed_over=self._handed_over)
            self._step(start)
            self._begun.set()

    def rest(self) -> None:
        """Buys and sells nothing more of its own accord."""
        self._feed(Quiesce())

    def leave(self) -> None:
        """Says goodbye to the market; `on_stop` is called when that is done."""
        self._feed(Leave())

    def stop(self, *, farewell: bool = False) -> None:
        """Takes in nothing more; returns when what was said has been sent.

        With `farewell` the name server takes this peer's entries away.
        """
        # This comes first, for neighbours whose links end look whether anybody still listens here.
        self._server.stop_listening()
        with self._lock:
            self._ended = True
            self._timers.stop()
            self._watchdog.stop()
            self._trader_client.stop()
            self._sale_notifier.stop()
            self._links.retire_all()
            self._calls.close()
        self._replies.close()
        self._begun.set()
        self._links.drain(0.5)
        self._registration.stop(farewell=farewell)
        self._ledger.close()
        if self._nearest is not None:
            self._nearest.close()

    def close(self) -> None:
        """Stops, and lets go of everything: for programs that go on afterwards."""
        self.stop(farewell=True)
        self._server.close()
        self._timers.join()
        self._replies.join(self._timeout_s)
        self._trader_client.join(self._timeout_s)
        self._sale_notifier.join(self._timeout_s)
        self._journal.close()

    def cut_links(self, cut: CutLinks) -> None:
        """Behaves as if these links were cut, for a while: for chaos runs and tests."""
        self._log.warning("links are cut on the town's order", neighbours=cut.neighbours, way=cut.way)
        self._exchange.cuts.apply(cut)

    def snapshot(self) -> Snapshot:
        """What this peer believes of the market."""
        with self._lock:
            return self._core.snapshot()

    # -- what the endpoint hands over ----------------------------------------------------------------------

    def call(self, call: Call, area: str = "") -> Reply:
        """Has the core answer a call to the trader of `area`; raises WireError where that is the answer."""
        return self._calls.call(call, area)

    def call_later(self, call: Call, on_reply: OnReply, area: str = "") -> Afterwards | None:
        """Has the core answer a call, on no thread of its own; see `WaitingCalls.call_later`."""
        return self._calls.call_later(call, on_reply, area)

    def call_anywhere(self, call: Call, method: str, *arguments: object) -> object:
        """The same, but where this peer is not in office, asks the trader it knows of and returns what that said. A
        search it answers from the nearest member of the books instead, where the settings have it so and it can.

        WireError where that is the answer, PostClosed if the trader does not answer.
        """
        if isinstance(call, Search) and self._nearest is not None and not self._in_office:
            found = self._nearest.search(call.item, call.since)
            if found is not None:
                return found
        try:
            return self.call(call)
        except NotTrader as refusal:
            uri = refusal.trader_uri
            if uri is None or uri == self.member.uri:
                raise
        return pass_on(uri, method, arguments, self._timeout_s)

    @property
    def areas(self) -> Collection[str]:
        """The areas of the town."""
        return self._area_search.areas

    def search_areas(self, item: str | None, areas: Collection[str] | None, since: Mapping[str, object]) -> Document:
        """Searches in several areas; see `AreaSearch.search`."""
        return self._area_search.search(item, areas, since)

    def as_of(self, area: str = "") -> AsOf | None:
        """How far this peer has read as the trader of `area`; None if it is not in office there."""
        with self._lock:
            return self._core.as_of(area)

    def status(self) -> Status:
        """What the core says of itself."""
        with self._lock:
            return self._core.status()

    def is_prompt(self, sender: int) -> bool:
        """Whether `deliver` takes in at once what comes from there."""
        return self._exchange.is_prompt(sender)

    def deliver(self, parcel: Parcel) -> Parcel:
        """Takes in what came along a link; returns what handling it made this peer say to the sender."""
        return self._exchange.deliver(parcel)

    def trader_homes(self, sales: tuple[Outcome, ...]) -> Iterable[str | None]:
        """The hosts of the traders that may tell this peer of these sales."""
        return self._homes.trader_homes(sales, of_other_areas=self._shares_log)

    def told(self, sales: tuple[Outcome, ...]) -> None:
        """The trader tells of sales. A seller that cannot note them leaves them for when it next asks."""
        with self._lock:
            if not self._noted_first.is_behind:
                self._step(SalesNotified(sales=sales))

    def introduce(self, member: Member) -> Snapshot:
        """Takes in a newcomer; returns what it must know. PostClosed if this peer has not begun itself, BadRequest if
        the newcomer does not answer at its own address: nobody is let in, and elected, that nobody can call."""
        if member.area != self.member.area:  # It looked for its own, and found this peer where one of them was.
            raise PostClosed(why=f"{self.name} is of another area")
        if not self._begun.wait(self._timeout_s / 2):
            raise PostClosed(why="this peer has not begun itself")
        call_back(member)
        with self._lock:
            news = MemberNews(members=(member,))
            self._step(Received(sender=member.rank, incarnation=member.incarnation, message=news))
            return self._core.snapshot()

    # -- what other threads hand over ----------------------------------------------------------------------

    def _on_hangup(self, connection: ServedConnection) -> None:
        if connection.rank is not None and not self._ended:
            self._links.probe(connection.rank)

    def _fire(self, timer: TimerName) -> None:
        self._step(TimerFired(timer=timer))

    def _on_result(self, operation: Operation, result: Result) -> None:
        self._feed(LedgerReplied(operation=operation, result=result))

    def _on_replied(self, ask_id: int, reply: Reply | Failure) -> None:
        self._feed(CallCompleted(ask_id=ask_id, reply=reply))

    # -- the core ------------------------------------------------------------------------------------------

    def _feed(self, event: Input) -> None:
        with self._lock:
            self._step(event)

    def _step(
        self,
        event: Input,
        *,
        back: list[LinkMessage] | None = None,
        sender: int | None = None,
        claims: bool = False,
    ) -> Operation | None:
        """Under the lock: one input to the core, and its commands handed over.

        Messages for `sender` go into `back`. With `claims`, an entry for the log may be returned, which the calling
        thread must then carry out itself.
        """
        if self._ended:
            return None
        now = Now(mono_s=time.monotonic(), wall_ms=time.time_ns() // 1_000_000)
        claimed: Operation | None = None
        try:
            self._noted_first.look()
            for command in self._core.handle(event, now):
                if isinstance(command, Send):
                    if back is not None and command.to.rank == sender:
                        back.append(command.message)
                    else:
                        self._links.send(command.to, command.message)
                elif isinstance(command, Perform):
                    if claims and claimed is None and self._ledger.claim(command.operation):
                        claimed = command.operation
                    else:
                        self._ledger.put(command.operation)
                elif isinstance(command, Publish):
                    self._publish(command.report, now)
                else:
                    self._carry_out[type(command)](command)
        except BaseException as error:
            self._ended = True
            self._calls.close()
            self._on_fault(error)
            raise
        self._handled += 1
        if not claims and type(event) is not LedgerReplied:  # These threads hand replies out by themselves.
            self._replies.ring()
        return claimed

    def _publish(self, report: Report, now: Now) -> None:
        if isinstance(report, JOURNALED):
            self._noted_first.publish(report, now.wall_ms)
            return
        if isinstance(report, Returned | Demoted):
            self._exchange.incarnation = report.incarnation
        self._on_report(report)

    def _set_links(self, command: SetLinks) -> None:
        self._neighbours = command.neighbours
        self._links.set_neighbours(command.neighbours)

    def _tell_held(self) -> None:
        """The core is held while in office: the neighbours hear that this peer is gone. It refutes that as soon as it
        goes on, and if there is another trader by then, the log says so. From the watchdog's thread."""
        self._log.warning("the core is held, so the town is told that this trader is gone")
        gone = msgspec.structs.replace(self.member, incarnation=self._exchange.incarnation, up=False)
        told = pack(self._exchange.seal((MemberNews(members=(gone,)),)))
        for neighbour in self._neighbours:  # One of them may be held as well.
            threading.Thread(target=deliver_once, args=(neighbour.uri, told, self._timeout_s), daemon=True).start()

    def _hold_post(self, command: HoldPost) -> None:
        self._registration.hold(command.term if command.held else None, command.area)
        if command.area:
            return  # It only stands in for another; its own office goes on.
        self._ledger.hold(command.held)
        self._in_office = command.held
        self._watchdog.watch(on=command.held)
        if not command.held:
            self._sale_notifier.rest()
