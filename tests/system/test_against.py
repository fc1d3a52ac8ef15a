"""`bazaar bench --against etcd`, a little of it, beside the real thing: members that run, are killed, and go."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from matplotlib import image

from plots.measure.apparatus.etcd_client import EtcdWriter, Gateway, http_request
from plots.measure.etcd.cluster import TUNED, EtcdCluster
from plots.measure.etcd.failover import measure_killed
from tests.helpers.waiting import wait_until
from tests.system.helpers.towns import ROOT, RunningTown, bazaar
from tests.system.test_bench import press_ctrl_c, terminate

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
needs_etcd = pytest.mark.skipif(shutil.which("etcd") is None, reason="no etcd here: apt install etcd-server")

_HOLDER = """
import sys
from pathlib import Path
from plots.measure.etcd.cluster import EtcdCluster
with EtcdCluster(Path(sys.argv[1])):
    print("open", flush=True)
    sys.stdin.readline()
"""


def members_below(directory: Path) -> list[psutil.Process]:
    """The processes of etcd that have their data below `directory`."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        ours = any(word.startswith(f"--data-dir={directory}") for word in words)
        if ours and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


@needs_etcd
def test_both_are_measured_in_one_run(tmp_path: Path) -> None:
    out = tmp_path / "bench"
    done = bazaar("bench", "--quick", "--against", "etcd", "--json", "--out", str(out), patience_s=240)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert json.loads((out / "bench.json").read_text())["against"] == report["against"]
    assert report["throughput"] is None, "the other sections only where they are named"
    assert set(report["audit_codes"].values()) == {0}

    found = report["against"]
    assert found["version"]
    assert found["replicas"] == 1
    for side in ("puts", "purchases"):
        rates = found[side]
        assert [rate["customers"] for rate in rates] == [1, 16, 64]
        assert all(0 < rate["latency_ms"]["p50"] <= rate["latency_ms"]["p99"] for rate in rates)
        assert rates[1]["per_s"] > 1.5 * rates[0]["per_s"], "what is written together shares a sync"
    trader, default, tuned = found["standstills"]
    assert (trader["whose"], default["whose"], tuned["whose"]) == ("trading post", "etcd", "etcd")
    assert all(len(each["pauses_ms"]) == 3 and min(each["pauses_ms"]) > 0 for each in (trader, default, tuned))
    assert tuned["summary"]["p50"] < default["summary"]["p50"], "a shorter election timeout is what tunes it"
    assert all(each["etcd"] and each["trading_post"] for each in found["promises"])

    assert [Path(figure).name for figure in report["figures"]] == ["against.png"]
    assert image.imread(out / "against.png").std() > 0.05
    assert members_below(out) == []
    assert list(out.glob("etcd-*")) == []


@needs_etcd
def test_what_was_put_outlives_its_leader(tmp_path: Path) -> None:
    with EtcdCluster(tmp_path, TUNED) as cluster:
        writer = EtcdWriter(cluster.addresses(), timeout_s=1.0)
        before = writer.put(b"before", b"1")
        (pause_ms,) = measure_killed(cluster, 1)
        assert pause_ms > 0
        after = writer.put(b"after", b"2")
        assert after.raft_term > before.raft_term
        assert after.revision > before.revision
        for address in cluster.addresses():  # The member that was killed is among them.
            gateway = Gateway(address, 5.0)
            found = gateway.call(http_request("/v3/kv/range", b'{"key":"%s"}' % b64encode(b"before")))
            assert json.loads(found)["kvs"][0]["value"] == b64encode(b"1").decode()
            gateway.close()
        writer.close()
        assert len(members_below(tmp_path)) == 3
    assert members_below(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@needs_etcd
@pytest.mark.parametrize("end", [press_ctrl_c, terminate])
def test_a_bench_that_is_told_to_end_leaves_no_member_behind(tmp_path: Path, end: Callable[[int], None]) -> None:
    out = tmp_path / "bench"
    command = [sys.executable, "-m", "peers.cli", "bench", "--against", "etcd", "--out", str(out)]
    bench = RunningTown(command, out / "against-6", tmp_path / "said")
    try:
        wait_until(lambda: len(members_below(out)) == 3, "three members are there")
        assert len(bench.note_family()) > 3 + 6, "members and peers"
        end(bench.process.pid)
        assert bench.wait() == 130
        bench.left_nothing()
        assert members_below(out) == []
        assert list(out.glob("etcd-*")) == []
    finally:
        bench.kill()


@needs_etcd
def test_members_die_with_a_bench_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as bench:
        assert bench.stdout is not None
        assert bench.stdout.readline() == "open\n"
        members = members_below(tmp_path)
        assert len(members) == 3
        assert all(os.getsid(member.pid) != os.getsid(bench.pid) for member in members), "a Ctrl-C is not for them"
        bench.send_signal(signal.SIGKILL)
    wait_until(lambda: not members_below(tmp_path), "the members are gone")


def test_without_etcd_nothing_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = bazaar("bench", "--against", "etcd", "--out", str(tmp_path / "bench"))
    assert done.returncode == 2
    assert "apt install etcd-server" in done.stderr
    assert not (tmp_path / "bench").exists()


def test_another_there_is_not() -> None:
    done = bazaar("bench", "--against", "zookeeper")
    assert done.returncode == 2
    assert "zookeeper" in done.stderr
