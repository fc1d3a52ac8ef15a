"""All that one run of the bench found: the JSON it prints, and the table that people read."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from plots.results.against import Against
from plots.results.bench import Report
from plots.results.latency import Summary, shown
from plots.results.life import Elections


def render(report: Report, console: Console) -> None:
    """Prints the table."""
    table = Table(title="The market beside its floor", title_justify="left", box=None, pad_edge=False)
    table.add_column("what", no_wrap=True)
    table.add_column("p50", justify="right", no_wrap=True)
    table.add_column("p99", justify="right", no_wrap=True)
    table.add_column("beside")
    for rows in (
        _latency,
        _throughput,
        _lag,
        _open_loop,
        _size,
        _long_run,
        _failover,
        _start,
        _footprint,
        _elections,
        _posts,
        _against,
    ):
        for row in rows(report):
            table.add_row(*row)
    console.print(table)
    if report.against is not None:
        console.print(_promises(report.against))
    said = {0: "hold", 1: "are VIOLATED", 2: "could not all be told"}[report.exit_code]
    console.print(f"audits of {len(report.audit_codes)} towns: invariants {said}; {report.seconds:.0f} s in all")
    for figure in report.figures:
        console.print(f"figure: {figure}")


Row = tuple[str, str, str, str]


def _few(summary: Summary) -> tuple[str, str]:
    """Of so few that a percentile would be made up: the median and the longest."""
    return f"{shown(summary.p50)} ms", f"{shown(summary.max)} ms"


def _counted(summary: Summary) -> str:
    return f"{summary.count} times; the second figure is the longest"


def _ms(summary: Summary) -> tuple[str, str]:
    return f"{shown(summary.p50)} ms", f"{shown(summary.p99)} ms"


def _latency(report: Report) -> list[Row]:
    rows = []
    for each in report.latency:
        at = f"{each.peers} peers"
        rows += [
            (f"echo, one after another ({at})", *_ms(each.echo_ms), ""),
            ("durable insert", *_ms(each.insert_ms), ""),
            (
                f"purchase ({at})",
                *_ms(each.purchase_ms),
                f"p50 {each.p50_over_floor:.2f} and p99 {each.p99_over_floor_p50:.2f} times the floor's p50",
            ),
        ]
    return rows


def _throughput(report: Report) -> list[Row]:
    if report.throughput is None:
        return []
    pairs = zip(report.throughput.purchases, report.throughput.echoes, strict=True)
    return [
        (
            f"purchases with {bought.customers} customers",
            *_ms(bought.latency_ms),
            f"{bought.per_s:,.0f} a second; echoes {echoed.per_s:,.0f}, so {bought.per_s / echoed.per_s:.2f} of them",
        )
        for bought, echoed in pairs
    ]


def _lag(report: Report) -> list[Row]:
    if report.lag is None:
        return []
    behind = report.lag.behind_ms
    return [
        (
            f"the books behind the log, {report.lag.customers} customers",
            *_ms(behind),
            f"worst {shown(behind.max)} ms; {report.lag.decisions_an_entry:.0f} decisions an entry",
        )
    ]


def _open_loop(report: Report) -> list[Row]:
    return [
        (
            f"open loop at {load.part:.0%} of the highest rate",
            *_ms(load.latency_ms),
            f"{load.offered_per_s:,.0f} a second due, {load.answered_per_s:,.0f} answered",
        )
        for load in report.open_loop
    ]


def _size(report: Report) -> list[Row]:
    rows = []
    smallest = min((each.peers for each in report.size), default=0)
    for each in report.size:
        found, ratio = each.typical_ms, each.ratio
        ratios = f"p50 {ratio.p50:.2f}, mean {ratio.mean:.2f}, p99 {ratio.p99:.2f} times the smallest's"
        load = f"{each.offered_per_s:,.0f} a second due, {each.answered_per_s:,.0f} answered"
        more = load if each.peers == smallest else ratios
        beside = f"mean {shown(found.mean)}, longest {shown(each.latency_ms.max)} ms; {more}"
        what = f"the same open loop, {each.peers} peers"
        rows.append((what, f"{shown(found.p50)} ms", f"{shown(found.p99)} ms", beside))
    return rows


def _long_run(report: Report) -> list[Row]:
    run = report.long_run
    if run is None:
        return []
    first, last = run.tenths[0], run.tenths[-1]
    changed = f"; {run.traders} traders, so not of one process" if run.traders > 1 else ""
    return [
        (
            f"first tenth of {run.purchases:,} purchases",
            *_ms(first.latency_ms),
            f"{first.per_s:,.0f} a second",
        ),
        (
            "last tenth",
            *_ms(last.latency_ms),
            f"{last.per_s:,.0f} a second; the rate {run.last_over_first:.2f} times the first's, processor time of a"
            f" purchase {run.last_over_first_cpu:.2f} times",
        ),
        (
            "then, in turns with a fresh town",
            "",
            "",
            f"{run.old_per_s:,.0f} and {run.fresh_per_s:,.0f} a second: {run.old_over_fresh:.2f} times as fast",
        ),
        (
            "the trader's memory, first and last tenth",
            f"{first.after.uss_mb:.1f} MB",
            f"{last.after.uss_mb:.1f} MB",
            f"USS; {run.peak_growth_mb:+.1f} MB from before to the peak, bound {run.bound_mb:g} MB{changed}",
        ),
    ]


def _failover(report: Report) -> list[Row]:
    return [
        (f"trader {each.kind}, {each.peers} peers", *_few(each.summary), _counted(each.summary))
        for each in report.failover
    ]


def _start(report: Report) -> list[Row]:
    return [
        (
            f"command to first sale, {each.peers} peers",
            f"{each.summary_ms.p50 / 1000:.2f} s",
            f"{each.summary_ms.max / 1000:.2f} s",
            _counted(each.summary_ms),
        )
        for each in report.start
    ]


def _footprint(report: Report) -> list[Row]:
    return [
        (
            f"an idle peer of {each.peers}",
            f"{each.pss_mb:.1f} MB",
            f"{each.pss_max_mb:.1f} MB",
            f"mean and largest PSS; all {each.peers} use {each.idle_cores:.3f} of a core",
        )
        for each in report.footprint
    ]


def _elections(report: Report) -> list[Row]:
    return [
        (
            f"election, {each.peers} peers ({each.reason})",
            *_few(each.took_ms),
            f"{_messages(each)}; {_counted(each.took_ms)}",
        )
        for each in report.elections
    ]


def _posts(report: Report) -> list[Row]:
    first = report.posts[0].per_s if report.posts else 0.0
    rows = []
    for each in report.posts:
        cores = ", ".join(f"{user} {used:.2f}" for user, used in each.cores.items())
        beside = f"{each.per_s:,.0f} a second, {each.per_s / first:.2f} times one post's; cores: {cores}"
        what = f"{each.name}, {each.customers} customers"
        rows.append((what, f"{shown(each.p50_ms)} ms", f"{shown(each.p99_ms)} ms", beside))
    return rows


def _messages(elections: Elections) -> str:
    if elections.messages is None:
        return "no record complete, so no messages are given"
    return f"{elections.messages:.0f} messages, at most {elections.messages_max}, counted {elections.counted} times"


def _against(report: Report) -> list[Row]:
    found = report.against
    if found is None:
        return []
    rows = []
    changed = f"; etcd changed its leader {found.terms - 1} times meanwhile" if found.terms > 1 else ""
    for put, bought in zip(found.puts, found.purchases, strict=True):
        clients = f"{put.customers} clients" if put.customers > 1 else "1 client"
        times = f"{bought.per_s / put.per_s:.2f} times etcd's"
        rows += [
            (
                f"puts into etcd {found.version}, {clients}",
                *_ms(put.latency_ms),
                f"{put.per_s:,.0f} a second{changed}",
            ),
            (f"purchases, {clients}", *_ms(bought.latency_ms), f"{bought.per_s:,.0f} a second: {times}"),
        ]
    return rows + [
        (
            f"nothing written after kill -9, {each.whose}",
            *_few(each.summary),
            f"{each.setup}; {_counted(each.summary)}",
        )
        for each in found.standstills
    ]


def _promises(found: Against) -> Table:
    table = Table(title="What each promises", title_justify="left", box=None, pad_edge=False)
    for column in ("", "etcd", "the trading post"):
        table.add_column(column)
    for each in found.promises:
        table.add_row(each.about, each.etcd, each.trading_post)
    return table
