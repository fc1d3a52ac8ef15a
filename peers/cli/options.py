"""Options of the commands, each declared once: those that several share, then those of the commands with many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from peers.text import check_named_in_text


def _named_in_text(path: Path | None) -> Path | None:
    if path is not None:
        check_named_in_text("--dir", path)
    return path


DirOption = Annotated[
    Path,
    typer.Option(
        "--dir",
        metavar="PATH",
        help="The town's directory.",
        show_default=True,
        file_okay=True,
        callback=_named_in_text,
    ),
]
OwnPlaceOption = Annotated[
    Path | None,
    typer.Option(
        "--dir",
        metavar="PATH",
        help="Where its town lives and stays; a place that is removed.",
        callback=_named_in_text,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

MARKET_HELP = "lamport, vector, ring, replicated or warehouse: a set of settings (`bazaar settings`)."
ELECTION_HELP = "How a trader is found: bully, ring, echo or lease."

# The options of `bazaar run`.

_WHEN = "When it ends"
_MARKET = "The market"
_PLACES = "Where things are"

HostArgument = Annotated[str | None, typer.Argument(help="Address of this machine; mostly localhost.")]
CountArgument = Annotated[str | None, typer.Argument(help="How many peers.")]
PurchasesOption = Annotated[
    int | None, typer.Option(metavar="P", help="End after P purchases in this run.", rich_help_panel=_WHEN)
]
DurationOption = Annotated[
    float | None, typer.Option(metavar="S", help="End after S seconds.", rich_help_panel=_WHEN)
]
SeedOption = Annotated[int | None, typer.Option(help="Draw the same roles and graph again.", rich_help_panel=_MARKET)]
MarketOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=MARKET_HELP,
        rich_help_panel=_MARKET,
    ),
]
ClockOption = Annotated[
    str | None, typer.Option("--clock", metavar="NAME", help="lamport or vector.", rich_help_panel=_MARKET)
]
GraphOption = Annotated[
    str | None,
    typer.Option("--graph", metavar="NAME", help="random, complete or ring.", rich_help_panel=_MARKET),
]
RolesOption = Annotated[
    str | None,
    typer.Option(
        metavar="ROLE=N,…", help="buyers=3,sellers=2,merchants=1: by rank, in that order.", rich_help_panel=_MARKET
    ),
]
MerchantsOption = Annotated[
    bool, typer.Option("--merchants", help="Some peers both buy and sell.", rich_help_panel=_MARKET)
]
SlowPeerOption = Annotated[
    bool, typer.Option("--slow-peer", help="One buyer sleeps now and then.", rich_help_panel=_MARKET)
]
ThinkOption = Annotated[
    float | None, typer.Option(metavar="S", help="Pause of a buyer between purchases.", rich_help_panel=_MARKET)
]
ResignAfterOption = Annotated[
    int | None,
    typer.Option(metavar="SALES", help="A trader resigns after so many; 0: never.", rich_help_panel=_MARKET),
]
RunElectionOption = Annotated[
    str | None, typer.Option("--election", metavar="NAME", help=ELECTION_HELP, rich_help_panel=_MARKET)
]
NoTradeOption = Annotated[
    bool, typer.Option("--no-trade", help="Peers neither buy nor sell by themselves.", rich_help_panel=_MARKET)
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any setting: market.stock=20.", rich_help_panel=_MARKET),
]
FreshOption = Annotated[
    bool, typer.Option("--fresh", help="Begin with empty books (deletes those here).", rich_help_panel=_PLACES)
]
MongoOption = Annotated[
    str | None,
    typer.Option(
        metavar="URI|@FILE",
        help="Use this replica set, not a mongod of our own; BAZAAR_MONGO.",
        rich_help_panel=_PLACES,
    ),
]
ReplicasOption = Annotated[
    int | None,
    typer.Option(metavar="N", help="Members of our own database: 1, or 3 to lose any one.", rich_help_panel=_PLACES),
]
AreasOption = Annotated[
    str | None,
    typer.Option(metavar="NAME,…", help="Several posts, one an area: north,south.", rich_help_panel=_PLACES),
]
AreaOption = Annotated[
    list[str] | None,
    typer.Option(
        "--area",
        metavar="NAME[=URI|@FILE|own]",
        help="An area and where its books are; or the one to join.",
        rich_help_panel=_PLACES,
    ),
]
NameserverOption = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Join the town of this name server.", rich_help_panel=_PLACES),
]
NameserverPortOption = Annotated[
    int, typer.Option(metavar="PORT", help="Port of our name server; 0: any.", rich_help_panel=_PLACES)
]
PeerPortsOption = Annotated[
    str | None,
    typer.Option(
        metavar="FROM-TO", help="Ports of name server, database and peers, for a firewall.", rich_help_panel=_PLACES
    ),
]
AdvertiseOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS", help="What others call, where it is not HOST: behind NAT.", rich_help_panel=_PLACES
    ),
]
InviteOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="Join the town that made this invitation; BAZAAR_INVITE.", rich_help_panel=_PLACES
    ),
]
TlsOption = Annotated[
    bool, typer.Option("--tls", help="Certificates and encryption, on loopback too.", rich_help_panel=_PLACES)
]
InsecureOption = Annotated[
    bool,
    typer.Option(
        "--insecure",
        help="Serve an address others can reach, unencrypted; use a database there without TLS or password.",
        rich_help_panel=_PLACES,
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show elections and failures only.")]

# The options of `bazaar simulate`.

_FAULTS = "Faults"
_ONE = "One schedule"
_MIXED = "All kinds of towns"
_EVERY = "Every order"

SeedsOption = Annotated[str, typer.Option(metavar="A-B", help="Which schedules to run.")]
PeersOption = Annotated[int | None, typer.Option(metavar="N", help="Peers in each, 3 to 50; default: 5.")]
SharingOption = Annotated[
    str, typer.Option("--areas", metavar="NAMES", help="Areas that share one log, such as north,south; N peers each.")
]
JobsOption = Annotated[int | None, typer.Option(metavar="J", help="Processes; default: all cores.")]
SaveOption = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Write failed schedules, shrunk, into this folder.")
]
OnlyOption = Annotated[
    str, typer.Option(metavar="KINDS", help="Only these faults, such as split,hang.", rich_help_panel=_FAULTS)
]
WithoutOption = Annotated[str, typer.Option(metavar="KINDS", help="All faults but these.", rich_help_panel=_FAULTS)]
RateOption = Annotated[
    str,
    typer.Option(
        metavar="KIND=MEAN,…", help="Mean number of a fault in a schedule, 0 to 10.", rich_help_panel=_FAULTS
    ),
]
ReplayOption = Annotated[
    int | None, typer.Option(metavar="SEED", help="List all that happens in it.", rich_help_panel=_ONE)
]
FileOption = Annotated[
    Path | None, typer.Option(metavar="PATH", help="The same for a saved schedule.", rich_help_panel=_ONE)
]
ShivizOption = Annotated[
    Path | None, typer.Option(metavar="PATH", help="Also write a log for ShiViz.", rich_help_panel=_ONE)
]
TraceOption = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="Write what the ledger can tell apart of each schedule, a line each (tests/spec checks such).",
        rich_help_panel=_ONE,
    ),
]
BeatsOption = Annotated[bool, typer.Option("--beats", help="List beats and clock news too.", rich_help_panel=_ONE)]
MixtureOption = Annotated[
    bool,
    typer.Option(
        "--mixture",
        help="Each seed draws all: 3 to 9 peers, market, clock, election, graph, stock, and timings out of wide "
        "ranges. (Other seeds have the usual timings, so that each stays the schedule that it was.)",
        rich_help_panel=_MIXED,
    ),
]
TallyOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Note there which seeds have held, and with which code; play those that have not.",
        rich_help_panel=_MIXED,
    ),
]
ExhaustiveOption = Annotated[
    bool, typer.Option("--exhaustive", help="Walk all orders of events of three peers.", rich_help_panel=_EVERY)
]
StatesOption = Annotated[int, typer.Option(metavar="N", help="Stop after so many states.", rich_help_panel=_EVERY)]


def changes_of(pairs: Sequence[str], **named: str | None) -> tuple[str, ...]:
    """Returns the changes of settings that options ask for: those that are named, and those given as `name=value`."""
    return (*(f"{name}={value}" for name, value in named.items() if value is not None), *pairs)
