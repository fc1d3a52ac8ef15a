"""Measure something on towns of its own, and draw it; without a name, list what there is.

- `sequential`: purchases one after another in each market, without elections and with one every so many sales
- `elections`: the mean round trip of 10 to 100 purchases a buyer, without elections and with one every 10 s
- `response`: each request of each buyer through elections
- `buyers`: purchases a second and their latency, as buyers are added
- `nodes`: 1200 requests at 5 and 6 peers, and at more
- `algorithms`: failover time and messages of each election algorithm, as peers are added
- `clocks`: what Lamport and vector clocks cost, as peers are added
- `posts`: purchases a second at 1, 2 and 4 posts, on one mongod and on one each
- `replication`: what each write level costs, and what is lost when a primary falls
- `caches`: two traders over one warehouse, with each cache: what it promises in vain, and what it saves
- `all`: every one of these, and one report of them, `report.html`

Each leaves its data as CSV and a figure in its folder. Every town is audited, and the exit code is that of these.

**Examples**

- `bazaar experiment sequential --market lamport`
- `bazaar experiment nodes --peers 5 --peers 6 --out /tmp/look`
- `bazaar experiment all --quick`
- `bazaar experiment sequential --redraw`
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peers.cli.given import only_with
from peers.cli.optional_parts import check_there
from peers.cli.options import JsonOption

if TYPE_CHECKING:
    from types import TracebackType

    from plots.experiments.registry import Experiment
    from plots.experiments.run import Done

_OUT = Path("out")


def command(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Which one, or all.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where data and figure go; out/NAME.")] = None,
    purchases: Annotated[
        int | None,
        typer.Option(metavar="P", help="sequential, nodes, clocks: of a town; elections, response: a buyer's."),
    ] = None,
    peers: Annotated[
        list[int] | None, typer.Option(metavar="N", help="Peers of the town; repeatable where sizes are compared.")
    ] = None,
    every: Annotated[int | None, typer.Option(metavar="K", help="sequential: sales between two elections.")] = None,
    market: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Another market; sequential: repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of roles and graph.")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="A short form, to see whether it works.")] = False,
    redraw: Annotated[bool, typer.Option("--redraw", help="Draw the data in DIR again; measure nothing.")] = False,
    as_json: JsonOption = False,
) -> int:
    check_there("experiment")
    from peers.town.plan.presets import find_preset
    from plots.experiments.registry import ALL, experiment
    from plots.experiments.run import report_all, run_all, run_one
    from plots.results.experiments.kind import Options

    if name is None:
        only_with(context, "experiment without a name")
        return _list()
    if redraw:
        only_with(context, "--redraw", "name", "out", "redraw", "as_json")
    for each in market or ():
        find_preset(each)
    options = Options(
        quick=quick,
        seed=seed,
        peers=tuple(peers or ()),
        purchases=purchases,
        every=every,
        markets=tuple(market or ()),
    )
    if name == ALL:
        place = out or _OUT / "experiments"
        if redraw:
            return _show_all(report_all(place), as_json=as_json)
        with _Bar() as bar:
            done = run_all(options, place, bar)
        return _show_all(done, as_json=as_json)
    chosen = experiment(name)
    place = out or _OUT / name
    if redraw:
        chosen.draw(place)
    else:
        with _Bar() as bar:
            run_one(chosen, options, place, bar)
    return _show(chosen, place, as_json=as_json)


def _list() -> int:
    from plots.experiments.registry import ALL, EXPERIMENTS

    for name, each in EXPERIMENTS.items():
        print(f"{name:<12}{each.kind.about}")
        if each.kind.beside:
            print(f"{'':<12}beside {each.kind.beside.replace('`', '')}")
    print(f"{ALL:<12}Every one of these, and one report of them.")
    return 0


def _show(chosen: Experiment, place: Path, *, as_json: bool) -> int:
    """Prints what is in the folder of an experiment; returns the exit code of its audits."""
    import msgspec

    from plots.results.experiments.record import read_record

    record, findings = read_record(place), chosen.find(place)
    figure = place / chosen.kind.figure
    if as_json:
        said = {
            "experiment": chosen.name,
            "figure": str(figure),
            "exit_code": record.exit_code,
            "record": record,
            "findings": findings,
        }
        print(msgspec.json.format(msgspec.json.encode(said), indent=2).decode())
        return record.exit_code
    print("\n".join(findings.sentences))
    for beside in findings.beside:
        print(f"{beside.what}: theirs {beside.theirs}, ours {beside.ours}")
    verdicts = {0: "holds", 1: "VIOLATED", 2: "could not tell"}
    for title, code in record.audit_codes.items():
        if code != 0:
            print(f"audit of {title}: {verdicts.get(2 if code is None else code)}")
    print(f"audits of {len(record.audit_codes)} towns: {verdicts[record.exit_code]}")
    print(record.conditions)
    print(f"data and figure: {figure}")
    return record.exit_code


def _show_all(done: Done, *, as_json: bool) -> int:
    import msgspec

    if as_json:
        said = {"report": str(done.report), "exit_code": done.exit_code, "failed": done.failed}
        print(msgspec.json.format(msgspec.json.encode(said), indent=2).decode())
        return done.exit_code
    for name, why in done.failed.items():
        print(f"{name} failed: {why}")
    print(f"report: {done.report}")
    return done.exit_code


class _Bar:
    """Says on the standard error what is being done and how long the rest may take: a bar, or else a line a step.

    Used as a context manager, for a bar has to be taken down again whatever happens.
    """

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        self._console = Console(stderr=True, highlight=False, markup=False)
        self._said = ""
        left = TextColumn("{task.fields[left]}")
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), left)
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("", total=1.0, left="")

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, what: str, part: float, left_s: float) -> None:
        from plots.experiments.estimate import spoken

        left = f"about {spoken(left_s)} left"
        if self._console.is_terminal:
            self._bar.update(self._task, completed=part, description=what, left=left)
        elif what != self._said:
            self._console.print(f"{part:4.0%}, {left}: {what}", soft_wrap=True)
        self._said = what
