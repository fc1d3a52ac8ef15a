"""Open a town of N peers on HOST, or let N more peers join the one that runs here.

The first on a host starts database, name server and peers; every further one joins. Ctrl-C ends it: then
follow a summary and the audit of the books, and the exit code is 0 only if they balance. The books are kept in
the directory, and the next run goes on with them.

A password of the database is not for the command line, which everybody on the machine can read: give the
address in the environment (`BAZAAR_MONGO`) or in a file (`--mongo @FILE`). It is shown nowhere, and kept in the
directory in a file that only its owner can read.

How a trader is found is chosen by `--election`:

- `bully`: everybody of higher rank is asked, and the highest that answers takes office
- `ring`: a message goes round by rank and gathers who is alive, and the highest takes office
- `echo`: a wave floods the graph and comes back, so that the highest knows that all agree
- `lease`: nobody is asked: who writes the next term into the books first has it

A town may have several posts, each with a market, a trader and books of its own: `--areas north,south`. Their books
are databases beside each other; `--area north=mongodb://…` (or `=@FILE`) puts those of one elsewhere, and
`--area north=own` has the town run a `mongod` for them alone. A name server, and a search, cover all.

**Examples**

- `bazaar run localhost 6`
- `bazaar run localhost 6 --purchases 1000 --quiet`
- `bazaar run localhost 6 --market vector`, or any mixture: `--clock vector --graph ring --roles buyers=3,sellers=3`
- `bazaar run 192.0.2.10 4`, then on another machine `bazaar run 192.0.2.10 4 --invite FILE` (see `bazaar invite`)
- `bazaar run localhost 8 --areas north,south`: two posts; then `bazaar run localhost 2 --area south` joins one
- `bazaar run localhost 8 --market warehouse`: two posts over one stock; with `--set market.cache=push`, another cache
- `bazaar run localhost 20 --dir /tmp/town --fresh --seed 7 --set market.stock=20`
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from peers.cli.options import (
    AdvertiseOption,
    AreaOption,
    AreasOption,
    ClockOption,
    CountArgument,
    DirOption,
    DurationOption,
    FreshOption,
    GraphOption,
    HostArgument,
    InsecureOption,
    InviteOption,
    MarketOption,
    MerchantsOption,
    MongoOption,
    NameserverOption,
    NameserverPortOption,
    NoTradeOption,
    PeerPortsOption,
    PurchasesOption,
    QuietOption,
    ReplicasOption,
    ResignAfterOption,
    RolesOption,
    RunElectionOption,
    SeedOption,
    SetOption,
    SlowPeerOption,
    ThinkOption,
    TlsOption,
)
from peers.errors import SettingsError


def command(
    host: HostArgument = None,
    n: CountArgument = None,
    directory: DirOption = Path(".bazaar"),
    purchases: PurchasesOption = None,
    duration: DurationOption = None,
    seed: SeedOption = None,
    market: MarketOption = None,
    clock: ClockOption = None,
    graph: GraphOption = None,
    roles: RolesOption = None,
    merchants: MerchantsOption = False,
    slow_peer: SlowPeerOption = False,
    think_s: ThinkOption = None,
    resign_after: ResignAfterOption = None,
    election: RunElectionOption = None,
    no_trade: NoTradeOption = False,
    set_: SetOption = None,
    fresh: FreshOption = False,
    mongo: MongoOption = None,
    replicas: ReplicasOption = None,
    areas: AreasOption = None,
    area: AreaOption = None,
    nameserver: NameserverOption = None,
    nameserver_port: NameserverPortOption = 0,
    peer_ports: PeerPortsOption = None,
    advertise: AdvertiseOption = None,
    invite: InviteOption = None,
    tls: TlsOption = False,
    insecure: InsecureOption = False,
    quiet: QuietOption = False,
) -> int:
    if host is None or n is None:
        missing = "host and number of peers are missing" if host is None else "the number of peers is missing"
        raise SettingsError(f"{missing}: bazaar run <host> <n>, for example bazaar run localhost 6")
    from peers.books_address import address_given
    from peers.town.plan.areas import parse_areas
    from peers.town.plan.options import MAX_PEERS, RunOptions, parse_count, parse_ports, parse_roles, parse_settings
    from peers.town.plan.pace import slowdown
    from peers.town.plan.presets import find_preset
    from peers.town.plan.room import processors
    from peers.town.terminals.run import run

    shortcuts: dict[str, object] = {
        "clock": clock,
        "election": election,
        "graph": graph,
        "market.think_s": think_s,
        "market.resign_after_sales": resign_after,
    }
    preset = find_preset(market) if market is not None else None
    peers = parse_count(n)
    settings = partial(parse_settings, pairs=set_ or (), shortcuts=shortcuts, slow_peer=slow_peer, market=market)
    usual, by = settings(), slowdown(min(peers, MAX_PEERS), processors())
    slower = settings(slower=by) if by > 1 else usual
    options = RunOptions(
        host=host,
        n=peers,
        directory=directory,
        purchases=purchases,
        duration_s=duration,
        seed=seed,
        mongo=address_given(mongo),
        replicas=replicas,
        areas=parse_areas(areas, area or ()),
        usual_areas=parse_areas(preset.areas) if preset is not None else (),
        usual_replicas=preset.replicas if preset is not None else 1,
        nameserver=nameserver,
        nameserver_port=nameserver_port,
        ports=parse_ports(peer_ports) if peer_ports is not None else None,
        advertise=advertise,
        invite=invite,
        fresh=fresh,
        merchants=merchants or (preset is not None and preset.merchants),
        roles=parse_roles(roles) if roles is not None else None,
        slow_peer=slow_peer,
        quiet=quiet,
        trades=not no_trade,
        tls=tls,
        insecure=insecure,
        settings=usual,
        slower=slower if slower != usual else None,
    )
    return run(options)
