"""Runs many seeds on all cores, and adds up what they say."""

from __future__ import annotations

import gc
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from peers.simulator.environment.record import Breach
from peers.simulator.faults import KINDS, FaultOptions
from peers.simulator.runs.play import play
from peers.simulator.runs.sometimes import ENOUGH_SEEDS, SOMETIMES, TRANSITIONS_TAKEN
from peers.simulator.scenario import draw_scenario

MOST_FAILURES = 20
"""A run stops after so many failed seeds: more of them teach nothing."""

# Seeds handed to a process at a time. They take half a second, so that no process is busy alone for long at the end.
_CHUNK = 20


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A seed that broke something."""

    seed: int
    breaches: tuple[Breach, ...]


class Summary(msgspec.Struct, kw_only=True):
    """What came of a run; `virtual_s` is the time that passed inside the schedules, `wall_s` outside."""

    seeds: int = 0
    virtual_s: float = 0.0
    wall_s: float = 0.0
    inputs: int = 0
    decisions: int = 0
    sometimes: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(SOMETIMES, 0))
    failures: list[Failure] = msgspec.field(default_factory=list)
    demanding: bool = False

    def add(self, other: Summary) -> None:
        self.seeds += other.seeds
        self.virtual_s += other.virtual_s
        self.inputs += other.inputs
        self.decisions += other.decisions
        for what, number in other.sometimes.items():
            self.sometimes[what] = self.sometimes.get(what, 0) + number
        self.failures += other.failures

    @property
    def never(self) -> list[str]:
        """What should have happened now and then and did not; empty where the run was too small to tell."""
        if not self.demanding or self.seeds < ENOUGH_SEEDS:
            return []
        return [what for what in SOMETIMES if not self.sometimes.get(what)]

    @property
    def transitions(self) -> dict[str, int]:
        """How often each row of the table of leadership was taken."""
        return {title: self.sometimes.get(title, 0) for title in TRANSITIONS_TAKEN}

    @property
    def holds(self) -> bool:
        return not self.failures and not self.never


class _Chunk(msgspec.Struct, frozen=True, kw_only=True):
    seeds: tuple[int, ...]
    peers: int
    options: FaultOptions
    changes: tuple[str, ...]
    areas: tuple[str, ...]


def run_seeds(
    seeds: Sequence[int],
    peers: int,
    options: FaultOptions,
    *,
    changes: tuple[str, ...] = (),
    areas: tuple[str, ...] = (),
    jobs: int | None = None,
    on_progress: Callable[[Summary], None] | None = None,
) -> Summary:
    """Plays every seed, with these `changes` of its settings, in so many `areas` (see `draw_scenario`).

    Stops early once MOST_FAILURES have failed."""
    began_s = time.perf_counter()
    total = Summary(demanding=all(getattr(options, kind) > 0 for kind in KINDS))
    like = _Chunk(seeds=(), peers=peers, options=options, changes=changes, areas=areas)
    for part in _parts(_chunks(seeds, like), jobs or os.cpu_count() or 1):
        total.add(part)
        total.wall_s = time.perf_counter() - began_s
        if on_progress is not None:
            on_progress(total)
        if len(total.failures) >= MOST_FAILURES:
            break
    total.wall_s = time.perf_counter() - began_s
    total.failures.sort(key=lambda failure: failure.seed)
    return total


def _chunks(seeds: Sequence[int], like: _Chunk) -> list[_Chunk]:
    return [
        msgspec.structs.replace(like, seeds=tuple(seeds[first : first + _CHUNK]))
        for first in range(0, len(seeds), _CHUNK)
    ]


def _parts(chunks: list[_Chunk], jobs: int) -> Iterator[Summary]:
    jobs = min(jobs, len(chunks))
    if jobs <= 1:
        yield from map(_run_chunk, chunks)
        return
    with multiprocessing.get_context("forkserver").Pool(jobs) as pool:
        yield from pool.imap_unordered(_run_chunk, chunks)


def _run_chunk(chunk: _Chunk) -> Summary:
    collects = gc.isenabled()
    # A schedule makes many objects, and nearly all of them are freed without the collector, which only costs time.
    gc.disable()
    try:
        return _play_chunk(chunk)
    finally:
        if collects:
            gc.enable()
        gc.collect()


def _play_chunk(chunk: _Chunk) -> Summary:
    part = Summary()
    for seed in chunk.seeds:
        scenario = draw_scenario(seed, chunk.peers, chunk.options, changes=chunk.changes, areas=chunk.areas)
        played = play(scenario)
        part.add(
            Summary(
                seeds=1,
                virtual_s=scenario.length_s,
                inputs=played.inputs,
                decisions=played.decisions,
                sometimes=played.sometimes,
                failures=[Failure(seed=seed, breaches=played.breaches)] if played.breaches else [],
            )
        )
    return part
