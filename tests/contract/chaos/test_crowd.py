"""The customers of a chaos run, where nobody answers them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from peers.chaos.crowd import Crowd, CrowdConfig
from peers.errors import TownError
from tests.helpers.processes import is_at_work, kill
from tests.helpers.waiting import DEADLINE_S, wait_until

_RUN = """
import os, sys, time
from pathlib import Path
import msgspec
from peers.chaos.crowd import Crowd, CrowdConfig

config = msgspec.json.decode(sys.argv[1], type=CrowdConfig)
crowd = Crowd(msgspec.structs.replace(config, run=os.getpid()), Path(config.directory) / "customers.log")
print(crowd.pid, flush=True)
time.sleep(600)
"""


def config_of(place: Path, port: int) -> CrowdConfig:
    return CrowdConfig(host="127.0.0.1", port=port, directory=str(place), customers=2, seed=1, run=os.getpid())


def test_customers_do_not_outlive_a_run_that_was_killed(tmp_path: Path) -> None:
    """They would wait for an answer for half a minute, and then go on writing where the next run is."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # It takes every call, and answers none.
        config = msgspec.json.encode(config_of(tmp_path, silent.getsockname()[1])).decode()
        with subprocess.Popen([sys.executable, "-c", _RUN, config], stdout=subprocess.PIPE, text=True) as run:
            assert run.stdout is not None
            crowd = psutil.Process(int(run.stdout.readline()))
            silent.settimeout(DEADLINE_S)
            try:
                with silent.accept()[0]:  # They are at it.
                    run.kill()
                    run.wait()
                    killed_s = time.monotonic()
                    wait_until(lambda: not is_at_work(crowd), what="the end of the customers")
                    assert time.monotonic() - killed_s < 10
            finally:
                run.kill()
                kill(crowd)


def test_who_died_can_say_nothing(tmp_path: Path) -> None:
    crowd = Crowd(config_of(tmp_path, 9), tmp_path / "customers.log")
    psutil.Process(crowd.pid).kill()
    with pytest.raises(TownError, match=r"the customers died \(exit code -9\)"):
        crowd.finish()
    crowd.kill()


def test_one_who_meets_a_fault_ends_all_and_does_not_pass_for_one_who_asked_nothing(tmp_path: Path) -> None:
    faulty = "from peers.chaos import crowd; crowd._trade = lambda *_: 1 / 0; crowd.main()"
    config = msgspec.json.encode(config_of(tmp_path, 9)).decode()
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
