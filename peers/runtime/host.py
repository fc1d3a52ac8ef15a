"""The Pyro5 host of one peer: takes inputs to the core, one at a time, and has its commands carried out.

There is one lock, around `handle`. Under it commands are only handed over (put into a queue, written to the
journal); whatever may block happens on a thread of its own: links, ledger, asker, teller, registrar. An exception out
of the core is a bug, and a peer with a bug must not go on: `on_fault` is told, and ends the process.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn, Protocol

from peers.core.calls import Call, Failure, Reply, Status, Unreachable
from peers.core.commands import (
    CallTrader,
    CancelTimer,
    Command,
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
    CallerLeft,
    Input,
    Leave,
    LedgerReplied,
    Now,
    PeerGone,
    Quiesce,
    Received,
    RequestReceived,
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
from peers.core.peer import Peer
from peers.core.reports import Report, Returned
from peers.core.settings import Settings, make_settings
from peers.errors import NotTrader, PostClosed, WireError
from peers.rpc.deferred_replies import Answered, DeferredReplies, DeferredReply
from peers.rpc.endpoint import PeerEndpoint, prompt_answers
from peers.rpc.rpc_connection import CallFailed, RpcConnection
from peers.rpc.served_connection import ServedConnection
from peers.rpc.server import Server
from peers.rpc.wake_up import WakeUp
from peers.rpc.wire import Parcel, Reader
from peers.runtime.journal import Journal
from peers.runtime.ledger_executor import LedgerExecutor
from peers.runtime.links import Links
from peers.runtime.logs import Log
from peers.runtime.name_registration import NameRegistration
from peers.runtime.spec import CutLinks, PeerSpec
from peers.runtime.timers import Timers
from peers.runtime.trader_client import SaleNotifier, TraderClient

ANSWER_WITHIN = 0.8
"""Of a call's timeout: a caller is told "not decided yet" before it gives up by itself."""

REGISTER_PATIENCE_S = 10.0


class Core(Protocol):
    """What the host needs of a peer's core; see `peers.core.peer`."""

    def handle(self, event: Input, now: Now) -> list[Command]: ...

    def status(self) -> Status: ...

    def snapshot(self) -> Snapshot: ...


MakeCore = Callable[[Member, Settings, PeerSpec], Core]


def make_peer(me: Member, settings: Settings, spec: PeerSpec) -> Core:
    """The core of a real peer."""
    return Peer(me, settings, random.Random(spec.seed), trades=spec.trades)


class _Waiter:
    """Somebody who waits for an Answer."""

    __slots__ = ("bell", "reply")

    def __init__(self) -> None:
        self.bell = WakeUp()
        self.reply: Reply | Failure = None


class PeerHost:
    """One peer, listening from the start; `register` it, then `begin`.

    `on_report` and `on_stop` are called under the lock and must not block; `on_fault` gets what the core raised.
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
    ) -> None:
        settings = make_settings(spec.settings)
        timing = settings.timing
        self.name = spec.name
        self._on_report, self._on_stop, self._on_fault = on_report, on_stop, on_fault
        self._log = log
        self._timeout_s = timing.call_timeout_s
        self._lock = threading.Lock()
        self._begun = threading.Event()
        self._ended = False
        self._waiting: dict[int, _Waiter | DeferredReply] = {}
        self._deferred_replies = DeferredReplies(ANSWER_WITHIN * self._timeout_s, self._expire_tickets)
        self._last_call = 0
        self._incarnation = spec.incarnation
        self._journal = Journal(Path(spec.directory), spec.name)
        self._timers = Timers(self._lock, self._fire)
        self._ledger = LedgerExecutor(make_ledger, self._on_result, self._deferred_replies, log)
        self._links = Links(self, timing.call_timeout_s, log)
        self._asker = TraderClient(timing.call_timeout_s, self._on_replied)
        self._teller = SaleNotifier()
        reader = Reader(settings)
        self._server = Server(
            spec.host,
            PeerEndpoint(self, reader),
            spec.name,
            on_hangup=self._on_hangup,
            prompt=prompt_answers(self, reader),
        )
        self.member = Member(
            rank=spec.rank, name=spec.name, role=spec.role, uri=self._server.uri, incarnation=spec.incarnation
        )
        self._registrar = NameRegistration(spec.nameserver_host, spec.nameserver_port, self.member)
        self._core = make_core(self.member, settings, spec)
        self._server.start()

    # -- beginning and end ---------------------------------------------------------------------------------

    def register(self) -> None:
        """Has the name server list this peer, from now on; TownError if there is none."""
        self._registrar.start(REGISTER_PATIENCE_S)

    def begin(self, snapshot: Snapshot, *, starts_election: bool = False) -> None:
        """The market opens."""
        self._timers.start()
        with self._lock:
            self._step(Start(snapshot=snapshot, starts_election=starts_election))
            self._begun.set()

    def rest(self) -> None:
        """Buys and sells nothing more of its own accord."""
        self._feed(Quiesce())

    def leave(self) -> None:
        """Says goodbye to the market; `on_stop` is called when that is done."""
        self._feed(Leave())

    def stop(self, *, farewell: bool = False) -> None:
        """Takes in nothing more; returns when what was said has been sent. `farewell`: the name server hears it."""
        # First, for neighbours whose links end will look whether anybody is still there.
        self._server.stop_listening()
        with self._lock:
            self._ended = True
            self._timers.stop()
            self._asker.stop()
            self._teller.stop()
            self._links.retire_all()
            for call_id in list(self._waiting):
                self._answer(call_id, PostClosed(why="the peer is leaving"))
        self._deferred_replies.close()
        self._begun.set()
        self._links.drain(0.5)
        self._registrar.stop(farewell=farewell)
        self._ledger.close()

    def close(self) -> None:
        """Stops, and lets go of everything: for programs that go on afterwards."""
        self.stop(farewell=True)
        self._server.close()
        self._timers.join()
        self._deferred_replies.join(self._timeout_s)
        self._asker.join(self._timeout_s)
        self._teller.join(self._timeout_s)
        self._journal.close()

    def cut_links(self, cut: CutLinks) -> None:
        """Behaves as if these links were cut, for a while: for chaos runs and tests."""
        self._log.warning("links are cut on the town's order", neighbours=cut.neighbours, way=cut.way)
        self._links.cuts.apply(cut)

    # -- what the desk hands over --------------------------------------------------------------------------

    def call(self, call: Call) -> Reply:
        """Has the core answer a call; raises WireError where that is the answer."""
        waiter = _Waiter()
        with self._lock:
            if self._ended:
                raise PostClosed(why="the peer is leaving")
            self._last_call += 1
            call_id = self._last_call
            self._waiting[call_id] = waiter
            claimed = self._step(RequestReceived(call_id=call_id, call=call), claims=True)
        if claimed is not None:
            self._ledger.carry_out(claimed)
        if not waiter.bell.wait(ANSWER_WITHIN * self._timeout_s):
            with self._lock:
                if self._waiting.pop(call_id, None) is not None:
                    self._step(CallerLeft(call_id=call_id))
                    raise PostClosed(why="not decided yet")
        reply = waiter.reply
        if isinstance(reply, WireError):
            raise type(reply)(**reply.fields())  # one of its own: several callers may have been given the same
        if isinstance(reply, Unreachable):
            raise PostClosed(why=reply.why)
        return reply

    def call_later(self, call: Call, answered: Answered) -> Callable[[], None] | None:
        """Has the core answer a call; `answered` gets the answer, on whichever thread has it, and must not block.

        Returns what the calling thread is to do next, once it may wait.
        """
        with self._lock:
            if self._ended:
                raise PostClosed(why="the peer is leaving")
            self._last_call += 1
            call_id = self._last_call
            self._waiting[call_id] = self._deferred_replies.defer(answered)
            claimed = self._step(RequestReceived(call_id=call_id, call=call), claims=True)
        self._deferred_replies.hand_out()
        return None if claimed is None else partial(self._ledger.carry_out, claimed)

    def _expire_tickets(self) -> bool:
        """Turns away those who have waited for too long; returns whether others still wait."""
        now_s = time.monotonic()
        with self._lock:
            deferred = [(call_id, each) for call_id, each in self._waiting.items() if isinstance(each, DeferredReply)]
            late = [call_id for call_id, deferred in deferred if deferred.due_s <= now_s]
            for call_id in late:
                self._step(CallerLeft(call_id=call_id))
                self._answer(call_id, PostClosed(why="not decided yet"))
        return len(late) < len(deferred)

    def call_anywhere(self, call: Call, method: str, argument: object) -> object:
        """The same, but where this peer is not in office, asks the trader it knows of and returns what that said."""
        try:
            return self.call(call)
        except NotTrader as refusal:
            uri = self._uri_of(refusal.trader)
            if uri is None:
                raise
        line = RpcConnection(uri, self._timeout_s)
        try:
            return line.call(method, argument, forwarded=True)
        except CallFailed as error:
            raise PostClosed(why="the trader does not answer") from error
        finally:
            line.close()

    def _uri_of(self, name: str | None) -> str | None:
        with self._lock:
            members = self._core.snapshot().members
        return next((m.uri for m in members if m.name == name and m.name != self.name), None)

    def status(self) -> Status:
        """What the core says of itself."""
        with self._lock:
            return self._core.status()

    def is_prompt(self, sender: int) -> bool:
        """Whether `deliver` takes in at once what comes from there."""
        cuts = self._links.cuts
        return self._begun.is_set() and not (cuts.deafens(sender) or cuts.mutes(sender))

    def deliver(self, parcel: Parcel) -> Parcel:
        """Takes in what came along a link; returns what handling it made this peer say to the sender."""
        back: list[LinkMessage] = []
        if self._links.cuts.deafens(parcel.sender):
            self._leave_unanswered()
        # Others may have begun a little earlier than this one.
        if self._begun.wait(self._timeout_s / 2):
            with self._lock:
                self._take_in(parcel, back)
        if self._links.cuts.mutes(parcel.sender):
            self._leave_unanswered()
        return self.seal(tuple(back))

    def _leave_unanswered(self) -> NoReturn:
        """On a thread of the caller's own: by the time this says no, nobody waits for it any more."""
        time.sleep(2 * self._timeout_s)
        raise PostClosed(why="the link is cut")

    def told(self, sales: tuple[Outcome, ...]) -> None:
        """The trader tells of sales."""
        self._feed(SalesNotified(sales=sales))

    def introduce(self, member: Member) -> Snapshot:
        """Takes in a newcomer; returns what it must know."""
        if not self._begun.wait(self._timeout_s / 2):
            raise PostClosed(why="this peer has not begun itself")
        with self._lock:
            news = MemberNews(members=(member,))
            self._step(Received(sender=member.rank, incarnation=member.incarnation, message=news))
            return self._core.snapshot()

    # -- what links hand over ------------------------------------------------------------------------------

    def seal(self, messages: tuple[LinkMessage, ...]) -> Parcel:
        """Messages of this peer, as it is now."""
        return Parcel(sender=self.member.rank, incarnation=self._incarnation, messages=messages)

    def received(self, parcel: Parcel) -> None:
        """Takes in what came back on our own call."""
        with self._lock:
            self._take_in(parcel, None)

    def gone(self, rank: int, incarnation: int) -> None:
        """Nobody listens any more where that peer was."""
        self._feed(PeerGone(rank=rank, incarnation=incarnation))

    def _take_in(self, parcel: Parcel, back: list[LinkMessage] | None) -> None:
        for message in parcel.messages:
            event = Received(sender=parcel.sender, incarnation=parcel.incarnation, message=message)
            self._step(event, back=back, sender=parcel.sender)

    def _on_hangup(self, connection: ServedConnection) -> None:
        if connection.rank is not None and not self._ended:
            self._links.probe(connection.rank)

    # -- what other threads hand over ----------------------------------------------------------------------

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

        `back` collects what is for `sender`. With `claims`, an entry that the calling thread may carry out itself
        is returned, and must be.
        """
        if self._ended:
            return None
        now = Now(mono_s=time.monotonic(), wall_ms=time.time_ns() // 1_000_000)
        claimed: Operation | None = None
        try:
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
                else:
                    self._hand_over(command, now)
        except BaseException as error:
            self._ended = True
            self._on_fault(error)
            raise
        if not claims and type(event) is not LedgerReplied:  # these hand out by themselves
            self._deferred_replies.ring()
        return claimed

    def _hand_over(self, command: Command, now: Now) -> None:
        if isinstance(command, Respond):
            self._answer(command.call_id, command.reply)
        elif isinstance(command, SetTimer):
            self._timers.set(command.timer, command.after_s)
        elif isinstance(command, Publish):
            self._say(command.report, now)
        elif isinstance(command, CallTrader):
            self._asker.ask(command)
        elif isinstance(command, NotifySales):
            self._teller.tell(command)
        elif isinstance(command, CancelTimer):
            self._timers.cancel(command.timer)
        elif isinstance(command, SetLinks):
            self._links.set_neighbours(command.neighbours)
        elif isinstance(command, HoldPost):
            self._hold_post(command)
        elif isinstance(command, Stop):
            self._on_stop()
        else:
            raise TypeError(f"not a command: {command!r}")

    def _answer(self, call_id: int, reply: Reply | Failure) -> None:
        waiter = self._waiting.pop(call_id, None)
        if isinstance(waiter, DeferredReply):
            self._deferred_replies.put(waiter, reply)
        elif waiter is not None:
            waiter.reply = reply
            waiter.bell.ring()

    def _say(self, report: Report, now: Now) -> None:
        if isinstance(report, JOURNALED):
            self._journal.note(report, now.wall_ms)
        elif isinstance(report, Returned):
            self._incarnation = report.incarnation
        self._on_report(report)

    def _hold_post(self, command: HoldPost) -> None:
        self._registrar.hold(command.term if command.held else None)
        self._ledger.hold(command.held)
        if not command.held:
            self._teller.rest()
