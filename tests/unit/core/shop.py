"""One customer, buyer or seller, and a trader that answers what the test says."""

from __future__ import annotations

from random import Random

from peers.core.calls import Call, Failure, Reply, Unreachable
from peers.core.commands import CallTrader, CancelTimer, Command, Publish, SetTimer
from peers.core.inputs import (
    CallCompleted,
    Input,
    Now,
    Received,
    RequestReceived,
    SalesNotified,
    Start,
    TimerFired,
    TimerName,
)
from peers.core.leadership.reasons import VacancyReason
from peers.core.market.records import Outcome
from peers.core.membership.members import Member, Snapshot
from peers.core.messages import Coordinator, MemberNews, Vacancy
from peers.core.peer import Peer
from peers.core.reports import Report
from peers.core.settings import Settings
from tests.unit.core.words import T0_MS, peer, rules

TRADER = peer(9, "merchant")
NEIGHBOUR = peer(8, "merchant")


class Shop:
    """A peer of a town in which merchant9 is trader of term 1; it asks, the test answers."""

    def __init__(
        self, me: Member, settings: Settings | None = None, *, seed: int = 1, with_trader: bool = True
    ) -> None:
        self.settings = settings or rules(think_s=0.5, period_s=60.0)
        self.peer = Peer(me, self.settings, Random(seed))
        self.now_s = 0.0
        self.asks: list[tuple[int, Member, Call]] = []
        self.timers: dict[TimerName, float] = {}
        self.reports: list[Report] = []
        self.commands: list[Command] = []
        snapshot = Snapshot(
            members=(me, NEIGHBOUR, TRADER),
            edges=((me.rank, 8), (8, 9)),
            term=1 if with_trader else 0,
            trader=TRADER.name if with_trader else None,
        )
        self.happens(Start(snapshot=snapshot))

    def happens(self, event: Input) -> None:
        self.commands = self.peer.handle(event, Now(mono_s=self.now_s, wall_ms=T0_MS + int(self.now_s * 1000)))
        for command in self.commands:
            if isinstance(command, CallTrader):
                self.asks.append((command.ask_id, command.trader, command.call))
            elif isinstance(command, SetTimer):
                self.timers[command.timer] = self.now_s + command.after_s
            elif isinstance(command, CancelTimer):
                self.timers.pop(command.timer, None)
            elif isinstance(command, Publish):
                self.reports.append(command.report)

    # -- what happens to it --------------------------------------------------------------------------------

    def time_comes(self, timer: TimerName) -> None:
        """Waits until this timer comes due."""
        self.now_s = max(self.now_s, self.timers.pop(timer))
        self.happens(TimerFired(timer=timer))

    def is_answered(self, reply: Reply | Failure) -> None:
        """The last thing it asked is answered so."""
        ask_id, _, _ = self.asks[-1]
        self.happens(CallCompleted(ask_id=ask_id, reply=reply))

    def hears_nothing(self) -> None:
        self.is_answered(Unreachable(why="timeout"))

    def is_told(self, *sales: Outcome) -> None:
        self.happens(SalesNotified(sales=sales))

    def hears(self, message: Vacancy | Coordinator | MemberNews) -> None:
        self.happens(Received(sender=NEIGHBOUR.rank, incarnation=1, message=message))

    def loses_the_trader(self, term: int = 1) -> None:
        self.hears(
            Vacancy(
                term=term,
                incarnation=TRADER.incarnation,
                reason=VacancyReason.RESIGNED,
                barred=(TRADER.rank,),
            )
        )

    def gets_a_trader(self, trader: Member = NEIGHBOUR, *, term: int = 2) -> None:
        self.hears(Coordinator(term=term, trader=trader.rank, incarnation=trader.incarnation))

    def is_called(self, call: Call) -> None:
        self.happens(RequestReceived(call_id=1, call=call))

    # -- what it did ---------------------------------------------------------------------------------------

    @property
    def asked(self) -> Call:
        """What it asked last."""
        return self.asks[-1][2]

    @property
    def asked_whom(self) -> str:
        return self.asks[-1][1].name

    @property
    def clock(self) -> int:
        return self.peer.view.clock_time

    def said(self, kind: type[Report]) -> list[Report]:
        return [report for report in self.reports if isinstance(report, kind)]
