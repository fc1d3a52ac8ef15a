"""What an election costs, in messages and in time: a calm town in virtual time loses its trader, and gets another."""

from __future__ import annotations

from random import Random

import msgspec

from peers.core.commands import Publish, Send
from peers.core.membership.members import Edge
from peers.core.membership.overlay_graph import build_graph
from peers.core.membership.roles import draw_roles
from peers.core.messages import Coordinator, ElectionMessage
from peers.core.reports import Elected, Lost
from peers.simulator.environment.process import Process
from peers.simulator.faults import TRADER, Fault
from peers.simulator.runs.world import World
from peers.simulator.scenario import Scenario

_CRASH_S = 10.0
"""When the trader crashes: after the first election, whatever its algorithm and the number of peers."""
_LONGEST_S = 30.0
"""An election that takes longer than this after the crash counts as one that did not end."""
_STEP_S = 0.5


class ElectionCost(msgspec.Struct, frozen=True, kw_only=True):
    """What one election cost, from when the first peer notices that the trader is gone to its successor in office.

    When that is noticed has nothing to do with the algorithm: for real a broken connection tells within milliseconds,
    in virtual time the next heartbeat does. `messages` are those of the algorithm, each hop counted as one;
    `announcements` tell who has won. `took_s` is None where nobody had taken office after half a minute.
    """

    algorithm: str
    peers: int
    seed: int
    messages: int
    announcements: int
    took_s: float | None


def measure_election(algorithm: str, peers: int, seed: int, *, edges: tuple[Edge, ...] | None = None) -> ElectionCost:
    """Returns the cost of one election among `peers` (3 or more) on the random graph of `seed`, or on `edges`."""
    rng = Random(f"election {seed}")
    scenario = Scenario(
        seed=seed,
        roles=draw_roles(peers, rng, merchants=True),
        edges=edges or build_graph(peers, rng),
        settings={"election": algorithm, "market": {"max_purchases": 1, "resign_after_sales": 0, "period_s": 3600}},
        plan=(Fault(kind="crash", at_s=_CRASH_S, until_s=_CRASH_S, target=TRADER, key=seed),),
        chaos_s=_CRASH_S + _LONGEST_S,
    )
    world = World(scenario)
    world.run_until(_CRASH_S - _STEP_S)
    watch = _Watch(world)
    while watch.took_s is None and world.environment.schedule.now_s < scenario.chaos_s:
        world.run_until(world.environment.schedule.now_s + _STEP_S)
    world.run_until(world.environment.schedule.now_s + _STEP_S)  # The announcement may still be under way.
    return ElectionCost(
        algorithm=algorithm,
        peers=peers,
        seed=seed,
        messages=watch.messages,
        announcements=watch.announcements,
        took_s=watch.took_s,
    )


class _Watch:
    """Counts what is sent for an election from now on, and sees how long after the loss another takes office."""

    def __init__(self, world: World) -> None:
        self.messages = 0
        self.announcements = 0
        self.took_s: float | None = None
        self._noticed_s: float | None = None
        self._schedule = world.environment.schedule
        interpreters = world.environment.lives.interpreters
        self._send, self._publish = interpreters[Send], interpreters[Publish]
        interpreters |= {Send: self._on_send, Publish: self._on_publish}

    def _on_send(self, process: Process, command: Send) -> None:
        self.messages += isinstance(command.message, ElectionMessage)
        self.announcements += isinstance(command.message, Coordinator)
        self._send(process, command)

    def _on_publish(self, process: Process, command: Publish) -> None:
        now_s = self._schedule.now_s
        if isinstance(command.report, Lost) and self._noticed_s is None:
            self._noticed_s = now_s
        elif isinstance(command.report, Elected) and self._noticed_s is not None and self.took_s is None:
            self.took_s = now_s - self._noticed_s
        self._publish(process, command)
