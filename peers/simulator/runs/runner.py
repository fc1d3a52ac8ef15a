"""Runs many seeds on all cores, and adds up what they say."""

from __future__ import annotations

import gc
import itertools
import math
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import msgspec

from peers.simulator.environment.record import Breach
from peers.simulator.faults import KINDS, FaultOptions
from peers.simulator.runs.play import play
from peers.simulator.runs.sometimes import ENOUGH_SEEDS, SOMETIMES, TRANSITIONS_TAKEN
from peers.simulator.scenario import Scenario, draw_scenario

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


Draw = Callable[[int], Scenario]
"""Gives the scenario of a seed. It goes to other processes: a function of a module, or a `partial` of one."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Some seeds that have been played, and what came of them."""

    seeds: tuple[int, ...]
    summary: Summary


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
    draw = partial(draw_scenario, peers=peers, options=options, changes=changes, areas=areas)
    total = empty_summary(options)
    for _ in run_drawn(seeds, draw, total, jobs=jobs):
        if on_progress is not None:
            on_progress(total)
    return total


def empty_summary(options: FaultOptions) -> Summary:
    """Returns what a run with these faults adds up in."""
    return Summary(demanding=all(getattr(options, kind) > 0 for kind in KINDS))


def run_drawn(seeds: Sequence[int], draw: Draw, total: Summary, *, jobs: int | None = None) -> Iterator[Part]:
    """Plays every seed, and adds what came of them to `total`; yields each part as soon as that has it.

    Stops early once MOST_FAILURES have failed."""
    began_s = time.perf_counter()
    for part in _parts(_chunks(seeds, draw), min(jobs or os.cpu_count() or 1, math.ceil(len(seeds) / _CHUNK))):
        total.add(part.summary)
        total.failures.sort(key=lambda failure: failure.seed)
        total.wall_s = time.perf_counter() - began_s
        yield part
        if len(total.failures) >= MOST_FAILURES:
            return


_Chunk = tuple[Draw, tuple[int, ...]]


def _chunks(seeds: Sequence[int], draw: Draw) -> Iterator[_Chunk]:
    for first in range(0, len(seeds), _CHUNK):
        yield draw, tuple(seeds[first : first + _CHUNK])


def _parts(chunks: Iterator[_Chunk], jobs: int) -> Iterator[Part]:
    if jobs <= 1:
        gc.freeze()
        try:
            yield from map(_run_chunk, chunks)
        finally:
            gc.unfreeze()
        return
    with multiprocessing.get_context("forkserver").Pool(jobs, _begin_worker) as pool:
        # A pool takes in all there is at once, and a million seeds are many chunks: it is fed as it goes.
        under_way = deque(pool.apply_async(_run_chunk, (chunk,)) for chunk in itertools.islice(chunks, 2 * jobs))
        while under_way:
            yield under_way.popleft().get()
            under_way.extend(pool.apply_async(_run_chunk, (chunk,)) for chunk in itertools.islice(chunks, 1))


def _begin_worker() -> None:
    """What a worker has imported stays, so the collector need not go through it again and again."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # A Ctrl-C is for the process that adds up; it ends its workers.
    gc.freeze()


def _run_chunk(chunk: _Chunk) -> Part:
    collects = gc.isenabled()
    # A schedule makes many objects, and nearly all of them are freed without the collector, which only costs time.
    gc.disable()
    try:
        return _play_chunk(*chunk)
    finally:
        if collects:
            gc.enable()
        gc.collect()


def _play_chunk(draw: Draw, seeds: tuple[int, ...]) -> Part:
    summary = Summary()
    for seed in seeds:
        played = play(draw(seed))
        summary.add(
            Summary(
                seeds=1,
                virtual_s=played.virtual_s,
                inputs=played.inputs,
                decisions=played.decisions,
                sometimes=played.sometimes,
                failures=[Failure(seed=seed, breaches=played.breaches)] if played.breaches else [],
            )
        )
    return Part(seeds=seeds, summary=summary)
