"""The code does what the specification says: every step that simulated schedules show is one of its steps."""

from __future__ import annotations

from typing import get_args

import pytest

from peers.simulator.environment.ledger_trace import StepKind, Trace
from peers.simulator.faults import FaultOptions
from peers.simulator.scenario import draw_scenario
from tests.simulation.planted import MISTAKES
from tests.spec.seen import follow, trace_of
from tests.spec.tlc import missing

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

SEEDS = range(1, 201)
SHARING_SEEDS = range(1, 26)
AREAS = ("north", "south")
PEERS = 5

# By mistake in the code, the steps of which one is none of the specification then.
CAUGHT_AT = {
    "place_not_checked": {"stand"},
    "retry_at_the_next_place": {"again"},
    "answer_before_append": {"told"},
    "unknown_taken_as_done": {"told", "trade"},
    "anothers_entry_taken_for_ours": {"trade"},
    "told_what_only_the_primary_has": {"appended", "told"},
    "ids_not_checked": {"stand"},
    "term_not_raised": {"bid"},
    "read_from_the_primary_alone": {"load"},
    "books_made_without_guard": {"make"},
    "made_is_said_too_early": {"say made"},
    "successor_trusts_the_books_alone": {"make", "trade"},
    "others_entries_ignored": {"trade"},
    "anothers_entry_taken_for_ours_over_areas": {"trade"},
    "one_post_for_all_areas": {"bid"},
}


@pytest.mark.timeout(600)
def test_the_traces_of_200_schedules_are_behaviours_of_the_specification() -> None:
    traces = [trace_of(draw_scenario(seed, PEERS, FaultOptions())) for seed in SEEDS]
    strayed = [str(followed) for followed in follow(traces) if not followed.to_the_end]
    assert not strayed, "\n".join(strayed)
    assert _kinds(traces) == set(get_args(StepKind)) - {"behind", "read on"}, "each kind has to be among them"


@pytest.mark.timeout(300)
def test_so_are_those_of_areas_that_share_a_log() -> None:
    traces = [trace_of(draw_scenario(seed, 4, FaultOptions(), areas=AREAS)) for seed in SHARING_SEEDS]
    strayed = [str(followed) for followed in follow(traces) if not followed.to_the_end]
    assert not strayed, "\n".join(strayed)
    assert _kinds(traces) == set(get_args(StepKind)), "each kind has to be among them"


def _kinds(traces: list[Trace]) -> set[str]:
    return {step.kind for trace in traces for step in trace.steps}


@pytest.mark.timeout(300)
def test_a_mistake_in_the_code_makes_a_step_that_is_none() -> None:
    traces, names = [], []
    for planted in MISTAKES:
        if planted.name in CAUGHT_AT:
            with planted.plant():
                traces += [
                    trace_of(draw_scenario(seed, PEERS, FaultOptions(), areas=planted.areas))
                    for seed in planted.seeds
                ]
            names += [planted.name] * len(planted.seeds)
    caught = {
        name: followed.stuck_at for name, followed in zip(names, follow(traces), strict=True) if followed.stuck_at
    }
    assert set(caught) == set(CAUGHT_AT), "each mistake by one of its seeds"
    assert not {name: at for name, at in caught.items() if at not in CAUGHT_AT[name]}
