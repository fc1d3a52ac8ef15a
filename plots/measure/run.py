"""Runs the bench: opens the towns, has each measurement made, and keeps what was found."""

from __future__ import annotations

import multiprocessing
import os
import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from peers.files import check_place
from plots.measure import elections, failover, footprint, lag, latency, long_run, posts, size, start, throughput
from plots.measure.apparatus.floor import EchoServer
from plots.measure.apparatus.towns import BenchTown
from plots.measure.etcd import against
from plots.measure.etcd.cluster import find_etcd
from plots.measure.plan import Plan
from plots.results.bench import Report, Samples, write_bench
from plots.results.life import Kind

Say = Callable[[str], None]


def run(plan: Plan, out: Path, say: Say) -> Report:
    """Measures what `plan` asks for; `say` hears what is going on. What was found is kept in `out`.

    SettingsError, before anything is started, where the other to measure against is not installed, or nothing can be
    written in `out`.
    """
    if plan.against:
        find_etcd()
    began = time.monotonic()
    check_place("--out", out, is_folder=True)
    bench = _Bench(plan, out, lambda what: say(f"{time.monotonic() - began:4.0f} s  {what}"))
    report = bench.report
    try:
        bench.run()
    finally:  # What was measured before something failed took an hour, maybe.
        report.seconds = round(time.monotonic() - began, 1)
        write_bench(out, report, bench.samples)
    return report


class _Bench:
    def __init__(self, plan: Plan, out: Path, say: Say) -> None:
        self._plan = plan
        self._out = out
        self._say = say
        self.samples = Samples()
        self.report = Report(machine=_machine(), seed=plan.seed)

    def run(self) -> None:
        plan = self._plan
        preloaded = ["plots.measure.apparatus.customers", "plots.measure.apparatus.floor"]
        multiprocessing.get_context("forkserver").set_forkserver_preload(preloaded)
        with EchoServer() as echo:
            for peers in sorted(self._sizes()):
                self._measure_town(peers, echo)
        if plan.has("long-run"):
            self._measure_long_run()
        if plan.has("size"):
            self._measure_size()
        if plan.has("failover"):
            for peers in plan.failover_peers:
                self._measure_killed(peers)
        if plan.has("start"):
            for peers in plan.start_peers:
                self._measure_starts(peers)
        if plan.has("posts"):
            self._measure_posts()
        if plan.against:
            self._measure_against()

    def _sizes(self) -> set[int]:
        """The sizes of the towns in which something is measured while they live."""
        plan = self._plan
        wanted = {
            "latency": (plan.peers, *plan.compared_peers),
            "throughput": (plan.peers,),
            "open-loop": (plan.peers,),
            "failover": plan.failover_peers,
            "footprint": plan.footprint_peers,
            "elections": plan.election_peers,
        }
        return {peers for section, sizes in wanted.items() if plan.has(section) for peers in sizes}

    def _measure_town(self, peers: int, echo: EchoServer) -> None:
        """Everything that is measured in a town of this size, in one town."""
        plan, report = self._plan, self.report
        self._say(f"a town of {peers} peers")
        with self._town(peers) as town:
            if plan.has("footprint") and peers in plan.footprint_peers:
                self._say(f"{peers} peers: memory and idle processor time")
                report.footprint.append(footprint.measure(town, plan))
            if plan.has("latency") and peers in (plan.peers, *plan.compared_peers):
                self._say(f"{peers} peers: purchases one after another")
                found, course = latency.measure(town, echo, plan)
                report.latency.append(found)
                self.samples.courses.append(course)
            if peers == plan.peers and (plan.has("throughput") or plan.has("open-loop")):
                self._measure_crowd(town, echo)
            self._measure_changes(town)
        self._close(town, f"{peers} peers")

    def _measure_crowd(self, town: BenchTown, echo: EchoServer) -> None:
        plan, report = self._plan, self.report
        with throughput.crowd_of(town, max(plan.customers)) as crowd:
            self._say("many customers, and as many echoes")
            report.throughput = throughput.measure(crowd, echo, plan)
            self._say("how far the books are behind")
            report.lag = lag.measure(town, crowd, plan)
            if plan.has("open-loop"):
                self._say("open loops")
                report.open_loop = list(throughput.measure_open(crowd, report.throughput.highest, plan))

    def _measure_changes(self, town: BenchTown) -> None:
        """Changes of trader that leave all peers alive, and the elections they cause."""
        plan, report, peers = self._plan, self.report, town.peers
        kinds: list[Kind] = []
        if plan.has("failover") and peers in plan.failover_peers:
            kinds += ["resigned", "stopped"]
        elif plan.has("elections") and peers in plan.election_peers:
            kinds += ["resigned"]
        if not kinds:
            return
        self._say(f"{peers} peers: {' and '.join(kinds)}")
        report.failover += failover.measure_living(town, plan, kinds)
        if plan.has("elections") and peers in plan.election_peers:
            report.elections += elections.measure(town)

    def _measure_long_run(self) -> None:
        plan = self._plan
        self._say(f"{plan.peers} peers: {plan.long_purchases:,} purchases, then in turns with a fresh town")
        with self._town(plan.peers, "long-run") as town:
            self.report.long_run, fresh = long_run.measure(town, lambda: self._town(plan.peers, "fresh"), plan)
        self._close(town, f"{plan.peers} peers, long run")
        self._close(fresh, f"{plan.peers} peers, beside the long run")

    def _measure_size(self) -> None:
        sizes = " and ".join(map(str, self._plan.size_peers))
        self._say(f"{sizes} peers: the same open loop, in turns")
        self.report.size, self.samples.sweeps, audits = size.measure(lambda n: self._town(n, "size"), self._plan)
        for peers, codes in audits.items():
            self._note_audits(f"{peers} peers, size", codes)

    def _measure_posts(self) -> None:
        self._say(f"{', '.join(map(str, self._plan.posts))} posts, in turns")
        self.report.posts, audits = posts.measure(self._town_of_posts, self._plan)
        for (number, own), codes in audits.items():
            self._note_audits(f"{number} posts{', a mongod each' if own else ''}", codes)

    def _town_of_posts(self, setup: posts.Setup) -> BenchTown:
        folder, peers = self._out / f"posts-{setup[0]}", posts.PEERS_A_POST * setup[0]
        options, areas = posts.options_of(setup), posts.areas_of(setup[0])
        return BenchTown(folder, peers, self._plan.seed, options, areas=areas)

    def _measure_killed(self, peers: int) -> None:
        self._say(f"{peers} peers: killed")
        found, codes = failover.measure_killed(self._town, peers, self._plan)
        self.report.failover.append(found)
        self._note_audits(f"{peers} peers, killed", codes)

    def _measure_starts(self, peers: int) -> None:
        self._say(f"{peers} peers: start")
        found, codes = start.measure(self._out, peers, self._plan)
        self.report.start.append(found)
        self._note_audits(f"{peers} peers, start", codes)

    def _measure_against(self) -> None:
        plan = self._plan
        self._say(f"{plan.peers} peers and etcd, in turns")
        with self._town(plan.peers, "against") as town:
            found = against.measure(town, self._out, plan)
        self._close(town, f"{plan.peers} peers, against etcd")
        self._say("leaders killed, in turns")
        found.standstills, codes = against.measure_standstills(self._town, self._out, plan)
        self._note_audits(f"{plan.peers} peers, killed, against etcd", codes)
        self.report.against = found

    def _note_audits(self, what: str, codes: list[int | None]) -> None:
        for number, code in enumerate(codes, start=1):
            self.report.audit_codes[f"{what} {number}"] = code

    def _town(self, peers: int, what: str = "town") -> BenchTown:
        return BenchTown(self._out / f"{what}-{peers}", peers, self._plan.seed)

    def _close(self, town: BenchTown, what: str) -> None:
        self.report.audit_codes[what] = town.audit_code
        if town.audit_code == 0:
            # The audit had nothing to say about these hundreds of megabytes. Books that do not balance are kept.
            shutil.rmtree(town.directory.path, ignore_errors=True)


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
