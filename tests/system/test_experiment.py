"""`bazaar experiment` from end to end, with real towns: data that make sense, a figure, books that balance."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib import image

from plots.results.samples import Sample, read_samples

BAZAAR = [sys.executable, "-c", "from peers.cli.main import main; main()"]
PURCHASES, EVERY, WARM_UP = 120, 20, 20

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def follow_each_other(samples: list[Sample]) -> None:
    assert [sample.iteration for sample in samples] == list(range(1, PURCHASES + 1))
    seqs = [sample.seq for sample in samples]
    assert seqs == list(range(seqs[0], seqs[0] + PURCHASES))
    starts = [sample.started_at for sample in samples]
    assert starts == sorted(starts)
    for before, after in itertools.pairwise(samples):
        assert after.election == (after.term > before.term)


def test_sequential(tmp_path: Path) -> None:
    out = tmp_path / "figures"
    command = [*BAZAAR, "experiment", "sequential", "--quick", "--json", "--purchases", str(PURCHASES)]
    done = subprocess.run([*command, "--out", str(out)], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout)
    assert [run["audit_code"] for run in said["runs"]] == [0, 0]

    without, elections = read_samples(out / "no-elections.csv"), read_samples(out / "elections.csv")
    for samples in (without, elections):
        follow_each_other(samples)
        assert all(0 < sample.latency_ms < 60_000 for sample in samples)
    assert len({sample.trader for sample in without}) == 1
    # The trader resigns after so many sales, and the purchases that warm up are sales too.
    assert sum(sample.election for sample in elections) == (PURCHASES + WARM_UP - 1) // EVERY
    assert len({sample.trader for sample in elections}) >= 2

    figure = image.imread(out / "sequential.png")
    assert figure.shape[1] > 1000
    assert figure.std() > 0.05
    # Only books that do not balance are kept.
    assert not list(out.glob("town-*/mongo"))
