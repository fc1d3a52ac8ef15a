"""One schedule from its opening to its verdict: peers in their environment, and the faults of a plan."""

from __future__ import annotations

from peers.core.inputs import Start
from peers.core.membership.members import Member, Snapshot
from peers.simulator.breaking.fault_play import FaultPlay
from peers.simulator.breaking.readers import Reader
from peers.simulator.breaking.strangers import last_purchase
from peers.simulator.environment.environment import Environment
from peers.simulator.environment.history import History
from peers.simulator.environment.ledger_trace import LedgerTrace
from peers.simulator.environment.record import Breach
from peers.simulator.scenario import Scenario, settings_of

_BOOKS_FOLLOW_S = 1.0
"""The books are made within this time of the last decision, once nothing is wrong any more."""

_LATE_S = 1.0
"""What is on its way to the ledger when all is well again arrives within this time."""


class World:
    """One schedule. What happens is decided by the scenario alone; `history`, where there is one, keeps it all."""

    def __init__(self, scenario: Scenario, history: History | None = None, trace: LedgerTrace | None = None) -> None:
        self.scenario = scenario
        self.environment = Environment(scenario.seed, settings_of(scenario), history, trace)
        self.faults = FaultPlay(self.environment)
        lives, push = self.environment.lives, self.environment.schedule.push
        members = tuple(lives.member(rank, role, scenario.area_of(rank)) for rank, role in enumerate(scenario.roles))
        snapshots = {area: _snapshot(scenario, members, area) for area in scenario.areas or ("",)}
        for member in members:
            snapshot = snapshots[member.area]
            first = member is snapshot.members[0]
            push(0.0, lives.arrive, lives.create(member), Start(snapshot=snapshot, starts_election=first))
        self.faults.schedule(scenario.plan)
        push(scenario.chaos_s, self._calm_down, None, None)
        self._readers = [
            Reader(self.environment, f"reader{number}", scenario.seed) for number in range(1, scenario.readers + 1)
        ]
        for reader in self._readers:
            reader.start()

    def run(self) -> list[Breach]:
        """Runs the schedule to its end and judges it. What was decided last may not be in the books yet."""
        schedule, ledger = self.environment.schedule, self.environment.road.ledger
        if self.scenario.ends_at_rest and self._comes_to_rest():
            return []
        self.run_until(self.scenario.length_s)
        latest_s = self.scenario.length_s + _BOOKS_FOLLOW_S
        while ledger.made < ledger.end and schedule.now_s < latest_s:
            self.run_until(schedule.now_s + _BOOKS_FOLLOW_S / 50)
        return self.environment.judge.verdict(self.environment.lives.all)

    def _comes_to_rest(self) -> bool:
        """Plays on until nothing is left to be done and all invariants hold; False if that takes all of the calm."""
        schedule, judge, everybody = self.environment.schedule, self.environment.judge, self.environment.lives.all
        self.run_until(self.scenario.chaos_s)
        wait_s = _LATE_S
        while schedule.now_s + wait_s < self.scenario.length_s:
            self.run_until(schedule.now_s + wait_s)
            if not judge.seems_at_rest(everybody):
                wait_s = _LATE_S / 4
            elif not judge.verdict(everybody):
                return True
            else:  # A verdict takes a while, and something else is still to happen first.
                wait_s = 2 * wait_s
        return False

    def run_until(self, until_s: float) -> None:
        """Lets everything happen that is due by then."""
        self.environment.schedule.run_until(until_s)

    def _calm_down(self, _: None, __: None) -> None:
        self.faults.end_all()
        for reader in self._readers:
            reader.stop()
        environment = self.environment
        environment.lives.calm_down()
        latest_s = environment.schedule.now_s + self.scenario.calm_s / 2
        environment.schedule.push(latest_s, self._last_customer, None, None)

    def _last_customer(self, _: None, __: None) -> None:
        """A trader deposed without knowing it, by one that is gone again, finds out when somebody buys."""
        environment = self.environment
        for number, process in enumerate(environment.lives.in_office()):
            purchase = last_purchase(f"latecomer{number}", environment.settings)
            environment.network.call_from_outside(process, purchase)


def _snapshot(scenario: Scenario, members: tuple[Member, ...], area: str) -> Snapshot:
    """What the peers of one area are given when they start."""
    ours = tuple(member for member in members if member.area == area)
    return Snapshot(members=ours, edges=tuple(edge for edge in scenario.edges if scenario.area_of(edge[0]) == area))
