"""A town that speaks to members only: it trades, others join with its certificates, strangers are refused."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from peers.town.files.directory import Directory, TownState
from tests.helpers.waiting import wait_until
from tests.system.helpers.towns import RunningTown

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

HOST, THERE = "127.0.0.2", "127.0.0.3"
BAZAAR = [sys.executable, "-c", "from peers.cli.main import main; main()"]
# A customer in a process of its own, for TLS is set for a whole process. It buys, or says why it could not.
BUY = """
import sys
from pathlib import Path
from peers.errors import TownError
from peers.customer import Customer
from peers.rpc.security.tls import TlsFiles, secure
host, port, certificates = sys.argv[1:]
if certificates != "-":
    secure(TlsFiles(Path(certificates)))
try:
    with Customer(host, int(port), patience_s=20 if certificates != "-" else 1) as customer:
        print("answered", customer.buy("salt")["status"])
except TownError as error:
    print("refused", error)
"""


def run_town(tmp_path: Path, name: str, *options: str) -> RunningTown:
    directory = tmp_path / name
    command = [*BAZAAR, "run", *options, "--dir", str(directory)]
    return RunningTown(command, directory, tmp_path / f"{name}.txt")


@pytest.fixture
def town(tmp_path: Path) -> Iterator[RunningTown]:
    running = run_town(tmp_path, "town", HOST, "3", "--tls")
    try:
        yield running
    finally:
        running.process.terminate()
        running.process.wait(60)


def opened(town: RunningTown) -> TownState:
    def state() -> TownState | None:
        assert town.process.poll() is None, town.text
        found = Directory(town.directory).running_town()
        return found if found is not None and found.phase == "open" and found.trader is not None else None

    found = wait_until(state, "the town opens")
    assert isinstance(found, TownState)
    return found


def bought(state: TownState, certificates: Path | None) -> str:
    arguments = [state.nameserver_host, str(state.nameserver_port), str(certificates or "-")]
    return said([sys.executable, "-c", BUY, *arguments])


def said(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_members_trade_and_strangers_do_not(town: RunningTown, tmp_path: Path) -> None:
    state = opened(town)
    assert state.tls
    town.says("bought")
    assert bought(state, town.directory / "tls").startswith("answered")
    assert bought(state, None).startswith("refused")
    assert "is in office" in said([*BAZAAR, "shop", "trader", "--dir", str(town.directory)])

    status = said([*BAZAAR, "status", "--json", "--dir", str(town.directory)])
    peers = json.loads(status)["peers"]
    assert len(peers) == 3
    assert all(peer["alive"] for peer in peers)

    where = ("--nameserver", f"{HOST}:{state.nameserver_port}")
    stranger = run_town(tmp_path, "stranger", HOST, "1", "--tls", *where)
    assert stranger.process.wait(60) == 2
    assert "bazaar invite <address of this one>" in stranger.text

    bring(town.directory, tmp_path / "guest", "ca.pem", "ca.key")
    guest = run_town(tmp_path, "guest", THERE, "1", "--tls", *where)
    try:
        guest.says("1 peer has joined")
        wait_until(lambda: re.search(" deposited | bought ", guest.text), "it trades")

        # One certificate is for one machine: at another address it is taken for nobody.
        bring(tmp_path / "guest", tmp_path / "moved", "ca.pem", "member.pem")
        moved = run_town(tmp_path, "moved", "127.0.0.4", "1", "--tls", *where)
        assert moved.process.wait(60) == 2
        assert re.search(rf"is for .*{re.escape(THERE)}.*bazaar invite 127\.0\.0\.4 --out FILE", moved.text), (
            moved.text
        )

        # Who opened the town may close it on all machines.
        town.process.terminate()
        assert town.process.wait(60) == 0, town.text
        assert guest.process.wait(60) == 0, guest.text
        assert "the town closes" in guest.text
    finally:
        guest.kill()


def bring(whence: Path, whither: Path, *names: str) -> None:
    """Copies files of a town's authority, or a certificate, to another directory."""
    (whither / "tls").mkdir(parents=True)
    for name in names:
        shutil.copy(whence / "tls" / name, whither / "tls" / name)
