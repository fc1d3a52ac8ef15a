"""The arithmetic of the bench: schedules, floors, rates, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peers.cli.commands.bench import command
from peers.errors import SettingsError, TownError
from peers.town.files.peer_states import PeerState
from plots.draw.__main__ import draw_saved
from plots.measure.apparatus.customers import shares
from plots.measure.apparatus.schedule import arrivals, deal
from plots.measure.apparatus.stats import Turn, floor_of, rate_of
from plots.measure.apparatus.towns import BenchTown
from plots.measure.etcd.against import promises
from plots.measure.long_run import note, sum_up
from plots.measure.plan import QUICK, SECTIONS, Plan, make_plan
from plots.measure.run import _Bench, run
from plots.measure.size import compare
from plots.results.bench import Report, Samples, read_bench, to_json, write_bench
from plots.results.latency import summarize
from plots.results.life import LongRun, Look
from plots.results.speed import Course, Latency, Typical


def turn(took_s: float, *latencies_ms: float) -> Turn:
    return Turn(took_s=took_s, latencies_ms=np.asarray(latencies_ms))


# -- what is kept ----------------------------------------------------------------------------------------------


def test_what_was_measured_before_something_failed_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(bench: _Bench) -> None:
        bench.report.audit_codes["a town"] = 0
        raise TownError("the second part failed")

    monkeypatch.setattr(_Bench, "run", fail)
    with pytest.raises(TownError):
        run(make_plan(quick=True), tmp_path, print)
    assert read_bench(tmp_path)[0].audit_codes == {"a town": 0}


# -- the open loop -------------------------------------------------------------------------------------------


@given(st.floats(1, 5000), st.floats(0.1, 5), st.integers(0, 1000))
def test_a_schedule_is_in_order_and_within_its_time(rate: float, duration_s: float, seed: int) -> None:
    due_s = arrivals(rate, duration_s, seed)
    assert (np.diff(due_s) >= 0).all()
    assert ((due_s >= 0) & (due_s < duration_s)).all()
    expected = rate * duration_s
    assert abs(due_s.size - expected) <= 6 * expected**0.5 + 6


def test_the_same_seed_makes_the_same_schedule() -> None:
    assert (arrivals(100, 2, 1) == arrivals(100, 2, 1)).all()
    assert not np.array_equal(arrivals(100, 2, 1), arrivals(100, 2, 2))


def test_the_gaps_of_a_schedule_are_those_of_chance() -> None:
    gaps = np.diff(arrivals(1000, 20, 3))
    # An exponential distribution has its mean as its deviation; the deviation of a steady beat would be 0.
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.1)


@pytest.mark.parametrize(("rate", "duration_s"), [(0, 1), (-1, 1), (10, 0)])
def test_a_schedule_of_nothing_is_refused(rate: float, duration_s: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        arrivals(rate, duration_s, 1)


@given(st.lists(st.floats(0, 100), max_size=200), st.integers(1, 70))
def test_dealing_loses_nothing_and_keeps_the_order(due_s: list[float], customers: int) -> None:
    dealt = deal(np.sort(np.asarray(due_s, dtype=np.float64)), customers)
    assert len(dealt) == customers
    assert sorted(due_s) == sorted(float(each) for share in dealt for each in share)
    assert all((np.diff(share) >= 0).all() for share in dealt)
    sizes = [share.size for share in dealt]
    assert max(sizes) - min(sizes) <= 1


def test_dealing_needs_somebody() -> None:
    with pytest.raises(ValueError, match="nobody"):
        deal(np.zeros(3), 0)


# -- floors and rates ----------------------------------------------------------------------------------------


def test_a_floor_is_an_echo_and_an_insert_each() -> None:
    assert floor_of([0.1, 0.3], [2.0, 4.0]).tolist() == pytest.approx([2.1, 4.3])
    with pytest.raises(ValueError, match="as many"):
        floor_of([0.1], [2.0, 4.0])


def test_a_rate_is_over_all_turns_and_weighs_them_by_their_time() -> None:
    rate = rate_of(4, [turn(1.0, 1, 2, 3, 4), turn(3.0, 5, 6)])
    assert rate.customers == 4
    assert rate.per_s == pytest.approx(6 / 4)
    assert rate.worst_turn_per_s == pytest.approx(2 / 3)
    assert rate.best_turn_per_s == pytest.approx(4.0)
    assert rate.latency_ms.count == 6
    assert (rate.latency_ms.p50, rate.latency_ms.max) == (3, 6)


# -- sizes, and the long run ---------------------------------------------------------------------------------


def test_sizes_are_compared_with_the_smallest_over_all_turns_and_turn_by_turn() -> None:
    plan = Plan(size_rate=2.0, size_turn_s=2.0, size_customers=1)
    turns = {100: [turn(2.0, 2, 4, 9), turn(2.0, 6, 6, 6)], 6: [turn(2.0, 1, 2, 3), turn(4.0, 4, 4, 4)]}
    large, small = compare(turns, plan)
    assert (large.peers, small.peers) == (100, 6)
    assert small.ratio == Typical(p50=1, mean=1, p99=1)
    assert (large.latency_ms.count, large.latency_ms.max) == (6, 9)
    assert large.typical_ms == Typical(p50=5, mean=5.5, p99=7.5)
    assert large.ratio == Typical(p50=5 / 3, mean=5.5 / 3, p99=7.5 / 3.5)
    assert large.turn_ratios == [Typical(p50=2, mean=2.5, p99=3), Typical(p50=1.5, mean=1.5, p99=1.5)]
    # A turn is as long as its schedule, or longer where the market fell behind.
    assert (large.answered_per_s, small.answered_per_s) == (6 / 4, 6 / 6)


def test_one_disturbed_turn_does_not_decide_what_a_size_costs() -> None:
    calm, disturbed = turn(10.0, 4, 4, 5), turn(12.0, 6, 900, 1200)
    (small, large) = compare({6: [calm, disturbed, calm], 100: [calm, calm, calm]}, Plan())
    assert large.ratio == Typical(p50=1, mean=1, p99=1)
    assert small.latency_ms.max == 1200


def long_run(rates: list[float], uss_mb: list[float], traders: str) -> LongRun:
    looks = [
        Look(trader=trader, uss_mb=mb, pss_mb=mb + 1, mongod_mb=100, trader_cpu_s=place**2, mongod_cpu_s=place)
        for place, (mb, trader) in enumerate(zip(uss_mb, traders, strict=True))
    ]
    tenths = [note(rate_of(1, [turn(10 / rate, *[1.0] * 10)]), *looks[at : at + 2]) for at, rate in enumerate(rates)]
    # Each town sells one thing a turn. The machine is half as fast in the second turn, and the third was disturbed.
    pairs = [(turn(1.0, 1.0), turn(0.9, 1.0)), (turn(2.0, 1.0), turn(1.8, 1.0)), (turn(9.0, 1.0), turn(0.9, 1.0))]
    return sum_up(6, Plan(), looks[0], tenths, pairs)


def test_a_long_run_compares_the_last_tenth_with_the_first_and_the_town_with_a_fresh_one() -> None:
    run = long_run([1000, 700, 500], [12, 17, 21, 20], "aaaa")
    assert run.purchases == 30
    assert run.last_over_first == pytest.approx(0.5)
    assert run.old_over_fresh == pytest.approx(0.9)
    assert (run.old_per_s, run.fresh_per_s) == pytest.approx((3 / 12, 3 / 3.6))
    # The ten purchases of a tenth cost one second each of the trader and of mongod at first, then 5 and 1.
    assert (run.tenths[-1].trader_cpu_ms, run.tenths[-1].mongod_cpu_ms) == (500, 100)
    assert run.last_over_first_cpu == pytest.approx(3.0)
    assert (run.peak_uss_mb, run.growth_mb, run.peak_growth_mb, run.traders) == (21, 3, 9, 1)
    assert long_run([1, 1], [9, 9, 9], "aab").traders == 2


@given(st.integers(0, 10_000), st.integers(1, 70))
def test_shares_come_to_the_whole_and_are_about_the_same(requests: int, customers: int) -> None:
    shared = shares(requests, customers)
    assert (len(shared), sum(shared)) == (customers, requests)
    assert max(shared) - min(shared) <= 1


# -- what is measured, and what it comes to ------------------------------------------------------------------


def test_a_plan_has_the_sections_asked_for_in_their_own_order() -> None:
    assert make_plan(quick=False) == Plan()
    assert make_plan(quick=True) == QUICK
    assert make_plan(quick=True, sections=["start", "latency"]).sections == ("latency", "start")
    assert Plan().sections == SECTIONS


def test_the_short_bench_makes_the_long_run_only_when_asked_to() -> None:
    assert set(SECTIONS) - set(QUICK.sections) == {"long-run"}
    assert make_plan(quick=True, sections=["long-run"]).sections == ("long-run",)


def test_the_command_says_which_sections_there_are() -> None:
    said = " ".join(str(get_args(get_type_hints(command, include_extras=True)["only"])[1].help).split())
    assert said == f"{', '.join(SECTIONS[:-1])} or {SECTIONS[-1]}; repeatable."


def test_the_command_says_whose_towns_have_the_sizes_asked_for() -> None:
    said = " ".join(str(get_args(get_type_hints(command, include_extras=True)["peers"])[1].help).split())
    assert "throughput, open-loop, long-run and --against take the smallest. Not for posts." in said
    plan = make_plan(quick=True, peers=[9, 4])
    assert plan.peers == 4
    assert (plan.peers, *plan.compared_peers) == plan.size_peers == plan.failover_peers == (4, 9)
    assert plan.start_peers == plan.footprint_peers == plan.election_peers == (4, 9)
    assert (plan.posts, plan.posts_own) == (QUICK.posts, QUICK.posts_own)


def test_sizes_that_nothing_would_have_are_refused() -> None:
    with pytest.raises(SettingsError, match="--peers 4: posts have towns of their own sizes; leave it out"):
        make_plan(quick=False, sections=["posts"], peers=[4])
    assert make_plan(quick=False, sections=["posts"], peers=[4], against="etcd").peers == 4
    assert make_plan(quick=False, sections=["posts", "start"], peers=[4]).start_peers == (4,)


def test_a_section_there_is_not_is_refused() -> None:
    with pytest.raises(SettingsError, match="lattency"):
        make_plan(quick=False, sections=["lattency"])


def test_the_full_bench_measures_what_it_promises() -> None:
    plan = Plan()
    assert plan.turns * plan.turn >= 1000
    assert plan.failovers >= 20
    assert plan.customers == (1, 4, 16, 32, 64)
    assert plan.long_purchases >= 200_000
    assert {6, 100} <= set(plan.size_peers)


# -- beside etcd ---------------------------------------------------------------------------------------------


def test_beside_another_only_the_sections_named_are_measured_as_well() -> None:
    plan = make_plan(quick=True, against="etcd")
    assert (plan.against, plan.sections, plan.against_customers) == ("etcd", (), (1, 16, 64))
    assert make_plan(quick=False, against="etcd", sections=["start"]).sections == ("start",)
    assert make_plan(quick=False).against == ""


def test_another_there_is_not_is_refused() -> None:
    with pytest.raises(SettingsError, match="zookeeper: there is etcd"):
        make_plan(quick=False, against="zookeeper")


def test_books_on_one_member_are_said_to_be_on_one() -> None:
    alone, three = ({each.about: each.trading_post for each in promises(members)} for members in (1, 3))
    assert "here the one member" in alone["durable before the answer"]
    assert "one disk" in alone["may be lost for good"]
    assert "here 2 of its 3 members" in three["durable before the answer"]
    assert "1 of 3 members" in three["may be lost for good"]


@pytest.mark.parametrize(("codes", "exit_code"), [([], 0), ([0, 0], 0), ([0, 2], 2), ([0, None], 2), ([2, 1, 0], 1)])
def test_the_exit_code_is_that_of_the_worst_audit(codes: list[int | None], exit_code: int) -> None:
    report = Report(machine="", seed=1, audit_codes={str(number): code for number, code in enumerate(codes)})
    assert report.exit_code == exit_code
    assert json.loads(to_json(report))["exit_code"] == exit_code


# -- the towns -----------------------------------------------------------------------------------------------


class FillingTown(BenchTown):
    """Says that it is open before all of its peers are written down, as towns do: one more at each look."""

    looks = 0

    def residents(self) -> dict[str, PeerState]:
        self.looks += 1
        return {
            f"buyer{rank}": PeerState(
                name=f"buyer{rank}", rank=rank, role="buyer", pid=1, uri=f"PYRO:{rank}", town_pid=1
            )
            for rank in range(min(self.looks, self.peers))
        }


def test_nobody_is_forgotten_in_a_town_that_has_just_opened(tmp_path: Path) -> None:
    town = FillingTown(tmp_path, 4, seed=1)
    assert list(town.everybody()) == ["buyer0", "buyer1", "buyer2", "buyer3"]
    assert town.looks == 4


# -- what is kept, and drawn from that alone -----------------------------------------------------------------


def test_a_bench_is_drawn_again_from_what_it_has_kept(tmp_path: Path) -> None:
    floor, purchase = summarize([1.0, 1.1]), summarize([1.2, 1.5])
    found = Latency(
        peers=6,
        echo_ms=floor,
        insert_ms=floor,
        floor_ms=floor,
        purchase_ms=purchase,
        p50_over_floor=1.2,
        p99_over_floor_p50=1.5,
    )
    report = Report(machine="2 cores", seed=1, latency=[found])
    samples = Samples(courses=[Course(peers=6, floor_ms=[1.0, 1.1], purchase_ms=[1.2, 1.5])])
    write_bench(tmp_path, report, samples)
    assert read_bench(tmp_path) == (report, samples)
    assert draw_saved(tmp_path) == [tmp_path / "latency.png"]
    assert (tmp_path / "latency.png").stat().st_size > 10_000


def test_a_folder_of_something_else_is_not_drawn(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nothing to draw"):
        draw_saved(tmp_path)
    (tmp_path / "bench.json").write_text("{}")
    with pytest.raises(SettingsError, match="run `bazaar bench` first"):
        draw_saved(tmp_path)
