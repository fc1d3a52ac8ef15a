"""Run the real core against an in-memory ledger in virtual time, with faults, and check every invariant.

Exit code 0: all hold; 1: one is violated, or something that must happen now and then never did; 2: bad usage.
A seed and a commit give the same history on any machine.

**Examples**

- `bazaar simulate --seeds 1-10000 --peers 5`
- `bazaar simulate --seeds 1-500 --only split,hang --rate split=3`
- `bazaar simulate --replay 42 --peers 5 --shiviz 42.log`
- `bazaar simulate --seeds 1-1000 --election ring --clock vector --graph complete --set market.stock=3`
- `bazaar simulate --seeds 1-1000 --areas north,south`
- `bazaar simulate --mixture --seeds 1-1000000 --tally million.json`
- `bazaar simulate --mixture --replay 66`
- `bazaar simulate --exhaustive`
- `bazaar simulate --seeds 1-200 --trace traces.jsonl`
"""

from __future__ import annotations

import typer

from peers.cli.given import only_with
from peers.cli.options import (
    BeatsOption,
    ClockOption,
    ExhaustiveOption,
    FileOption,
    GraphOption,
    JobsOption,
    MixtureOption,
    OnlyOption,
    PeersOption,
    RateOption,
    ReplayOption,
    RunElectionOption,
    SaveOption,
    SeedsOption,
    SetOption,
    SharingOption,
    ShivizOption,
    StatesOption,
    TallyOption,
    TraceOption,
    WithoutOption,
    changes_of,
)

_TOWN = ("peers", "areas", "election", "clock", "graph", "set_")
_FAULTS = ("only", "without", "rate")
_MANY = ("seeds", "jobs", "save")


def command(
    context: typer.Context,
    seeds: SeedsOption = "1-1000",
    peers: PeersOption = None,
    areas: SharingOption = "",
    election: RunElectionOption = None,
    clock: ClockOption = None,
    graph: GraphOption = None,
    set_: SetOption = None,
    jobs: JobsOption = None,
    save: SaveOption = None,
    only: OnlyOption = "",
    without: WithoutOption = "",
    rate: RateOption = "",
    replay: ReplayOption = None,
    file: FileOption = None,
    shiviz: ShivizOption = None,
    trace: TraceOption = None,
    beats: BeatsOption = False,
    mixture: MixtureOption = False,
    tally: TallyOption = None,
    exhaustive: ExhaustiveOption = False,
    states: StatesOption = 200_000,
) -> int:
    from rich.console import Console

    from peers.core.settings import Settings
    from peers.simulator import terminal
    from peers.simulator.faults import FaultOptions, choose
    from peers.simulator.mixture.drawing import draw_mixed
    from peers.simulator.mixture.showing import show_mixture

    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    one = "--file" if file is not None else "--replay" if replay is not None else ""
    _check_given(context, one, exhaustive=exhaustive, mixture=mixture, trace=trace is not None)
    if exhaustive:
        return terminal.show_walks(console, election=election or Settings().election, most_states=states)
    changes = changes_of(set_ or (), election=election, clock=clock, graph=graph)
    options = choose(FaultOptions(), only=only, without=without, rates=rate)
    names = terminal.parse_areas(areas)
    if mixture:
        if replay is not None:
            return terminal.show_replay(console, draw_mixed(replay, options), shiviz=shiviz, all_beats=beats)
        return show_mixture(console, terminal.parse_seeds(seeds), options, jobs=jobs, to=save, tally_at=tally)
    peers = 5 if peers is None else peers
    scenario = terminal.scenario_of(replay, peers, options, file, changes=changes, areas=names)
    if trace is not None:
        whole = terminal.parse_seeds(seeds)
        drawn = (terminal.scenario_of(seed, peers, options, None, changes=changes, areas=names) for seed in whole)
        return terminal.show_traced(console, drawn if scenario is None else [scenario], trace)
    if scenario is not None:
        return terminal.show_replay(console, scenario, shiviz=shiviz, all_beats=beats)
    return terminal.show_run(
        console, terminal.parse_seeds(seeds), peers, options, changes=changes, areas=names, jobs=jobs, to=save
    )


def _check_given(context: typer.Context, one: str, *, exhaustive: bool, mixture: bool, trace: bool) -> None:
    """Raises SettingsError for what would be passed over; `one`: the option that names one schedule, if one does."""
    shown = ("trace",) if trace else ("shiviz", "beats")
    played = {"--file": ("file", *shown), "--replay": ("replay", *_TOWN, *_FAULTS, *shown)}
    if exhaustive:
        only_with(context, "--exhaustive", "exhaustive", "election", "states")
    elif mixture and one == "--replay":
        only_with(context, "--mixture, which draws the town,", "mixture", "replay", *_FAULTS, "shiviz", "beats")
    elif mixture:
        only_with(context, "--mixture, which draws each town,", "mixture", *_MANY, *_FAULTS, "tally")
    elif one:
        only_with(context, one, *played[one])
    elif trace:
        only_with(context, "--trace", "trace", "seeds", *_TOWN, *_FAULTS)
    else:
        many = "a run without --replay, --file, --mixture or --exhaustive"
        only_with(context, many, *_MANY, *_TOWN, *_FAULTS)
