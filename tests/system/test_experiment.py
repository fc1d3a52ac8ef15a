"""`bazaar experiment` from end to end, with real towns: data that make sense, a figure, books that balance.

One short run of each. Never absolute times: this runs beside other tests on machines of any speed.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib import image

from plots.results.experiments import algorithms, buyers, clocks, elections, nodes, posts, response
from plots.results.rows import read_rows
from plots.results.samples import Sample, read_samples
from tests.system.helpers.towns import bazaar

PURCHASES, EVERY, WARM_UP = 60, 20, 20

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


def measured(name: str, out: Path, *options: str) -> dict[str, Any]:
    """Runs an experiment in its short form; every town must hold, and there must be a figure."""
    done = bazaar("experiment", name, "--quick", "--json", "--out", str(out), *options, patience_s=280)
    assert done.returncode == 0, done.stderr[-3000:]
    said: dict[str, Any] = json.loads(done.stdout)
    codes = said["record"]["audit_codes"]
    assert codes
    assert set(codes.values()) == {0}
    assert said["experiment"] == name
    assert "left: " in done.stderr
    figure = image.imread(out / f"{name}.png")
    assert figure.shape[1] > 1000
    assert figure.std() > 0.05
    # Only towns whose books do not balance are kept.
    assert not [path for path in out.iterdir() if path.is_dir()]
    return said


def follow_each_other(samples: list[Sample]) -> None:
    assert [sample.iteration for sample in samples] == list(range(1, PURCHASES + 1))
    seqs = [sample.seq for sample in samples]
    assert seqs == list(range(seqs[0], seqs[0] + PURCHASES))
    starts = [sample.started_at for sample in samples]
    assert starts == sorted(starts)
    for before, after in itertools.pairwise(samples):
        assert after.election == (after.term > before.term)


def test_sequential(tmp_path: Path) -> None:
    options = ("--purchases", str(PURCHASES), "--every", str(EVERY), "--market", "vector")
    assert len(measured("sequential", tmp_path, *options)["record"]["audit_codes"]) == 2
    without = read_samples(tmp_path / "vector-no-elections.csv")
    held = read_samples(tmp_path / "vector-elections.csv")
    for samples in (without, held):
        follow_each_other(samples)
        assert all(0 < sample.latency_ms < 60_000 for sample in samples)
    assert len({sample.trader for sample in without}) == 1
    # The trader resigns after so many sales, and the purchases that warm up are sales too.
    assert sum(sample.election for sample in held) == (PURCHASES + WARM_UP - 1) // EVERY
    assert len({sample.trader for sample in held}) >= 2


def test_elections(tmp_path: Path) -> None:
    measured("elections", tmp_path, "--purchases", "12")
    rows = read_rows(tmp_path / elections.DATA, elections.Bought)
    for held in (False, True):
        mine = [row for row in rows if row.elections == held]
        assert len(mine) == 3 * 12
        assert {row.buyer for row in mine} == {"buyer0", "buyer1", "buyer2"}
    assert all(row.latency_ms > 0 for row in rows)


def test_response(tmp_path: Path) -> None:
    measured("response", tmp_path, "--purchases", "90")
    course = response.read_course(tmp_path)
    assert len(course.requests) == 3 * 90
    # Two are due while it lasts; one that met an empty post would be left out.
    assert course.changes
    assert all(before.trader != after.trader for before, after in itertools.pairwise(course.changes))
    assert [change.at_s for change in course.changes] == sorted(change.at_s for change in course.changes)


@pytest.mark.long
def test_posts(tmp_path: Path) -> None:
    measured("posts", tmp_path)
    rates = posts.read_rates(tmp_path)
    assert [(rate.posts, rate.own) for rate in rates] == [(1, False), (2, False), (2, True)]
    assert all(rate.per_s > 0 and min(rate.cpu_ms.values()) >= 0 for rate in rates)
    assert all(rate.cores["mongod"] > 0 and rate.cores["traders"] > 0 for rate in rates)


def test_buyers(tmp_path: Path) -> None:
    measured("buyers", tmp_path)
    crowds = buyers.read_crowds(tmp_path)
    assert [crowd.buyers for crowd in crowds] == [1, 2, 4, 8, 16]
    assert crowds[-1].per_s > crowds[0].per_s, "what arrives during a commit shares the next one"


@pytest.mark.long
def test_nodes(tmp_path: Path) -> None:
    said = measured("nodes", tmp_path, "--peers", "5", "--purchases", "40")
    assert {peers: len(found) for peers, found in nodes.read_sizes(tmp_path).items()} == {5: 40}
    assert said["findings"]["beside"][0]["theirs"].startswith("850.05 ms")


@pytest.mark.long
def test_algorithms(tmp_path: Path) -> None:
    measured("algorithms", tmp_path, "--peers", "6")
    costs = algorithms.read_costs(tmp_path)
    assert [(cost.algorithm, cost.peers) for cost in costs] == [(name, 6) for name in algorithms.NAMES]
    for cost in costs:
        assert cost.pauses == 2
        assert cost.pause_ms is not None
        assert cost.virtual_ms is not None
        assert cost.pause_ms > 0
    # The yardstick asks nobody: it only tells who has won.
    *others, lease = costs
    assert all((other.virtual_messages or 0) > (lease.virtual_messages or 0) for other in others)


@pytest.mark.long
def test_clocks(tmp_path: Path) -> None:
    measured("clocks", tmp_path, "--peers", "6", "--purchases", "30")
    lamport, vector = clocks.read_costs(tmp_path)
    assert (lamport.clock, lamport.entries) == ("lamport", 1)
    # All but the trader have dealt, and the customer is in its own clock.
    assert vector.entries >= 6
    assert vector.clock_bytes > 3 * lamport.clock_bytes
    assert lamport.latency_ms.count == vector.latency_ms.count == 30
