"""The network: links that keep their order, direct calls, and all that can go wrong with either.

What it promises is what TCP promises under Pyro5: while nothing is wrong a link delivers each message once and in
order; a call to a process that is gone fails at once; a call that is cut off ends with a timeout, which does not say
whether it ran.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from peers.core.bounds import MAX_TIME
from peers.core.calls import Call, Failure, MakeDeposit, Reply, ReportStock, Unreachable, check_call
from peers.core.commands import CallTrader, NotifySales, Respond, Send
from peers.core.inputs import CallCompleted, CallerLeft, PeerGone, Received, RequestReceived, SalesNotified
from peers.core.messages import LinkMessage, MemberNews
from peers.core.settings import Settings
from peers.errors import BadRequest
from peers.simulator.environment.judge import Judge
from peers.simulator.environment.lives import Lives
from peers.simulator.environment.process import Process
from peers.simulator.environment.record import Record
from peers.simulator.environment.schedule import Schedule

# None of these is an option: a seed is to give the same schedule everywhere.
HOP_S = 0.001
_JITTER_S = 0.001
_GAP_S = 1e-6  # Lies between two messages of one link, so that they keep their order.

_GONE = Unreachable(why="connection refused")
_BROKEN = Unreachable(why="connection closed")
_TIMEOUT = Unreachable(why="timed out")


Hear = Callable[[Reply | Failure], None]
"""Takes in the answer to a call from outside."""


class Weather:
    """What is wrong with the network now. Shares of messages, and who does not reach whom."""

    def __init__(self) -> None:
        self.loss = self.duplicates = self.delay = self.reorder = self.lost_calls = 0.0
        # By sender and receiver, the number of faults that cut the way between them.
        self.cuts: dict[tuple[int, int], int] = {}
        self.clear = True  # Whether nothing is wrong with links; kept by `look`.

    def look(self) -> None:
        """Works out `clear` after a change."""
        self.clear = not (self.loss or self.duplicates or self.delay or self.reorder or self.cuts)


class _Waiting:
    """A call on its way: who asked, what number it gave the call, and whom it asked."""

    __slots__ = ("ask_id", "asked", "caller")

    def __init__(self, caller: Process, ask_id: int, asked: Process) -> None:
        self.caller, self.ask_id, self.asked = caller, ask_id, asked


class Network:
    """Carries out Send, CallTrader, Respond and NotifySales."""

    def __init__(
        self, schedule: Schedule, record: Record, lives: Lives, judge: Judge, rng: Random, settings: Settings
    ) -> None:
        self.weather = Weather()
        self._schedule = schedule
        self._record = record
        self._lives = lives
        self._judge = judge
        self._rng = rng
        self._settings = settings
        self._timeout_s = settings.timing.call_timeout_s
        self._calls: dict[int, _Waiting] = {}
        # By the number of a call from outside, who hears the answer.
        self._outside: dict[int, Hear] = {}
        self._last_call = 0
        self._deposits_asked: set[str] = set()
        self._taken_back_asked: set[str] = set()

    # -- links ---------------------------------------------------------------------------------------------

    def send(self, source: Process, command: Send) -> None:
        schedule, lives, weather, to = self._schedule, self._lives, self.weather, command.to
        if _highest_incarnation(command.message) > MAX_TIME:
            self._record.violate("limits_hold", f"{source.name} says what nobody can decode: {command.message}")
            return
        at_s = schedule.now_s + HOP_S + _JITTER_S * self._rng.random()
        cut = False
        copies = 1
        if not weather.clear:
            cut = (source.rank, to.rank) in weather.cuts
            copies, at_s = self._mistreat(at_s)
        if not weather.reorder:
            free_s = source.links_free_s.get(to.rank, 0.0) + _GAP_S
            source.links_free_s[to.rank] = at_s = free_s if free_s > at_s else at_s
        if cut:
            return
        target = lives.by_uri.get(to.uri)
        if (target is None or not target.up) and not source.view.is_up(to.rank):
            # A message to a peer taken for gone is a knock: the host asks the name server who has that name now.
            target = lives.registered.get(to.rank)
        if target is not None and target.rank != to.rank:
            # Somebody gave out its own address as another's, and swallows what comes; answers go back where from.
            target = lives.registered.get(to.rank) if source.answers == to.rank else None
            if target is None:
                return
        if target is None or not target.up:
            if (to.rank, source.rank) not in weather.cuts:
                schedule.push(at_s, lives.arrive, source, PeerGone(rank=to.rank, incarnation=to.incarnation))
            return
        event = Received(sender=source.rank, incarnation=source.view.me.incarnation, message=command.message)
        while copies:
            schedule.push(at_s, lives.arrive, target, event)
            at_s += HOP_S
            copies -= 1

    def tell(self, source: Process, command: NotifySales) -> None:
        at_s = self._schedule.now_s + HOP_S + _JITTER_S * self._rng.random()
        self._judge.on_told(source, command)
        copies = 1
        if not self.weather.clear:
            if (source.rank, command.customer.rank) in self.weather.cuts:
                return
            copies, at_s = self._mistreat(at_s)
        target = self._lives.by_uri.get(command.customer.uri)
        for copy in range(copies if target is not None else 0):
            self._schedule.push(at_s + copy * HOP_S, self._lives.arrive, target, SalesNotified(sales=command.sales))

    def _mistreat(self, at_s: float) -> tuple[int, float]:
        """Returns how many copies arrive, and when the first does."""
        weather, random = self.weather, self._rng.random
        copies = 1
        if weather.loss and random() < weather.loss:
            copies = 0
        elif weather.duplicates and random() < weather.duplicates:
            copies = 2
        if weather.delay and random() < weather.delay:
            at_s += 0.8 * random() * random()
        if weather.reorder and random() < weather.reorder:
            at_s += 0.02 * random()
        return copies, at_s

    # -- calls ---------------------------------------------------------------------------------------------

    def ask(self, caller: Process, command: CallTrader) -> None:
        schedule, lives = self._schedule, self._lives
        try:
            check_call(command.call, self._settings.market.items, self._settings.clock)
        except BadRequest as refusal:
            self._record.violate("limits_hold", f"{caller.name} asks what nobody may ask: {refusal}")
        caller.asks.add(command.ask_id)
        at_s = schedule.now_s + HOP_S + _JITTER_S * self._rng.random()
        target = lives.by_uri.get(command.trader.uri)
        there = (caller.rank, command.trader.rank) not in self.weather.cuts
        if there and (target is None or not target.up):
            schedule.push(at_s, self._arrive_reply, caller, CallCompleted(ask_id=command.ask_id, reply=_GONE))
            return
        call_id = self._next_call()
        schedule.push(schedule.now_s + self._timeout_s, self._time_out, caller, (command.ask_id, call_id))
        if target is None or not there or self._rng.random() < self.weather.lost_calls / 2:
            return
        self._calls[call_id] = _Waiting(caller, command.ask_id, target)
        self._note(target, command.call)
        if not self.weather.clear:
            copies, at_s = self._mistreat(at_s)
            # Something in between sent the call again; nobody waits for the second answer.
            if copies == 2:
                again = RequestReceived(call_id=self._next_call(), call=command.call, area=command.area)
                schedule.push(at_s + 0.1 * self._rng.random(), lives.arrive, target, again)
        asked = RequestReceived(call_id=call_id, call=command.call, area=command.area)
        schedule.push(at_s, lives.arrive, target, asked)

    def call_from_outside(self, target: Process, call: Call, hear: Hear | None = None) -> int:
        """A call by somebody who is no peer; the answer goes to the judge, and to `hear`."""
        call_id = self._next_call()
        if hear is not None:
            self._outside[call_id] = hear
        at_s = self._schedule.now_s + HOP_S
        self._schedule.push(at_s, self._lives.arrive, target, RequestReceived(call_id=call_id, call=call))
        return call_id

    def answer(self, source: Process, command: Respond) -> None:
        self._judge.on_answer(source, command)
        hear = self._outside.pop(command.call_id, None)
        if hear is not None:
            self._schedule.push(self._schedule.now_s + HOP_S, lambda _, reply: hear(reply), None, command.reply)
            return
        waiting = self._calls.pop(command.call_id, None)
        if waiting is None:
            return
        cut = (source.rank, waiting.caller.rank) in self.weather.cuts
        if cut or self._rng.random() < self.weather.lost_calls / 2:
            return
        at_s = self._schedule.now_s + HOP_S + _JITTER_S * self._rng.random()
        self._reply(waiting, command.reply, at_s)

    def _reply(self, waiting: _Waiting, reply: Reply | Failure, at_s: float) -> None:
        self._schedule.push(
            at_s, self._arrive_reply, waiting.caller, CallCompleted(ask_id=waiting.ask_id, reply=reply)
        )

    def _arrive_reply(self, caller: Process, replied: CallCompleted) -> None:
        if replied.ask_id in caller.asks:
            caller.asks.remove(replied.ask_id)
            self._lives.arrive(caller, replied)

    def _time_out(self, caller: Process, which: tuple[int, int]) -> None:
        ask_id, call_id = which
        waiting = self._calls.pop(call_id, None)
        if ask_id not in caller.asks or not caller.up:
            return
        caller.asks.remove(ask_id)
        self._lives.arrive(caller, CallCompleted(ask_id=ask_id, reply=_TIMEOUT))
        if waiting is not None:
            self._hang_up(call_id, waiting)

    def on_death(self, gone: Process) -> None:
        """Connections of a process that is gone break, and mostly those at the other end notice."""
        at_s = self._schedule.now_s + HOP_S
        for call_id, waiting in list(self._calls.items()):
            if waiting.asked is gone:
                del self._calls[call_id]
                self._reply(waiting, _BROKEN, at_s)
            elif waiting.caller is gone:
                del self._calls[call_id]
                self._hang_up(call_id, waiting)
        for other in self._lives.all:
            if other.up and gone.rank in other.view.neighbours and self._rng.random() < 0.7:
                member = other.view.member(gone.rank)
                if member is not None and member.uri == gone.uri and (gone.rank, other.rank) not in self.weather.cuts:
                    event = PeerGone(rank=gone.rank, incarnation=member.incarnation)
                    self._schedule.push(at_s + 0.005 * self._rng.random(), self._lives.arrive, other, event)

    def _hang_up(self, call_id: int, waiting: _Waiting) -> None:
        # The host at the other end need not notice.
        if self._rng.random() < 0.5:
            self._schedule.push(
                self._schedule.now_s + HOP_S, self._lives.arrive, waiting.asked, CallerLeft(call_id=call_id)
            )

    def _next_call(self) -> int:
        self._last_call += 1
        return self._last_call

    def _note(self, target: Process, call: Call) -> None:
        if isinstance(call, ReportStock) and call.unfilled and target.view.in_office:
            if not self._taken_back_asked.isdisjoint(call.unfilled):
                self._record.saw("a sale was asked to be taken back twice")
            self._taken_back_asked.update(call.unfilled)
        if isinstance(call, MakeDeposit) and target.view.in_office:
            if call.offer.deposit_id in self._deposits_asked:
                self._record.saw("a deposit was asked for twice")
            self._deposits_asked.add(call.offer.deposit_id)


def _highest_incarnation(message: LinkMessage) -> int:
    if isinstance(message, MemberNews):
        return max((member.incarnation for member in message.members), default=0)
    incarnation: int = getattr(message, "incarnation", 0)
    return incarnation
