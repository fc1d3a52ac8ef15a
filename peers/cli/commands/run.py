"""`bazaar run`: open a town, or join one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from peers.cli.options import DirOption
from peers.errors import SettingsError

_WHEN = "When it ends"
_MARKET = "The market"
_PLACES = "Where things are"


def command(
    host: Annotated[str | None, typer.Argument(help="Address of this machine; mostly localhost.")] = None,
    n: Annotated[str | None, typer.Argument(help="How many peers.")] = None,
    directory: DirOption = Path(".bazaar"),
    purchases: Annotated[
        int | None, typer.Option(metavar="P", help="End after P purchases in this run.", rich_help_panel=_WHEN)
    ] = None,
    duration: Annotated[
        float | None, typer.Option(metavar="S", help="End after S seconds.", rich_help_panel=_WHEN)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Draw the same roles and graph again.", rich_help_panel=_MARKET)
    ] = None,
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="A market with settings of its own.", rich_help_panel=_MARKET)
    ] = None,
    merchants: Annotated[
        bool, typer.Option("--merchants", help="Some peers both buy and sell.", rich_help_panel=_MARKET)
    ] = False,
    slow_peer: Annotated[
        bool, typer.Option("--slow-peer", help="One buyer sleeps now and then.", rich_help_panel=_MARKET)
    ] = False,
    think_s: Annotated[
        float | None,
        typer.Option(metavar="S", help="Pause of a buyer between purchases.", rich_help_panel=_MARKET),
    ] = None,
    resign_after: Annotated[
        int | None,
        typer.Option(metavar="SALES", help="A trader resigns after so many; 0: never.", rich_help_panel=_MARKET),
    ] = None,
    no_trade: Annotated[
        bool,
        typer.Option("--no-trade", help="Peers neither buy nor sell by themselves.", rich_help_panel=_MARKET),
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any setting: market.stock=20.", rich_help_panel=_MARKET),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Begin with empty books (deletes those here).", rich_help_panel=_PLACES),
    ] = False,
    mongo: Annotated[
        str | None,
        typer.Option(
            metavar="URI|@FILE",
            help="Use this replica set, not a mongod of our own; BAZAAR_MONGO.",
            rich_help_panel=_PLACES,
        ),
    ] = None,
    nameserver: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Join the town of this name server.", rich_help_panel=_PLACES),
    ] = None,
    nameserver_port: Annotated[
        int, typer.Option(metavar="PORT", help="Port of our name server; 0: any.", rich_help_panel=_PLACES)
    ] = 0,
    tls: Annotated[
        bool,
        typer.Option("--tls", help="Certificates and encryption, on loopback too.", rich_help_panel=_PLACES),
    ] = False,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Serve an address others can reach, unencrypted.", rich_help_panel=_PLACES),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show elections and failures only.")] = False,
) -> int:
    """Open a town of N peers on HOST, or let N more peers join the one that runs here.

    The first on a host starts database, name server and peers; every further one joins. Ctrl-C ends it: then
    follow a summary and the audit of the books, and the exit code is 0 only if they balance. The books are kept in
    the directory, and the next run goes on with them.

    A password of the database is not for the command line, which everybody on the machine can read: give the
    address in the environment (`BAZAAR_MONGO`) or in a file (`--mongo @FILE`). It is shown nowhere, and kept in the
    directory in a file that only its owner can read.

    **Examples**

    - `bazaar run localhost 6`
    - `bazaar run localhost 6 --purchases 1000 --quiet`
    - `bazaar run localhost 20 --dir /tmp/town --fresh --seed 7 --set market.stock=20`
    """
    if host is None or n is None:
        missing = "host and number of peers are missing" if host is None else "the number of peers is missing"
        raise SettingsError(f"{missing}: bazaar run <host> <n>, for example bazaar run localhost 6")
    from peers.books_address import address_given
    from peers.town.options import RunOptions, parse_count, parse_settings
    from peers.town.run import run

    options = RunOptions(
        host=host,
        n=parse_count(n),
        directory=directory,
        purchases=purchases,
        duration_s=duration,
        seed=seed,
        mongo=address_given(mongo),
        nameserver=nameserver,
        nameserver_port=nameserver_port,
        fresh=fresh,
        merchants=merchants,
        slow_peer=slow_peer,
        quiet=quiet,
        trades=not no_trade,
        tls=tls,
        insecure=insecure,
        settings=parse_settings(
            preset=preset,
            pairs=set_ or (),
            shortcuts={"market.think_s": think_s, "market.resign_after_sales": resign_after},
            slow_peer=slow_peer,
        ),
    )
    return run(options)
