"""What closed doors cost: a purchase over TLS, with books behind TLS and a password, beside one with none of it."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.helpers.towns import ROOT, RunningTown
from tests.system.test_secrets import BAZAAR, own_address

pytestmark = [pytest.mark.system, pytest.mark.long, pytest.mark.timeout(600)]

AT_MOST = 1.3
ROUNDS, PURCHASES = 20, 200
QUIET = ("--think-s", "1000", "--set", "market.restock_probability=0", "--resign-after", "0")


@contextlib.contextmanager
def buyer(place: Path, host: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """One who buys in a town of its own when it is told to."""
    command = [*BAZAAR, "run", host, "6", "--dir", str(place), *QUIET, *options]
    town = RunningTown(command, place, place.with_suffix(".txt"))
    try:
        town.says("coordinator")
        with subprocess.Popen(
            [sys.executable, "-m", "tests.system.helpers.sequential_buyer", str(place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        ) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            assert process.stdout.readline() == "ready\n"
            yield process
            process.stdin.close()
            process.wait(60)
        town.interrupt()
        assert town.wait() == 0, town.text
    finally:
        town.kill()


def measured(process: subprocess.Popen[str]) -> tuple[float, float]:
    assert process.stdout is not None
    assert process.stdin is not None
    process.stdin.write(f"{PURCHASES}\n")
    process.stdin.flush()
    median_ms, rate = map(float, process.stdout.readline().split())
    return median_ms, rate


def test_a_purchase_behind_closed_doors_costs_little_more(tmp_path: Path) -> None:
    with (
        buyer(tmp_path / "open", "localhost") as plain,
        buyer(tmp_path / "closed", own_address(), "--peer-ports", "19220-19249") as closed,
    ):
        ratios: list[tuple[float, float]] = []
        for number in range(ROUNDS):
            # In turns, and each as often first: the machine is not the same from one moment to the next.
            first, second = (plain, closed) if number % 2 else (closed, plain)
            of = {id(each): measured(each) for each in (first, second)}
            (plain_ms, plain_rate), (closed_ms, closed_rate) = of[id(plain)], of[id(closed)]
            ratios.append((closed_ms / plain_ms, plain_rate / closed_rate))
    latency, rate = (statistics.median(each) for each in zip(*ratios, strict=True))
    print(f"a purchase over TLS: p50 {latency:.2f} times that of a plain one, {1 / rate:.2f} times as many a second")
    assert latency <= AT_MOST
    assert rate <= AT_MOST
