"""Every row of the table of leadership is taken by a test: by a schedule, or else by one that is named here."""

from __future__ import annotations

from peers.core.leadership.state import LeadershipEvent, LeadershipState
from peers.core.state_machine import Transition
from peers.simulator.faults import FaultOptions
from peers.simulator.runs.play import play
from peers.simulator.runs.sometimes import TRANSITIONS_TAKEN
from peers.simulator.scenario import draw_scenario

COMMON = range(1, 40)
RARE = (281, 690, 722, 1154, 1343, 1954)
"""Seeds that take what hardly any does: one told to leave that is voted out too, a vacancy that a candidate hears of,
a candidate that leaves the market. If one no longer does, `bazaar simulate` over some thousand seeds shows others."""

BY_ANOTHER_TEST = Transition(LeadershipState.TRADER, LeadershipEvent.TERM_OVER, LeadershipState.ELECTING).title
"""It takes books that somebody else has changed: tests/unit/core/test_post.py."""


def test_schedules_take_every_transition() -> None:
    taken: set[str] = set()
    for seed in (*COMMON, *RARE):
        taken |= play(draw_scenario(seed, 5, FaultOptions())).sometimes.keys() & set(TRANSITIONS_TAKEN)
    assert set(TRANSITIONS_TAKEN) - taken == {BY_ANOTHER_TEST}
