"""Measure speed against the floor, in one run, or against etcd.

The floor of a purchase is one echo through Pyro5 and one durable insert; both are measured in turns with
the purchases, on towns of the bench's own. Every town is audited, and the exit code is that of the audits.

**Examples**

- `bazaar bench --quick`
- `bazaar bench --out /tmp/look`
- `bazaar bench --only latency --only throughput --json`
- `bazaar bench --against etcd`
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from peers.cli.optional_parts import check_there
from peers.cli.options import JsonOption

_WIDTH = 160
"""Of the table where it is not printed on a screen, in characters. No setting: all its lines fit."""


def command(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where data and figures go.")] = Path("out/bench"),
    quick: Annotated[
        bool, typer.Option("--quick", help="A short form, under two minutes, without the long run.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SECTION",
            help="latency, throughput, open-loop, size, long-run, failover, start, footprint, elections or"
            " posts; repeatable.",
        ),
    ] = None,
    peers: Annotated[
        list[int] | None,
        typer.Option(
            metavar="N",
            help="Towns of this size only; repeatable, but throughput, open-loop, long-run and --against take the"
            " smallest. Not for posts.",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="OTHER",
            help="etcd: measure beside three members of it, on loopback; of the sections only those named as well.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    check_there("bench")
    from rich.console import Console

    from plots.draw.bench import draw_saved
    from plots.measure.plan import make_plan
    from plots.measure.run import run
    from plots.results.bench import to_json
    from plots.table import render

    plan = make_plan(quick=quick, sections=only or (), peers=peers or (), against=against)
    progress = Console(stderr=True, highlight=False)
    report = run(plan, out, lambda what: progress.print(f"[dim]{what}[/dim]"))
    report.figures = [str(path) for path in draw_saved(out)]
    if as_json:
        print(to_json(report))
    else:
        # Where nobody looks at a screen there is no width to keep to, and lines that are broken are hard to search.
        width = None if sys.stdout.isatty() else _WIDTH
        render(report, Console(width=width, highlight=False, markup=False, emoji=False))
    return report.exit_code
