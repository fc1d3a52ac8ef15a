"""The watchdog: it tells once of a core that is held, and of nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count

import pytest

from peers.runtime.watchdog import Watchdog
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.timeout(30)

BOUND_S = 0.05


class Core:
    """What the watchdog sees of a core."""

    def __init__(self) -> None:
        self.busy = False
        self.moves = False
        self.handled = 0
        self.looks = count()
        self.looked = 0
        self.told = threading.Semaphore(0)
        self.times_told = 0
        self.watchdog = Watchdog(BOUND_S, lambda: self.busy, self._count, self._tell)

    def _count(self) -> int:
        self.looked = next(self.looks)
        self.handled += self.moves
        return self.handled

    def _tell(self) -> None:
        self.times_told += 1

    def wait_for_looks(self, more: int = 20) -> None:
        goal = self.looked + more
        wait_until(lambda: self.looked >= goal, what="some looks")


@pytest.fixture
def core() -> Iterator[Core]:
    core = Core()
    yield core
    core.watchdog.stop()


def test_a_core_that_is_held_is_told_of_once(core: Core) -> None:
    core.busy = True
    core.watchdog.watch(on=True)
    core.wait_for_looks()
    assert core.times_told == 1
    core.handled += 1
    core.wait_for_looks()
    assert core.times_told == 2, "it went on, and was held again"


@pytest.mark.parametrize(("busy", "moves"), [(False, False), (True, True)])
def test_a_core_that_rests_or_works_is_not_held(core: Core, busy: bool, moves: bool) -> None:
    core.busy, core.moves = busy, moves
    core.watchdog.watch(on=True)
    core.wait_for_looks()
    assert core.times_told == 0


def test_nothing_is_watched_out_of_office(core: Core) -> None:
    core.busy = True
    core.watchdog.watch(on=True)
    core.wait_for_looks(1)
    core.watchdog.watch(on=False)
    core.watchdog.stop()
    assert core.times_told <= 1
