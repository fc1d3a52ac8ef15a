"""A seed and a commit give the same history, to the byte, whatever a process draws its hashes from."""

from __future__ import annotations

import os
import subprocess
import sys

from peers.simulator.environment.history import History
from peers.simulator.faults import FaultOptions
from peers.simulator.runs.play import play
from peers.simulator.scenario import draw_scenario

PRINT_HISTORIES = """
from peers.simulator.faults import FaultOptions
from peers.simulator.environment.history import History
from peers.simulator.runs.play import play
from peers.simulator.scenario import draw_scenario
for seed in (11, 12, 13):
    history = History()
    played = play(draw_scenario(seed, 6, FaultOptions(), chaos_s=6.0), history)
    print(*history.listing(all_beats=True), *history.shiviz(), played, sep="\\n")
"""


def history_of_a_process(hash_seed: str) -> bytes:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", PRINT_HISTORIES]
    return subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120).stdout


def test_two_processes_see_the_same_history() -> None:
    first, second = history_of_a_process("1"), history_of_a_process("4242")
    assert len(first) > 100_000
    assert first == second


def test_watching_changes_nothing() -> None:
    scenario = draw_scenario(21, 5, FaultOptions(), chaos_s=6.0)
    assert play(scenario) == play(scenario, History())


def test_another_seed_is_another_history() -> None:
    one, other = (History() for _ in range(2))
    play(draw_scenario(1, 5, FaultOptions(), chaos_s=4.0), one)
    play(draw_scenario(2, 5, FaultOptions(), chaos_s=4.0), other)
    assert list(one.listing()) != list(other.listing())
