"""`bazaar simulate`: run the core in virtual time, under faults from a seed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_FAULTS = "Faults"
_ONE = "One schedule"
_EVERY = "Every order"


def command(
    seeds: Annotated[str, typer.Option(metavar="A-B", help="Which schedules to run.")] = "1-1000",
    peers: Annotated[int, typer.Option(metavar="N", help="Peers in each, 3 to 50.")] = 5,
    jobs: Annotated[int | None, typer.Option(metavar="J", help="Processes; default: all cores.")] = None,
    save: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write failed schedules, shrunk, into this folder.")
    ] = None,
    only: Annotated[
        str, typer.Option(metavar="KINDS", help="Only these faults, such as split,hang.", rich_help_panel=_FAULTS)
    ] = "",
    without: Annotated[
        str, typer.Option(metavar="KINDS", help="All faults but these.", rich_help_panel=_FAULTS)
    ] = "",
    rate: Annotated[
        str,
        typer.Option(
            metavar="KIND=MEAN,…", help="Mean number of a fault in a schedule, 0 to 10.", rich_help_panel=_FAULTS
        ),
    ] = "",
    replay: Annotated[
        int | None, typer.Option(metavar="SEED", help="List all that happens in it.", rich_help_panel=_ONE)
    ] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The same for a saved schedule.", rich_help_panel=_ONE)
    ] = None,
    shiviz: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Also write a log for ShiViz.", rich_help_panel=_ONE)
    ] = None,
    beats: Annotated[
        bool, typer.Option("--beats", help="List beats and clock news too.", rich_help_panel=_ONE)
    ] = False,
    exhaustive: Annotated[
        bool, typer.Option("--exhaustive", help="Walk all orders of events of three peers.", rich_help_panel=_EVERY)
    ] = False,
    states: Annotated[
        int, typer.Option(metavar="N", help="Stop after so many states.", rich_help_panel=_EVERY)
    ] = 200_000,
) -> int:
    """Run the real core against an in-memory ledger in virtual time, with faults, and check every invariant.

    Exit code 0: all hold; 1: one is violated, or something that must happen now and then never did; 2: bad usage.
    A seed and a commit give the same history on any machine.

    **Examples**

    - `bazaar simulate --seeds 1-10000 --peers 5`
    - `bazaar simulate --seeds 1-500 --only split,hang --rate split=3`
    - `bazaar simulate --replay 42 --peers 5 --shiviz 42.log`
    - `bazaar simulate --exhaustive`
    """
    from rich.console import Console

    from peers.simulator import terminal
    from peers.simulator.faults import FaultOptions, choose

    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    if exhaustive:
        return terminal.show_walks(console, most_states=states)
    options = choose(FaultOptions(), only=only, without=without, rates=rate)
    scenario = terminal.scenario_of(replay, peers, options, file)
    if scenario is not None:
        return terminal.show_replay(console, scenario, shiviz=shiviz, all_beats=beats)
    return terminal.show_run(console, terminal.parse_seeds(seeds), peers, options, jobs=jobs, to=save)
