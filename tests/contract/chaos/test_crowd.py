"""The customers of a chaos run: once it has died, they ask nobody any more; and none of them is lost unnoticed."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from peers.chaos.crowd import Crowd, CrowdConfig
from peers.errors import TownError
from tests.helpers.processes import family_of, is_at_work, kill
from tests.helpers.waiting import DEADLINE_S, wait_until

_AT_ONCE_S = 15.0
"""Half of a customer's patience, which is what they lived on for."""

_RUN = """
import sys
from pathlib import Path
from peers.chaos.crowd import Crowd, CrowdConfig

port, place = int(sys.argv[1]), Path(sys.argv[2])
crowd = Crowd(CrowdConfig(host="127.0.0.1", port=port, directory=str(place), customers=2, seed=1), place / "log")
sys.stdin.readline()
print("finishing", flush=True)
crowd.finish()
"""


@pytest.fixture
def mute() -> Iterator[socket.socket]:
    """Takes connections, and says nothing to them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        yield listener


@pytest.fixture
def run(mute: socket.socket, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that starts customers, and at a line has them finish."""
    process = subprocess.Popen(
        [sys.executable, "-c", _RUN, str(mute.getsockname()[1]), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        process.kill()


@pytest.mark.parametrize("finishes", [False, True])
def test_they_end_with_a_run_that_dies(
    run: subprocess.Popen[str], mute: socket.socket, tmp_path: Path, finishes: bool
) -> None:
    """One waits for an answer meanwhile: it has patience, and is not to have it for nobody."""
    waits, _ = mute.accept()
    crowd: list[psutil.Process] = family_of(run.pid)
    assert len(crowd) == 1
    try:
        if finishes:
            assert run.stdin is not None
            assert run.stdout is not None
            run.stdin.write("\n")
            run.stdin.flush()
            assert run.stdout.readline() == "finishing\n"
            assert is_at_work(crowd[0])
        run.kill()
        run.wait()
        wait_until(lambda: not is_at_work(crowd[0]), "an end of the customers", deadline_s=_AT_ONCE_S)
        assert (tmp_path / "log").read_text() == ""
    finally:
        waits.close()
        kill(crowd[0])


def config_of(place: Path) -> CrowdConfig:
    return CrowdConfig(host="127.0.0.1", port=9, directory=str(place), customers=2, seed=1)


def test_who_died_can_say_nothing(tmp_path: Path) -> None:
    crowd = Crowd(config_of(tmp_path), tmp_path / "customers.log")
    psutil.Process(crowd.pid).kill()
    with pytest.raises(TownError, match=r"the customers died \(exit code -9\)"):
        crowd.finish()
    crowd.kill()


def test_one_who_meets_a_fault_ends_all_and_does_not_pass_for_one_who_asked_nothing(tmp_path: Path) -> None:
    faulty = "from peers.chaos import crowd; crowd._trade = lambda *_: 1 / 0; crowd.main()"
    config = msgspec.json.encode(config_of(tmp_path)).decode()
    # Its input does not end: the run has not told it to finish.
    with subprocess.Popen(
        [sys.executable, "-c", faulty, config], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as crowd:
        try:
            assert crowd.wait(DEADLINE_S) == 1
            assert crowd.stderr is not None
            assert "ZeroDivisionError" in crowd.stderr.read()
        finally:
            crowd.kill()
