"""One audit for a town over three hosts: from any of them it sees all, says whom it cannot see, and finds a lie."""

from __future__ import annotations

import json
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.system.helpers.hosts import Host, network_of
from tests.system.helpers.town_of_hosts import opened, settled

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

PEERS = 2


def audit(host: Host) -> dict[str, Any]:
    done = host.bazaar("audit", "--json")
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == report["exit_code"]
    return report


def journals(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["machine"]: each for each in report["journals"]}


def lie(host: Host) -> str:
    """Has a journal there say that its peer was told of a sale, which nobody ever made; returns the id."""
    for path in sorted((host.directory / "journals").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            if entry["kind"] == "told" and entry["outcome"]["status"] == "sold":
                entry["outcome"]["request_id"] = f"{path.stem}-nobody-knows-1"
                with path.open("a") as journal:
                    journal.write(json.dumps(entry) + "\n")
                return str(entry["outcome"]["request_id"])
    raise AssertionError(f"nobody was told of a sale at {host.address}")


def test_every_machine_judges_the_whole_town(tmp_path: Path) -> None:
    with network_of(tmp_path, 3) as (network, hosts):
        opened(network, PEERS, "--merchants")
        first, second, third = hosts
        with ThreadPoolExecutor(len(hosts)) as pool:  # All at once they copy from each other, too.
            reports = list(pool.map(audit, hosts))
        for host, report in zip(hosts, reports, strict=True):
            assert report["answer"] == "holds", report
            told = journals(report)
            assert told.keys() == {"here", *(other.address for other in hosts if other is not host)}
            assert all(each["lines"] > 0 and each["journals"] == PEERS for each in told.values()), told
            assert not any(each["missing"] for each in told.values()), told

        machines = [peer["machine"] for peer in first.status()["peers"]]
        assert sorted(machines) == sorted(host.address for host in hosts for _ in range(PEERS))

        # One is lost with its disk: what was copied before is judged, and what came after nobody can see.
        third.kill()
        shutil.rmtree(third.directory)
        settled([first, second], 2 * PEERS)
        report = audit(first)
        assert (report["answer"], report["exit_code"]) == ("could not tell", 2), report
        assert third.address in report["invariants"]["acknowledged_is_recorded"]["why"]
        assert journals(report)[third.address]["missing"]
        assert journals(report)[third.address]["lines"] > 0
        assert not journals(report)[second.address]["missing"]

        # Somebody was told what the books do not have: that is found from elsewhere, whoever else cannot be seen.
        invented = lie(second)
        report = audit(first)
        assert (report["answer"], report["exit_code"]) == ("violated", 1), report
        (found,) = report["invariants"]["acknowledged_is_recorded"]["violations"]
        assert found["documents"] == [invented]
        assert f"(in a journal of {second.address})" in found["what"]

        # Its terminal ends, and so does the market here, but not elsewhere.
        assert second.process is not None
        second.process.send_signal(signal.SIGINT)
        assert second.process.wait(60) == 1, second.text
        said = second.text.rpartition("the whole market, while the peers of this terminal were in it:")[2]
        assert f"journals of {third.address}" in said, second.text
        report = audit(second)
        assert report["answer"] == "violated"
        assert journals(report)[first.address]["lines"] > 0
        assert not journals(report)[first.address]["missing"]

        # The last one has what the other left, and so it has once all have ended.
        assert first.process is not None
        first.process.send_signal(signal.SIGINT)
        assert first.process.wait(60) == 1, first.text
        report = audit(first)
        assert report["answer"] == "violated"
        assert not journals(report)[second.address]["missing"]
        assert journals(report)[third.address]["missing"]
