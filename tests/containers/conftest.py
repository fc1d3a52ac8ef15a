"""The container engine at hand: the one that `docker compose` reaches, or one that `BAZAAR_ENGINE` starts.

`BAZAAR_ENGINE` is a command that starts an engine and prints, as lines for a shell, how to reach it
(`export DOCKER_HOST=…`). Where there is no engine, or it cannot be started, these tests are skipped, and say why.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator

import pytest

from tests.containers.composition import Bystander, Composition
from tests.helpers.slowness import Slowness

ENGINE = "BAZAAR_ENGINE"
PEERS = 4
LONGEST_START_S = 600.0
LONGEST_OPENING_S = 300.0


@pytest.fixture(scope="session")
def engine() -> dict[str, str]:
    """The variables of the environment by which the engine is reached."""
    environment: dict[str, str] = {}
    command = os.environ.get(ENGINE)
    if command:
        environment = _started(command)
    for words in (["docker", "compose", "version"], ["docker", "info"]):
        try:
            subprocess.run(words, env={**os.environ, **environment}, capture_output=True, timeout=60, check=True)
        except (OSError, subprocess.SubprocessError):
            pytest.skip(f"no container engine here: `{' '.join(words)}` fails, and {ENGINE} names none to start")
    return environment


def _started(command: str) -> dict[str, str]:
    """Starts the engine by `command`; returns how it is reached. Skips where that cannot be done."""
    try:
        said = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, timeout=LONGEST_START_S, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"no container engine: {ENGINE} did not start one within {LONGEST_START_S:g} s")
    if said.returncode != 0:
        why = (said.stderr.strip().splitlines() or ["it does not say why"])[-1]
        pytest.skip(f"no container engine: {ENGINE} cannot start one ({why})")
    return dict(word.split("=", 1) for word in shlex.split(said.stdout) if "=" in word)


@pytest.fixture(scope="module")
def town(engine: dict[str, str]) -> Iterator[Composition]:
    """A project of its own with the image built, and nothing running yet; all of it is removed at the end."""
    composition = Composition(f"bazaar-test-{os.getpid()}", engine)
    composition.compose("build", "--quiet")
    try:
        yield composition
    finally:
        composition.down()


@pytest.fixture(scope="module")
def sales(town: Composition) -> Iterator[Bystander]:
    """The town is up, and its sales are watched."""
    with Slowness() as slowness:
        town.open(PEERS)
        bystander = Bystander(town)
        try:
            bystander.wait_for_sales(town.began_s, deadline_s=LONGEST_OPENING_S)
            town.slowness = slowness.factor
        except AssertionError:
            print(town.compose("logs", "--tail", "50", check=False))
            bystander.close()
            raise
    try:
        yield bystander
    finally:
        bystander.close()
