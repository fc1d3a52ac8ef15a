"""All that simulated peers live in, joined: processes, network and ledger on one schedule, and the judge's eyes.

What happens is decided by the seed and by what is done to it from outside: every random draw comes from a stream
named after the seed.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from peers.core.commands import (
    CallTrader,
    Command,
    Crash,
    HoldPost,
    NotifySales,
    Perform,
    Publish,
    Respond,
    Send,
    SetLinks,
    Stop,
)
from peers.core.leadership.reasons import VacancyReason
from peers.core.leadership.state import LeadershipEvent
from peers.core.names import role_in
from peers.core.reports import (
    CutOff,
    Demoted,
    Elected,
    ElectionStarted,
    FalseTerm,
    GaveBack,
    LeadershipChanged,
    LeftOffice,
    Opened,
    Report,
    Returned,
    TookOver,
)
from peers.core.settings import Settings
from peers.simulator.environment.history import History
from peers.simulator.environment.judge import Judge
from peers.simulator.environment.ledger_road import LedgerRoad
from peers.simulator.environment.ledger_trace import LedgerTrace
from peers.simulator.environment.lives import Lives
from peers.simulator.environment.network import Network
from peers.simulator.environment.process import Process
from peers.simulator.environment.record import Record
from peers.simulator.environment.schedule import Schedule

LEAST_LIVE = 3
"""So many peers stay up in each area whatever the plan says: with fewer there is hardly a market. Not an option, for
nothing is learned from a schedule in which nobody can trade."""


class Environment:
    """Everything but the faults. Its parts are there to be looked at and, by who plays faults, to be worsened."""

    def __init__(
        self, seed: int, settings: Settings, history: History | None, trace: LedgerTrace | None = None
    ) -> None:
        self.settings = settings
        self.schedule = Schedule(None if history is None else history.on_push)
        self.record = Record(self.schedule, history, trace)
        self.lives = Lives(self.schedule, self.record, settings, seed)
        rng = Random(f"world {seed}")
        network_rng, road_rng = Random(rng.random()), Random(rng.random())
        self.road = LedgerRoad(self.schedule, self.record, self.lives, road_rng, Random(f"looks {seed}"))
        self.judge = Judge(self.schedule, self.record, self.road.ledger, settings)
        self.network = Network(self.schedule, self.record, self.lives, self.judge, network_rng, settings)
        self._wake_rng = Random(rng.random())
        # By area and term, who began the election after it.
        self._elections: dict[tuple[str, int], str] = {}
        self._looks: dict[type[Report], Callable[[Process, Any], None]] = {
            Elected: self._on_elected,
            ElectionStarted: self._on_election_started,
            LeadershipChanged: self._on_leadership_changed,
            GaveBack: self._on_gave_back,
            LeftOffice: self._on_left_office,
            Opened: self._on_opened,
            CutOff: self._seen("a candidate left the post to a trader that is at work"),
            FalseTerm: self._seen("a lie about a term was found out in the books"),
            TookOver: self._seen("a fellow took an area over"),
            Demoted: self._seen("a trader went back to another role"),
            Returned: self._seen("a peer taken for gone came back"),
        }
        self.lives.interpreters |= {
            Send: self.network.send,
            Perform: self.road.perform,
            CallTrader: self.network.ask,
            Respond: self.network.answer,
            NotifySales: self.network.tell,
            Publish: self._publish,
            SetLinks: _nothing,
            HoldPost: _nothing,
            Crash: self._crash,
            Stop: self._stop,
        }

    def kill(self, process: Process) -> None:
        """Ends a process at once, with whatever it had on its hands."""
        process.up = False
        process.hung = False
        self.network.on_death(process)
        if self.record.trace is not None:
            self.record.trace.on_gone(process)

    def wake(self, process: Process) -> None:
        """Has a process that hung go on."""
        if not process.up or not process.hung:
            return
        post = self.road.post().of(process.area)
        if process.view.in_office:
            self.record.saw("a sleeper woke in office")
            if post.trader != process.name or post.term > process.view.term:
                self.record.saw("a sleeper woke in office, deposed")
        self.lives.go_on(process, self._wake_rng)
        self.road.resume(process)

    def _stop(self, process: Process, _: Stop) -> None:
        self.record.note(process, "leaves the market")
        self.kill(process)

    def _crash(self, process: Process, _: Crash) -> None:
        if len(self.lives.neighbours_of(process)) < LEAST_LIVE:
            return
        self.record.note(process, "kills itself")
        self.record.saw("a trader killed itself")
        self.kill(process)
        after_s = self.settings.market.return_after_s
        if after_s:
            self.schedule.push(self.schedule.now_s + after_s, self._come_back, process, None)

    def _come_back(self, process: Process, _: None) -> None:
        live = self.lives.live()
        sponsor = next((p for p in live if p.started and not p.hung and p.area == process.area), None)
        if sponsor is not None and all(p.rank != process.rank for p in live):
            self.lives.begin(process.rank, role_in(process.name), sponsor)
            self.record.saw("a trader that killed itself came back")

    def _publish(self, process: Process, command: Publish) -> None:
        report, record = command.report, self.record
        self.judge.on_report(process, report)
        if record.history is not None:
            record.history.on_report(process, report, self.schedule.now_s)
        look = self._looks.get(type(report))
        if look is not None:
            look(process, report)

    # -- what is worth counting ------------------------------------------------------------------------------

    def _on_elected(self, process: Process, _: Elected) -> None:
        if sum(p.area == process.area for p in self.lives.in_office()) > 1:
            self.record.saw("two peers were in office by their own belief")

    def _on_election_started(self, process: Process, report: ElectionStarted) -> None:
        if report.attempt:
            self.record.saw("an election took another attempt")
        elif self._elections.setdefault((process.area, report.after_term), report.peer) != report.peer:
            self.record.saw("an election had two starters")

    def _on_leadership_changed(self, _: Process, report: LeadershipChanged) -> None:
        self.record.saw(report.transition.title)
        if report.by is LeadershipEvent.BID_WITHDRAWN:
            self.record.saw("a candidate gave way for want of the books")

    def _on_gave_back(self, _: Process, report: GaveBack) -> None:
        self.record.saw("a fellow gave an area back" if report.to else "a fellow was out of office itself")
        if report.sales:
            self.record.saw("a fellow sold for an area that it stood in for")

    def _on_left_office(self, _: Process, report: LeftOffice) -> None:
        if report.reason is VacancyReason.BOOKS_AWAY:
            self.record.saw("a trader gave up office for want of the books")

    def _on_opened(self, process: Process, _: Opened) -> None:
        process.started = True

    def _seen(self, what: str) -> Callable[[Process, Any], None]:
        """Returns what notes that this report alone is worth counting."""
        return lambda _, __: self.record.saw(what)


def _nothing(_: Process, __: Command) -> None:
    """Links and the name server's entry need nothing done here: a process is reached by its address."""
