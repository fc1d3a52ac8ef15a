"""Each demonstration proves what it claims, with real kills, and leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from peers.cli.main import invoke
from tests.helpers.waiting import wait_until
from tests.system.helpers.town import BAZAAR, bazaar, processes_of

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

PROVEN = {
    "failover": (
        "who is in office, is killed (SIGKILL)",
        "the database that takes the writes is killed (SIGKILL)",
        "purchases so far, all of them acknowledged",
        "acknowledged purchases, this many are missing in the books: 0",
        "this many were acknowledged twice: 0",
    ),
    "split-brain": (
        "seller5 is frozen (SIGSTOP)",
        "seller5 wakes up (SIGCONT)",
        "seller5: my commit of term 1 was refused, seller4 holds term 2",
        "seen: who has bought in the end, each once: ann, eve, ben, cleo, dan",
    ),
}


@pytest.mark.parametrize("name", PROVEN)
def test_it_is_proven(name: str, tmp_path: Path) -> None:
    done = bazaar("demo", name, "--dir", tmp_path / "town")
    assert done.returncode == 0, done.stdout + done.stderr
    for words in PROVEN[name]:
        assert words in done.stdout
    assert "and every invariant holds" in done.stdout
    assert "NOT SEEN" not in done.stdout
    assert not processes_of(tmp_path)


def test_ctrl_c_leaves_nothing_running(tmp_path: Path) -> None:
    said = tmp_path / "said"
    with said.open("w") as to:
        command = [*BAZAAR, "demo", "split-brain", "--dir", str(tmp_path / "town")]
        demo = subprocess.Popen(command, stdout=to, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        wait_until(lambda: "is frozen" in said.read_text(), what="that a peer is frozen")
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 130, said.read_text()
        wait_until(lambda: not processes_of(tmp_path), what="an empty place")
    finally:
        if demo.poll() is None:
            demo.kill()


def test_the_command_lists_them_and_refuses_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["demo"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{name}: " in listed for name in PROVEN)
    assert invoke(["demo", "nonsense"]) == 2
    assert "there are failover and split-brain" in capsys.readouterr().err
