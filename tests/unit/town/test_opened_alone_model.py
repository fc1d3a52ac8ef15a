"""The protocol by which a town is opened alone, over thousands of orders in which its steps may come, with deaths."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from db.terminals import Claim, InUse, Place
from peers.errors import TownError
from peers.town.files.directory import Directory
from peers.town.machines import lease
from peers.town.plan.options import RunOptions

T = TypeVar("T")
HOST = "127.0.0.1"
SEEDS = range(250)
_NAMES = ("one", "two", "three")


class _Killed(BaseException):
    """What a terminal ends with that leaves its word as it is."""


class Schedule:
    """Whose step is next, drawn from a seed. Time passes only where all of them wait for it."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.now_s = 0.0
        self._turns = threading.Condition()
        self._waiting: dict[str, float] = {}  # By name, from when on it may go on.
        self._running = ""
        self._alive: set[str] = set()

    def run(self, bodies: dict[str, Callable[[], None]]) -> None:
        """Runs them all to their ends."""
        self._alive = set(bodies)
        threads = [threading.Thread(target=self._body, args=each) for each in bodies.items()]
        for thread in threads:
            thread.start()
        while True:
            with self._turns:
                assert self._turns.wait_for(lambda: not self._running and self._waiting.keys() == self._alive, 20)
                if not self._alive:
                    break
                self.now_s = max(self.now_s, min(self._waiting.values()))
                ready = sorted(name for name, at_s in self._waiting.items() if at_s <= self.now_s)
                self._running = self.rng.choice(ready)
                del self._waiting[self._running]
                self._turns.notify_all()
        for thread in threads:
            thread.join()

    def _body(self, name: str, body: Callable[[], None]) -> None:
        threading.current_thread().name = name
        self.sleep(self.rng.choice((0.0, 0.0, 0.3, 3.0)))
        try:
            body()
        finally:
            with self._turns:
                self._alive.discard(name)
                self._running = ""
                self._turns.notify_all()

    def sleep(self, for_s: float = 0.0) -> None:
        """Lets others go first, for so long or for a step."""
        name = threading.current_thread().name
        with self._turns:
            self._waiting[name] = self.now_s + for_s
            if self._running == name:
                self._running = ""
            self._turns.notify_all()
            self._turns.wait_for(lambda: self._running == name)


class Store:
    """What stands in the books, a step at a time; `killed` says whose step is not to come any more."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._words: dict[str, InUse] = {}
        self._claim: Claim | None = None
        self.left: dict[str, int] = {}
        """By name of thread, after how many steps it is killed."""

    def _step(self, change: Callable[[], T]) -> T:
        name = threading.current_thread().name
        self._schedule.sleep()
        if name in self.left:
            self.left[name] -= 1
            if self.left[name] < 0:
                raise _Killed
        return change()

    def renew(self, terminal: str, place: Place, *, opens: bool = False) -> None:
        word = InUse(terminal, place, opens, (uuid.uuid4().hex, None))
        self._step(lambda: self._words.update({terminal: word}))

    def release(self, terminal: str) -> None:
        self._step(lambda: self._words.pop(terminal, None))

    def forget(self, dead: InUse) -> None:
        self._step(lambda: self._words.pop(dead.terminal) if self._words.get(dead.terminal) == dead else None)

    def others(self, terminal: str) -> list[InUse]:
        return self._step(lambda: [word for name, word in self._words.items() if name != terminal])

    def claim(self) -> Claim | None:
        return self._step(lambda: self._claim)

    def claim_after(self, before: Claim | None, terminal: str) -> Claim | None:
        def change() -> Claim | None:
            if self._claim != before:
                return None
            self._claim = Claim(terminal, uuid.uuid4().hex)
            return self._claim

        return self._step(change)


class Terminals:
    """Terminals that open a town each, stay for a while, and end or are killed; some come back."""

    def __init__(self, place: Path, seed: int) -> None:
        self._place = place
        self.schedule = Schedule(seed)
        self._store = Store(self.schedule)
        self.opened: set[str] = set()
        self.answers: list[str] = []

    def bodies(self) -> dict[str, Callable[[], None]]:
        rng = self.schedule.rng
        for name in _NAMES:
            if rng.random() < 0.4:
                self._store.left[name] = rng.randrange(1, 40)
        return {name: lambda name=name: self._live(name) for name in _NAMES}  # type: ignore[misc]

    def _live(self, name: str) -> None:
        try:
            self._open(name)
        except _Killed:
            self.opened.discard(name)
            del self._store.left[name]
            self.schedule.sleep(self.schedule.rng.choice((0.0, 1.0, 20.0)))
            self._open(name)

    def _open(self, name: str) -> None:
        directory = Directory(self._place / name)
        directory.make()
        given: Any = RunOptions(host=HOST, n=2, directory=directory.path)
        store: Any = self._store
        ours = directory.terminal()
        try:
            lease._Opening(store, directory, "mongodb://h", HOST, given).check()
        except TownError:
            self.answers.append("refused")
            store.release(ours)
            return
        self.answers.append("opened")
        self.opened.add(name)
        assert self.opened == {name}, "two towns on the same books"
        place = Place(HOST, str(directory.path))
        for _ in range(self.schedule.rng.choice((1, 20))):
            store.renew(ours, place)
            self.schedule.sleep(lease._RENEW_S)
        self.opened.discard(name)
        store.release(ours)


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the threads of a schedule failed with."""
    found: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda given: found.append(repr(given.exc_value)))
    yield found
    assert not found


def test_in_whatever_order_the_steps_come_one_town_is_opened_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, errors: list[str]
) -> None:
    answers: list[str] = []
    for seed in SEEDS:
        terminals = Terminals(tmp_path, seed)
        clock = SimpleNamespace(monotonic=lambda t=terminals: t.schedule.now_s, sleep=terminals.schedule.sleep)
        monkeypatch.setattr(lease, "time", clock)
        terminals.schedule.run(terminals.bodies())
        assert not errors, f"seed {seed}"
        assert "opened" in terminals.answers, f"seed {seed}: all were refused"
        answers += terminals.answers
    assert {"opened", "refused"} == set(answers)
