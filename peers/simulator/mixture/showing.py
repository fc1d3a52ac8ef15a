"""What `bazaar simulate --mixture` shows: progress, how much of the mixture has held by now, and what failed."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from peers.errors import SettingsError
from peers.files import check_place
from peers.simulator.faults import FaultOptions
from peers.simulator.mixture.drawing import COMBINATIONS, draw_mixed
from peers.simulator.mixture.tally import (
    Range,
    Tally,
    code_checksum,
    count,
    load_tally,
    save_tally,
    take_in,
)
from peers.simulator.runs.runner import Summary, empty_summary, run_drawn
from peers.simulator.terminal import fault_arguments, show_failures, show_summary, write_besides

_SAVE_EVERY_S = 20.0
_SAY_EVERY_S = 60.0
"""How often a line is written where no terminal shows progress."""


def show_mixture(
    console: Console, seeds: range, options: FaultOptions, *, jobs: int | None, to: Path | None, tally_at: Path | None
) -> int:
    """Plays those of the seeds that the tally does not have yet; returns the exit code.

    A Ctrl-C ends it with what the tally has. SettingsError for a tally that is none, or with other faults, or where
    nothing can be written. A tally that cannot be written later is tried again, and said at the end."""
    if tally_at is not None and options != FaultOptions():
        raise SettingsError("--tally counts schedules with all faults; leave --only, --without and --rate out")
    check_place("--tally", tally_at)
    check_place("--save", to, is_folder=True)
    tally = load_tally(tally_at) if tally_at is not None else Tally()
    sitting = tally.sitting(code_checksum())
    missing = tally.missing(seeds)
    total, draw = empty_summary(options), partial(draw_mixed, options=options)
    saved_s = time.monotonic()

    try:
        with _Progress(console, total, len(missing)) as go_on:
            for part in run_drawn(missing, draw, total, jobs=jobs):
                take_in(sitting, part)
                go_on()
                if tally_at is not None and time.monotonic() - saved_s > _SAVE_EVERY_S:
                    with contextlib.suppress(OSError):  # There may be room by the next time, or at the end.
                        save_tally(tally, tally_at)
                    saved_s = time.monotonic()
    except KeyboardInterrupt:
        console.print(f"Stopped after {total.seeds:,} of {len(missing):,} schedules.")
        raise
    finally:
        if tally_at is not None:
            write_besides(console, "--tally", tally_at, partial(save_tally, tally))
        _show_held(console, tally, tally_at)
    show_summary(console, total)
    show_failures(console, total, draw, lambda seed: _replay(seed, options), to)
    return 0 if total.holds else 1


def _replay(seed: int, options: FaultOptions) -> str:
    return f"bazaar simulate --mixture --replay {seed}{fault_arguments(options)}"


def _show_held(console: Console, tally: Tally, path: Path | None) -> None:
    held = tally.held
    if not held:
        return
    each = times_each(held)
    where = f" ({path})" if path is not None else ""
    console.print(
        f"Held so far{where}: {count(held):,} schedules; {len(each)} of {len(COMBINATIONS)} combinations of peers, "
        f"market, clock and election, each {min(each.values()):,} to {max(each.values()):,} times"
    )
    for sitting in tally.sittings:
        failed = f"; FAILED: {', '.join(map(str, sorted(sitting.failed)))}" if sitting.failed else ""
        console.print(f"  code {sitting.code}: {count(sitting.held):,}{failed}")


def times_each(held: list[Range]) -> Counter[int]:
    """Returns how often each combination, by its number, is among these seeds."""
    rounds, size = Counter[int](), len(COMBINATIONS)
    for first, last in held:
        whole, rest = divmod(last - first + 1, size)
        rounds.update(dict.fromkeys(range(size), whole) if whole else {})
        rounds.update((first + number) % size for number in range(rest))
    return rounds


class _Progress:
    """Shows how far a run is: a bar on a terminal, and a line now and then elsewhere."""

    def __init__(self, console: Console, total: Summary, number: int) -> None:
        self._console, self._total, self._number = console, total, number
        speed = TextColumn("{task.fields[speed]}")
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), speed)
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("schedules", total=number, speed="")
        self._said_s = time.monotonic()

    def __enter__(self) -> Callable[[], None]:
        self._bar.start()
        return self._go_on

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _go_on(self) -> None:
        total = self._total
        rate = total.seeds / max(total.wall_s, 1e-9)
        left_s = (self._number - total.seeds) / max(rate, 1e-9)
        speed = f"{rate:.1f} a second, {left_s / 3600:.1f} h left, {len(total.failures)} failed"
        self._bar.update(self._task, completed=total.seeds, speed=speed)
        if not self._console.is_terminal and time.monotonic() - self._said_s > _SAY_EVERY_S:
            self._said_s = time.monotonic()
            self._console.print(f"{total.seeds:,} of {self._number:,} schedules, {speed}")
