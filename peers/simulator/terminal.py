"""What `bazaar simulate` shows: progress, the summary, and of a failed seed how to see it again."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from peers.errors import SettingsError
from peers.files import check_place, write_whole
from peers.simulator.environment.history import History
from peers.simulator.environment.ledger_trace import LedgerTrace
from peers.simulator.environment.record import Breach
from peers.simulator.exhaustive.search import explore
from peers.simulator.exhaustive.walks import WALKS, with_election
from peers.simulator.faults import KINDS, FaultOptions
from peers.simulator.runs.play import play
from peers.simulator.runs.runner import Draw, Failure, Summary, run_seeds
from peers.simulator.runs.shrink import Shrunk, shrink
from peers.simulator.runs.sometimes import SOMETIMES
from peers.simulator.scenario import Scenario, draw_scenario, load, save, settings_of
from peers.text import whole_number

MOST_SHRUNK = 3
MOST_SHOWN = 5
"""Failed seeds that are shrunk, and breaches of each that are shown: what people read. The rest can be replayed."""


def parse_seeds(text: str) -> range:
    """Returns the seeds of `7` or `1-10000`. SettingsError if it is neither, or empty."""
    begin, dash, end = text.partition("-")
    first, last = whole_number(begin), whole_number(end if dash else begin)
    if first is None or last is None:
        raise SettingsError(f"--seeds {text} is no range; write one seed, or two with a dash, such as 1-10000")
    seeds = range(first, last + 1)
    if not seeds:
        raise SettingsError(f"--seeds {text} is empty; the first seed comes first")
    return seeds


def parse_areas(text: str) -> tuple[str, ...]:
    """Returns the names in `north,south`, none for an empty text. SettingsError for one alone, or one twice."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if len(names) == 1 or len(set(names)) < len(names):
        raise SettingsError(f"--areas {text}: name two areas or more, each of them once, such as north,south")
    return names


def check_peers(peers: int) -> None:
    """Raises SettingsError for a number of peers that the simulator does not take."""
    if not 3 <= peers <= 50:
        raise SettingsError(f"--peers {peers}: the simulator takes 3 to 50")


def fault_arguments(options: FaultOptions) -> str:
    """The options of the command line that give these rates again."""
    default = FaultOptions()
    rates = [
        f"{kind}={getattr(options, kind):g}" for kind in KINDS if getattr(options, kind) != getattr(default, kind)
    ]
    return f" --rate {shlex.quote(','.join(rates))}" if rates else ""


def _change_arguments(changes: Sequence[str]) -> str:
    return "".join(f" --set {shlex.quote(change)}" for change in changes)


def show_run(
    console: Console,
    seeds: Sequence[int],
    peers: int,
    options: FaultOptions,
    *,
    changes: tuple[str, ...] = (),
    areas: tuple[str, ...] = (),
    jobs: int | None,
    to: Path | None,
) -> int:
    """Plays the seeds; returns the exit code. SettingsError for options that make no sense."""
    check_peers(peers)
    check_place("--save", to, is_folder=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("schedules", total=len(seeds))
        summary = run_seeds(
            seeds,
            peers,
            options,
            changes=changes,
            areas=areas,
            jobs=jobs,
            on_progress=lambda so_far: progress.update(task, completed=so_far.seeds),
        )
    show_summary(console, summary)
    shared = f" --areas {','.join(areas)}" if areas else ""
    arguments = f"--peers {peers}{shared}{_change_arguments(changes)}{fault_arguments(options)}"
    draw = partial(draw_scenario, peers=peers, options=options, changes=changes, areas=areas)
    show_failures(console, summary, draw, lambda seed: f"bazaar simulate --replay {seed} {arguments}", to)
    return 0 if summary.holds else 1


def show_failures(
    console: Console, summary: Summary, draw: Draw, replay_of: Callable[[int], str], to: Path | None
) -> None:
    """Shows each failed seed, the first ones shrunk; `replay_of` gives the command that shows it again."""
    for number, failure in enumerate(summary.failures):
        shrunk = shrink(draw(failure.seed)) if number < MOST_SHRUNK else None
        _show_failure(console, failure, shrunk, replay_of(failure.seed), to)


def write_besides(console: Console, option: str, path: Path, write: Callable[[Path], None]) -> bool:
    """Has a file written that was asked for besides the verdict, which stands whatever becomes of it; returns whether
    it was, and says why not."""
    try:
        write(path)
    except OSError as error:
        console.print(f"{option} {path} cannot be written ({error.strerror or error}); the verdict stands")
        return False
    return True


def show_summary(console: Console, summary: Summary) -> None:
    wall_s = max(summary.wall_s, 1e-9)
    console.print(
        f"{summary.seeds} schedules, {summary.virtual_s:,.0f} virtual seconds in {wall_s:.1f} s: "
        f"{summary.seeds / wall_s:.0f} schedules a second, {summary.virtual_s / wall_s:,.0f} times faster than "
        f"real time; {summary.inputs:,} inputs handled, {summary.decisions:,} requests decided"
    )
    console.print("How often the interesting happened:")
    for what in SOMETIMES:
        console.print(f"  {summary.sometimes.get(what, 0):>9,}  {what}")
    console.print("What peers were to the post, and what became of that (bazaar states draws it):")
    for title, number in summary.transitions.items():
        console.print(f"  {f'{number:,}' if number else 'never':>9}  {title}")
    for what in summary.never:
        console.print(f"NEVER: {what}. The schedules do not reach what they are meant to try.")
    if summary.failures:
        console.print(f"VIOLATED in {len(summary.failures)} schedules")
    elif summary.holds:
        console.print("All invariants hold.")


def _show_failure(
    console: Console, failure: Failure, shrunk: Shrunk | None, replay: str, folder: Path | None
) -> None:
    console.print(f"\nSeed {failure.seed}:")
    _show_breaches(console, failure.breaches)
    if shrunk is not None:
        smaller = shrunk.scenario
        console.print(f"  shrunk to {len(smaller.plan)} faults in {smaller.length_s:.1f} s:")
        for fault in smaller.plan:
            console.print(f"    {fault}")
        console.print("  which break:")
        _show_breaches(console, shrunk.breaches, indent=4)
        if folder is not None:
            note = "; ".join(sorted({breach.invariant for breach in shrunk.breaches}))
            noted = msgspec.structs.replace(smaller, note=note)
            path = folder / f"seed{failure.seed}.json"
            if write_besides(console, "--save", path, partial(save, noted)):
                replay = f"bazaar simulate --file {path}"
    console.print(f"  see it again: {replay}")


def _show_breaches(console: Console, breaches: Sequence[Breach], *, indent: int = 2) -> None:
    for breach in breaches[:MOST_SHOWN]:
        console.print(f"{'':{indent}}{breach}")
    if len(breaches) > MOST_SHOWN:
        console.print(f"{'':{indent}}and {len(breaches) - MOST_SHOWN} more")


def show_replay(console: Console, scenario: Scenario, *, shiviz: Path | None, all_beats: bool) -> int:
    """Plays one scenario and lists all that happens; returns the exit code.

    SettingsError for a `shiviz` that cannot be written."""
    check_place("--shiviz", shiviz)
    history = History()
    played = play(scenario, history)
    print(f"seed {scenario.seed}: {', '.join(scenario.roles)}; {len(scenario.plan)} faults planned")
    for fault in scenario.plan:
        print(f"  {fault}")
    for line in history.listing(all_beats=all_beats):
        print(line)
    if shiviz is not None:
        lines = "".join(f"{line}\n" for line in history.shiviz()).encode()
        if write_besides(console, "--shiviz", shiviz, lambda path: write_whole(path, lines)):
            console.print(f"written for ShiViz: {shiviz}")
    if played.breaches:
        console.print("VIOLATED")
        _show_breaches(console, played.breaches)
        return 1
    console.print(f"{played.decisions} requests decided; all invariants hold")
    return 0


def scenario_of(
    seed: int | None,
    peers: int,
    options: FaultOptions,
    file: Path | None,
    *,
    changes: tuple[str, ...] = (),
    areas: tuple[str, ...] = (),
) -> Scenario | None:
    """The scenario to replay, if one was named."""
    if file is not None:
        return load(file)
    if seed is None:
        return None
    check_peers(peers)
    return draw_scenario(seed, peers, options, changes=changes, areas=areas)


def show_traced(console: Console, scenarios: Iterable[Scenario | None], path: Path) -> int:
    """Plays each scenario and writes its trace, a line of JSON each; returns the exit code.

    SettingsError where goods are leased to areas, of which the specification knows nothing, and for a `path` that
    cannot be written."""
    check_place("--trace", path)
    lines, failed = [], 0
    for scenario in scenarios:
        assert scenario is not None
        if settings_of(scenario).market.cache == "lease":
            raise SettingsError("--trace knows nothing of goods that are set aside; leave market.cache out")
        trace = LedgerTrace()
        failed += bool(play(scenario, trace=trace).breaches)
        lines.append(msgspec.json.encode(trace.trace(scenario.seed)) + b"\n")
    if write_besides(console, "--trace", path, lambda path: write_whole(path, b"".join(lines))):
        console.print(f"{len(lines)} traces written: {path}")
    if failed:
        console.print(f"VIOLATED in {failed} schedules")
    return 1 if failed else 0


def show_walks(console: Console, *, election: str, most_states: int) -> int:
    """Walks all there is to walk; returns the exit code."""
    code = 0
    for walk in WALKS:
        began_s = time.perf_counter()
        sight = explore(with_election(walk, election), most_states)
        took_s = time.perf_counter() - began_s
        bound = "all of them" if sight.complete else "as many as were allowed"
        console.print(
            f"{sight.walk}, up to {sight.faults} faults: {sight.states:,} states, {sight.steps:,} steps, "
            f"{sight.depth} steps deep ({bound}), in {took_s:.0f} s"
        )
        for what, number in sorted(sight.sometimes.items()):
            console.print(f"  {number:>9,}  {what}")
        if sight.violation:
            code = 1
            console.print(f"VIOLATED: {sight.violation}")
            for step in sight.trace:
                console.print(f"  {step}")
    if not code:
        console.print("No violation.")
    return code
