"""The lanes to the ledger: what goes first, who may carry a commit out itself, and when the ledger is closed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from peers.core.ledger import (
    Commit,
    Done,
    Enqueue,
    FindSales,
    LedgerAway,
    LookUp,
    Meanwhile,
    Operation,
    Result,
    TakeOffice,
    work_off,
)
from peers.errors import LedgerError
from peers.host import lanes as lanes_module
from peers.host.lanes import Lanes
from peers.host.logs import NoLog
from tests.hosting import wait_until

pytestmark = pytest.mark.timeout(30)


def commit(seq: int) -> Commit:
    return Commit(term=1, seq=seq, deposits=(), decisions=())


def sales(seller: int) -> FindSales:
    return FindSales(seller=f"seller{seller}", after_seq=0)


class Books:
    """A ledger that does one thing at a time for each permit that it gets, and notes what on which thread."""

    def __init__(self, permits: int = 1000) -> None:
        self.permits = threading.Semaphore(permits)
        self.performed: list[tuple[Operation, str]] = []
        self.closed = False
        self.broken = False
        self.waits = True

    def perform(self, operation: Operation, meanwhile: Meanwhile | None = None) -> Result:
        self.performed.append((operation, threading.current_thread().name))
        if self.waits:
            work_off(meanwhile)
        self.permits.acquire(timeout=10)
        if self.broken:
            raise LedgerError("not fit")
        return Done()

    def close(self) -> None:
        self.closed = True


class Setup:
    def __init__(self, permits: int = 1000) -> None:
        self.made: list[Books] = []
        self.results: list[tuple[Operation, Result]] = []
        self.unanswered = 0
        self.lanes = Lanes(lambda: self._make(permits), self._on_result, self._answer, NoLog())

    def _make(self, permits: int) -> Books:
        self.made.append(Books(permits))
        return self.made[-1]

    def _on_result(self, operation: Operation, result: Result) -> None:
        self.results.append((operation, result))
        self.unanswered += 2

    def _answer(self) -> bool:
        self.unanswered = max(0, self.unanswered - 1)
        return self.unanswered > 0

    @property
    def books(self) -> Books:
        return self.made[-1]

    def wait_for(self, results: int) -> list[Operation]:
        wait_until(lambda: len(self.results) >= results, what=f"{results} results")
        return [operation for operation, _ in self.results]


@pytest.fixture
def gated() -> Iterator[Setup]:
    setup = Setup(permits=0)
    yield setup
    for books in setup.made:
        books.permits.release(1000)
    setup.lanes.close()


@pytest.fixture
def free() -> Iterator[Setup]:
    setup = Setup()
    yield setup
    setup.lanes.close()


def test_commits_go_before_readings_but_one_at_a_time(gated: Setup) -> None:
    first = TakeOffice(trader="t", expected_term=0, now_ms=0)
    gated.lanes.put(first)
    wait_until(lambda: gated.made and gated.books.performed, what="the first under way")
    for operation in (sales(1), sales(2), commit(1), commit(2)):
        gated.lanes.put(operation)
    gated.books.permits.release(5)
    # The reading after the first is due: no more than one that changes something before each.
    assert gated.wait_for(5) == [first, sales(1), commit(1), sales(2), commit(2)]


def test_queueing_goes_on_while_a_commit_is_under_way(gated: Setup) -> None:
    gated.lanes.put(commit(1))
    gated.lanes.put(Enqueue(term=1, entries=()))
    wait_until(lambda: gated.made and len(gated.books.performed) == 2, what="both under way")
    gated.books.permits.release(2)
    gated.wait_for(2)


def test_only_a_free_lane_is_claimed_and_only_for_a_commit(gated: Setup) -> None:
    lanes = gated.lanes
    assert not lanes.claim(sales(1))
    assert not lanes.claim(Enqueue(term=1, entries=()))
    assert lanes.claim(commit(1))
    assert not lanes.claim(commit(2))
    lanes.put(commit(3))
    thread = threading.Thread(target=lanes.carry_out, args=(commit(1),), name="mine")
    thread.start()
    wait_until(lambda: gated.made and gated.books.performed, what="the claimed one under way")
    assert not lanes.claim(commit(4))
    gated.books.permits.release(2)
    assert gated.wait_for(2) == [commit(1), commit(3)]
    assert [name for _, name in gated.books.performed] == ["mine", "ledger"]
    thread.join()


def test_a_commit_that_waits_is_not_overtaken(gated: Setup) -> None:
    gated.lanes.put(sales(1))
    wait_until(lambda: gated.made and gated.books.performed, what="the reading under way")
    gated.lanes.put(commit(1))
    assert not gated.lanes.claim(commit(2))


@pytest.mark.parametrize("following", [[], [commit(2)], [sales(1)]], ids=["nothing", "a commit", "a reading"])
def test_what_a_commit_leaves_to_be_done_does_not_wait_for_what_follows(
    gated: Setup, following: list[Operation]
) -> None:
    gated.lanes.put(commit(1))
    wait_until(lambda: gated.made and gated.books.performed, what="the first under way")
    for operation in following:
        gated.lanes.put(operation)
    gated.books.permits.release()
    gated.wait_for(1)
    wait_until(lambda: gated.unanswered == 0, what="all answered")
    assert len(gated.results) == 1


def test_what_the_ledger_had_no_time_for_is_done_afterwards(gated: Setup) -> None:
    gated.lanes.put(commit(1))
    wait_until(lambda: gated.made and gated.books.performed, what="the first under way")
    gated.books.waits = False
    gated.lanes.put(commit(2))
    gated.books.permits.release(2)
    gated.wait_for(2)
    wait_until(lambda: gated.unanswered == 0, what="all answered")


def test_books_that_are_not_fit_are_away(free: Setup) -> None:
    free.lanes.put(commit(1))
    free.wait_for(1)
    free.books.broken = True
    free.lanes.put(commit(2))
    free.wait_for(2)
    assert free.results[1][1] == LedgerAway(why="not fit")


def test_the_ledger_is_made_when_needed_and_closed_when_out_of_office(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "REST_AFTER_S", 0.02)
    setup = Setup()
    assert not setup.made
    setup.lanes.hold(True)
    setup.lanes.put(LookUp())
    setup.wait_for(1)
    setup.lanes.put(LookUp())
    setup.wait_for(2)
    setup.lanes.hold(False)
    setup.lanes.put(LookUp())
    setup.wait_for(3)
    assert len(setup.made) == 1
    wait_until(lambda: setup.books.closed, what="the ledger closed")
    setup.lanes.put(LookUp())
    setup.wait_for(4)
    assert len(setup.made) == 2
    setup.lanes.close()
    assert setup.books.closed


def test_closing_waits_for_what_is_under_way_but_not_for_ever() -> None:
    setup = Setup(permits=0)
    setup.lanes.put(commit(1))
    wait_until(lambda: setup.made and setup.books.performed, what="it under way")
    setup.lanes.close(timeout_s=0.05)
    assert not setup.books.closed
    setup.books.permits.release(1)
    setup.wait_for(1)
