"""Measure something on a town of its own, and draw it.

**sequential**: purchases one after another, first without elections, then with one every so many sales, as the
trader resigns. Writes one CSV per condition and `sequential.png`. The exit code is that of the audits.

**Examples**

- `bazaar experiment sequential`
- `bazaar experiment sequential --quick --out /tmp/look`
- `bazaar experiment sequential --redraw`
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peers.cli.optional_parts import check_there
from peers.cli.options import JsonOption
from peers.errors import SettingsError

if TYPE_CHECKING:
    from plots.results.sequential import Result, Setup

_EXPERIMENTS = ("sequential",)


def command(
    name: Annotated[str, typer.Argument(help="Which one: sequential.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where data and figure go; out/NAME.")] = None,
    purchases: Annotated[int | None, typer.Option(metavar="P", help="Purchases in each condition; 1000.")] = None,
    peers: Annotated[int, typer.Option(metavar="N", help="Peers of the town.")] = 6,
    every: Annotated[int | None, typer.Option(metavar="K", help="Sales between two elections; 100.")] = None,
    seed: Annotated[int, typer.Option(help="Of roles and graph.")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="A fifth of it, to see whether it works.")] = False,
    redraw: Annotated[bool, typer.Option("--redraw", help="Draw the data in DIR again; measure nothing.")] = False,
    as_json: JsonOption = False,
) -> int:
    if name not in _EXPERIMENTS:
        raise SettingsError(f"{name} is no experiment: there is {', '.join(_EXPERIMENTS)}")
    check_there("experiment")
    from plots.results.sequential import Setup

    place = out or Path("out") / name
    if redraw:
        return _show(_drawn(place, None), as_json=as_json)
    setup = Setup(
        purchases=purchases if purchases is not None else 200 if quick else 1000,
        every=every if every is not None else 20 if quick else 100,
        peers=peers,
        seed=seed,
    )
    return _show(_drawn(place, _measured(setup, place)), as_json=as_json)


def _measured(setup: Setup, place: Path) -> list[int | None]:
    """Measures, with bars of progress on the standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from plots.measure.sequential import measure
    from plots.results.sequential import plans

    setup.check()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks = {plan.title: bars.add_task(plan.title, total=setup.purchases) for plan in plans(setup)}
        return measure(setup, place, lambda title, done: bars.update(tasks[title], completed=done))


def _drawn(place: Path, audit_codes: list[int | None] | None) -> Result:
    """Draws and sums up what is kept in `place`."""
    from plots.draw.sequential import draw_saved
    from plots.results.sequential import sum_up

    draw_saved(place)
    return sum_up(place, audit_codes)


def _show(result: Result, *, as_json: bool) -> int:
    import msgspec

    if as_json:
        print(msgspec.json.format(msgspec.json.encode(result), indent=2).decode())
        return result.exit_code
    verdicts = {None: "", 0: "; audit: holds", 1: "; audit: VIOLATED", 2: "; audit: could not tell"}
    for run in result.runs:
        print(f"{run.title}: {run.latency_ms.sentence()}; {run.elections} elections{verdicts[run.audit_code]}")
        print(f"  data: {run.csv}")
    print(f"figure: {result.figure}")
    return result.exit_code
