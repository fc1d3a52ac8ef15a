"""Each demonstration proves what it claims, with real kills, and leaves nothing behind.

How one is ended by Ctrl-C is in `test_scenes.py`: both are played by the same `peers.scenes.play`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from peers.cli.main import invoke
from tests.system.helpers.town import bazaar, processes_of

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


def test_the_command_lists_them_and_refuses_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["demo"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{name}: " in listed for name in PROVEN)
    assert invoke(["demo", "nonsense"]) == 2
    assert "there are failover and split-brain" in capsys.readouterr().err
