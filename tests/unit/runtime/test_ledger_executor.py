"""The ledger's executor: what waits for what, who may write an entry itself, and when the ledger is closed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from peers.core.ledger.port import (
    Append,
    Appended,
    Done,
    FindSales,
    LedgerAway,
    Load,
    LookUp,
    MakeBooks,
    Operation,
    Result,
)
from peers.core.market.records import Post
from peers.errors import LedgerError
from peers.runtime import ledger_executor
from peers.runtime.ledger_executor import LedgerExecutor
from peers.runtime.logs import NoLog
from tests.helpers.deals import at, trade
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.timeout(30)

ENTRIES = [at(place, trade()) for place in range(6)]
LOOK_UP = LookUp(request_ids=("r1",))


def sales(seller: int) -> FindSales:
    return FindSales(seller=f"seller{seller}", after_seq=0)


def changes(place: int) -> MakeBooks:
    return MakeBooks(place=place, requests=(), new_requests=(), deposits=(), post=Post())


class Books:
    """A ledger that does one thing for each permit that it gets, and notes what on which thread."""

    def __init__(self, permits: int) -> None:
        self.permits = threading.Semaphore(permits)
        self.performed: list[tuple[Operation, str]] = []
        self.closed = False
        self.broken = False

    def perform(self, operation: Operation) -> Result:
        self.performed.append((operation, threading.current_thread().name))
        if isinstance(operation, MakeBooks):
            return Done()
        self.permits.acquire(timeout=10)
        if self.broken:
            raise LedgerError("not fit")
        return Appended() if isinstance(operation, Append) else Done()

    def close(self) -> None:
        self.closed = True

    def operations(self) -> list[Operation]:
        return [operation for operation, _ in self.performed]


class Replies:
    """Whether answers were sent, and by whom: by the thread that has them, or by one that was asked to."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def hand_out(self) -> None:
        self.sent.append(threading.current_thread().name)

    def ring(self) -> None:
        self.sent.append("another")


class Setup:
    def __init__(self, permits: int = 1000) -> None:
        self.made: list[Books] = []
        self.results: list[tuple[Operation, Result]] = []
        self.replies = Replies()
        self.follows: Callable[[Operation], list[Operation]] = lambda _: []
        self.executor = LedgerExecutor(lambda: self._make(permits), self._on_result, self.replies, NoLog())

    def _make(self, permits: int) -> Books:
        self.made.append(Books(permits))
        return self.made[-1]

    def _on_result(self, operation: Operation, result: Result) -> None:
        for following in self.follows(operation):
            self.executor.put(following)
        self.results.append((operation, result))

    @property
    def books(self) -> Books:
        return self.made[-1]

    def wait_for(self, results: int) -> list[Operation]:
        wait_until(lambda: len(self.results) >= results, what=f"{results} results")
        return [operation for operation, _ in self.results]

    def wait_for_work(self, begun: int = 1) -> None:
        wait_until(lambda: self.made and len(self.books.performed) >= begun, what=f"{begun} under way")


@pytest.fixture
def gated() -> Iterator[Setup]:
    setup = Setup(permits=0)
    yield setup
    for books in setup.made:
        books.permits.release(1000)
    setup.executor.close()


@pytest.fixture
def free() -> Iterator[Setup]:
    setup = Setup()
    yield setup
    setup.executor.close()


# -- what waits for what -----------------------------------------------------------------------------------


def test_entries_come_one_at_a_time_in_order(gated: Setup) -> None:
    for operation in ENTRIES[:3]:
        gated.executor.put(operation)
    gated.wait_for_work()
    for written in range(1, 4):
        assert gated.books.operations() == ENTRIES[:written]
        gated.books.permits.release()
        gated.wait_for(written)
        if written < 3:
            gated.wait_for_work(written + 1)


def test_what_is_only_read_does_not_stand_in_the_way_of_an_entry(gated: Setup) -> None:
    gated.executor.put(sales(1))
    gated.wait_for_work()
    gated.executor.put(ENTRIES[0])
    gated.wait_for_work(2)
    gated.books.permits.release(2)
    assert set(gated.wait_for(2)) == {sales(1), ENTRIES[0]}


def test_a_market_without_a_trader_waits_for_nobodys_readings(gated: Setup) -> None:
    gated.executor.put(sales(1))
    gated.wait_for_work()
    for operation in (sales(2), LOOK_UP, Load()):
        gated.executor.put(operation)
    gated.books.permits.release(4)
    assert gated.wait_for(4) == [sales(1), Load(), sales(2), LOOK_UP]


# -- who writes an entry -----------------------------------------------------------------------------------


def _claim_and_write(executor: LedgerExecutor, entry: Append) -> None:
    assert executor.claim(entry)
    executor.carry_out(entry)


def test_an_entry_that_nothing_waits_before_is_claimed_and_nothing_else_is(gated: Setup) -> None:
    executor = gated.executor
    assert not executor.claim(sales(1))
    assert not executor.claim(Load())
    assert not executor.claim(changes(0))
    thread = threading.Thread(target=_claim_and_write, args=(executor, ENTRIES[0]), name="mine")
    thread.start()
    gated.wait_for_work()
    assert not executor.claim(ENTRIES[1])
    executor.put(ENTRIES[2])
    assert not executor.claim(ENTRIES[3])
    gated.books.permits.release(2)
    assert gated.wait_for(2) == [ENTRIES[0], ENTRIES[2]]
    assert [name for _, name in gated.books.performed] == ["mine", "appends"]
    thread.join()


def test_a_reading_under_way_does_not_keep_an_entry_from_being_claimed(gated: Setup) -> None:
    gated.executor.put(sales(1))
    gated.wait_for_work()
    assert gated.executor.claim(ENTRIES[0])


def test_an_entry_that_waits_is_not_overtaken(gated: Setup) -> None:
    gated.executor.put(ENTRIES[0])
    gated.wait_for_work()
    gated.executor.put(ENTRIES[1])
    gated.books.permits.release()
    gated.wait_for_work(2)
    assert not gated.executor.claim(ENTRIES[2])


def test_nothing_is_claimed_once_it_is_closed(free: Setup) -> None:
    free.executor.close()
    assert not free.executor.claim(ENTRIES[0])


class HoldsTheFirst(Books):
    """A ledger in which the thread of the first entry is held until the test lets it go."""

    def __init__(self) -> None:
        super().__init__(1000)
        self.held = threading.Event()

    def perform(self, operation: Operation) -> Result:
        is_first = not self.performed
        self.performed.append((operation, threading.current_thread().name))
        if is_first:
            self.held.wait(20)
        return Appended() if isinstance(operation, Append) else Done()


@pytest.mark.parametrize("claims", [True, False])
def test_an_entry_asked_for_again_is_written_by_another_thread_and_trade_goes_on(claims: bool) -> None:
    results: list[tuple[Operation, Result]] = []
    books, replies = HoldsTheFirst(), Replies()
    executor = LedgerExecutor(lambda: books, lambda *each: results.append(each), replies, NoLog())
    if claims:
        threading.Thread(target=_claim_and_write, args=(executor, ENTRIES[0]), daemon=True).start()
    else:
        executor.put(ENTRIES[0])
    wait_until(lambda: books.performed, what="the first entry under way")
    executor.put(ENTRIES[0])
    wait_until(lambda: len(results) == 1, what="its answer")
    for place in (1, 2):
        executor.put(ENTRIES[place])
        wait_until(lambda place=place: len(results) == place + 1, what="the next ones")  # type: ignore[misc]
    assert [operation for operation, _ in results] == ENTRIES[:3]
    books.held.set()
    wait_until(lambda: len(results) == 4, what="the first thread's late answer")
    executor.put(ENTRIES[3])
    wait_until(lambda: len(results) == 5, what="one more")
    assert [operation for operation, _ in books.performed] == [ENTRIES[0], *ENTRIES[:4]]
    executor.close()


def test_an_entry_that_waits_for_a_thread_held_while_it_answers_is_given_to_another() -> None:
    results: list[tuple[Operation, Result]] = []
    held, replies = threading.Event(), Replies()
    replies.hand_out = lambda: held.wait(20)  # type: ignore[method-assign, assignment]
    books = Books(1000)
    executor = LedgerExecutor(lambda: books, lambda *each: results.append(each), replies, NoLog())
    executor.put(ENTRIES[0])
    wait_until(lambda: len(results) == 1, what="the first answer")
    executor.put(ENTRIES[1])
    executor.put(ENTRIES[1])
    wait_until(lambda: len(results) == 2, what="the second one, by another thread")
    held.set()
    executor.close()
    assert books.operations() == ENTRIES[:2]


# -- answers -----------------------------------------------------------------------------------------------


def test_answers_are_sent_by_the_thread_that_brought_the_result(gated: Setup) -> None:
    gated.executor.put(ENTRIES[0])
    gated.wait_for_work()
    gated.books.permits.release()
    wait_until(lambda: gated.replies.sent == ["appends"], what="the answers sent")


def test_answers_to_one_entry_do_not_wait_for_the_next(gated: Setup) -> None:
    gated.executor.put(ENTRIES[0])
    gated.wait_for_work()
    gated.executor.put(ENTRIES[1])
    gated.books.permits.release()
    wait_until(lambda: gated.replies.sent == ["another"], what="the answers sent")
    gated.wait_for_work(2)
    assert len(gated.results) == 1


def test_who_wrote_its_own_entry_sends_the_answers_itself(free: Setup) -> None:
    assert free.executor.claim(ENTRIES[0])
    free.executor.carry_out(ENTRIES[0])
    assert free.results == [(ENTRIES[0], Appended())]
    assert free.replies.sent == [threading.current_thread().name]


# -- the books ---------------------------------------------------------------------------------------------


def test_changes_are_handed_on_in_the_order_of_the_log_and_nobody_hears_of_it(free: Setup) -> None:
    free.follows = lambda operation: [changes(operation.place)] if isinstance(operation, Append) else []
    for operation in ENTRIES:
        free.executor.put(operation)
    assert free.wait_for(6) == ENTRIES
    wait_until(lambda: len(free.books.performed) == 12, what="the changes handed on")
    made = [operation for operation in free.books.operations() if isinstance(operation, MakeBooks)]
    assert made == [changes(place) for place in range(6)]
    assert len(free.results) == 6


def test_what_a_new_trader_found_in_the_log_is_made_before_its_own_entry(free: Setup) -> None:
    found = [changes(place) for place in range(3)]
    free.follows = lambda _: list(found)
    assert free.executor.claim(ENTRIES[3])
    free.executor.carry_out(ENTRIES[3])
    assert free.books.operations() == [ENTRIES[3], *found]
    assert {name for _, name in free.books.performed} == {threading.current_thread().name}


# -- trouble, and the end ----------------------------------------------------------------------------------


def test_a_ledger_that_is_not_fit_is_away(free: Setup) -> None:
    free.executor.put(ENTRIES[0])
    free.wait_for(1)
    free.books.broken = True
    free.executor.put(ENTRIES[1])
    free.wait_for(2)
    assert free.results[1][1] == LedgerAway(why="not fit")
    free.books.broken = False
    free.executor.put(ENTRIES[1])
    free.wait_for(3)
    assert free.results[2][1] == Appended()


def test_the_ledger_is_made_when_needed_and_closed_when_out_of_office(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_executor, "REST_AFTER_S", 0.02)
    setup = Setup()
    assert not setup.made
    setup.executor.hold(True)
    setup.executor.put(LOOK_UP)
    setup.wait_for(1)
    setup.executor.put(LOOK_UP)
    setup.wait_for(2)
    assert len(setup.made) == 1
    assert not setup.books.closed
    setup.executor.hold(False)
    setup.executor.put(LOOK_UP)
    setup.wait_for(3)
    wait_until(lambda: setup.books.closed, what="the ledger closed")
    made = len(setup.made)
    setup.executor.put(LOOK_UP)
    setup.wait_for(4)
    assert len(setup.made) == made + 1
    setup.executor.close()
    assert setup.books.closed


def test_closing_waits_for_what_is_under_way_but_not_for_ever() -> None:
    setup = Setup(permits=0)
    setup.executor.put(ENTRIES[0])
    setup.wait_for_work()
    setup.executor.close(timeout_s=0.05)
    assert not setup.books.closed
    setup.books.permits.release(1)
    setup.wait_for(1)
