"""Trade by hand: a customer at a prompt, from a pipe, or in one command; or many of them (`--stress`).

It finds the town that runs in `--dir` (or `--nameserver`), and goes on through a failover. What was asked for and not
answered is kept in `DIR/customers/`, so that nothing is bought twice: the next visit says what became of it, also
after a kill.

Say `help` at the prompt for what you can say: look, search, buy, sell, purchases, earnings, trader, pending, again.
In a town with areas you trade at the post of one; `search fish all` looks in all of them.

Exit codes: 0 all was done; 2 something could not be done, or was not to be had; 3 something is unanswered, and kept;
130 it was told to end.

**Examples**

- `bazaar shop`
- `bazaar shop buy fish 2`
- `echo "buy fish" | bazaar shop --name anna --json`
- `bazaar shop --area south buy fish`
- `bazaar shop --client anna.pem --nameserver 192.0.2.10:9090`
- `bazaar shop --stress 16 --duration 10`
- `bazaar shop --stress 16 --duration 10 --rate 500`
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from peers.cli.given import only_with
from peers.cli.optional_parts import check_there
from peers.cli.options import DirOption, JsonOption
from peers.errors import SettingsError

_LOAD = "Many customers"
_OF_BOTH = ("directory", "nameserver", "area", "patience", "as_json")  # What one customer takes, and many do.


def command(
    context: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="COMMAND", help="A command; none: those of the standard input.")
    ] = None,
    directory: DirOption = Path(".bazaar"),
    nameserver: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="The name server of a town that runs elsewhere.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Who you are; your login name unless given.")] = None,
    client: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your certificate, of a town that speaks TLS.")
    ] = None,
    area: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Whose post, in a town with areas: the first unless given, with --stress all."
        ),
    ] = None,
    patience: Annotated[float, typer.Option(metavar="S", help="How long to ask for one thing.")] = 30.0,
    as_json: JsonOption = False,
    stress: Annotated[
        int | None, typer.Option(metavar="N", help="N customers who buy as fast as they can.", rich_help_panel=_LOAD)
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="R", help="R purchases a second in all, each when it is due (open loop).", rich_help_panel=_LOAD
        ),
    ] = None,
    duration: Annotated[float, typer.Option(metavar="S", help="For so long.", rich_help_panel=_LOAD)] = 10.0,
) -> int:
    if stress is not None and client is not None:
        raise SettingsError("--stress: a client trades in one name only; run it on a machine of the town")
    if stress is not None:
        only_with(context, "--stress", "stress", "rate", "duration", *_OF_BOTH)
        return _stress(stress, rate, duration, directory, nameserver, area, patience, as_json)
    only_with(context, "one customer, without --stress N,", "words", "name", "client", *_OF_BOTH)
    from peers.shop.session import ShopOptions, visit

    options = ShopOptions(
        words=tuple(words or ()),
        directory=directory,
        nameserver=nameserver,
        name=name,
        area=area,
        client=client,
        patience_s=patience,
        as_json=as_json,
    )
    return visit(options)


def _stress(
    customers: int,
    rate: float | None,
    duration_s: float,
    directory: Path,
    nameserver: str | None,
    area: str | None,
    patience_s: float,
    as_json: bool,
) -> int:
    check_there("shop --stress")
    import random

    import msgspec

    from peers.shop.finding import check_area, find_town
    from plots.measure.stress import Load, Stress
    from plots.stress_report import Bar, as_text

    place = find_town(directory, nameserver)
    check_area(area, place.areas)
    areas = place.areas if area is None else {area: place.areas[area]}
    load = Load(
        host=place.host,
        port=place.port,
        customers=customers,
        duration_s=duration_s,
        rate=rate,
        patience_s=patience_s,
        areas=areas,
        seed=random.SystemRandom().getrandbits(31),
    )
    stress = Stress(load)
    if len(areas) > 1:
        print(f"the customers are spread over {', '.join(areas)} (--area NAME: all at one)", file=sys.stderr)
    with Bar(stress, duration_s) as bar:
        figures = stress.run(bar.tick)
    print(msgspec.json.encode(figures).decode() if as_json else "\n".join(as_text(figures)))
    if figures.interrupted:
        return 130
    return 0 if figures.answered and not figures.errors else 2
