"""The breaker opens only after a silence that has lasted, lets one try at a time through then, and closes with the
first answer."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from peers.customer.breaker import CircuitBreaker, CircuitState

FAILURES, SILENCE_S, OPEN_S = 3, 2.0, 1.0


def a_breaker() -> CircuitBreaker:
    return CircuitBreaker(failures=FAILURES, silence_s=SILENCE_S, open_s=OPEN_S)


def opened() -> CircuitBreaker:
    breaker = a_breaker()
    for at_s in (0.0, 1.0, 2.0):
        breaker.failed(at_s)
    assert breaker.state is CircuitState.OPEN
    return breaker


def test_many_failures_at_once_do_not_open_it() -> None:
    breaker = a_breaker()
    for number in range(100):
        breaker.failed(number * 0.01)
    assert breaker.state is CircuitState.CLOSED
    assert breaker.admit(1.0) == 0.0


def test_few_failures_over_a_long_time_do_not_either() -> None:
    breaker = a_breaker()
    breaker.failed(0.0)
    breaker.failed(100.0)
    assert breaker.state is CircuitState.CLOSED


def test_it_says_when_it_tries_again_and_lets_one_through_then() -> None:
    breaker = opened()
    assert breaker.admit(2.25) == 0.75
    assert breaker.admit(3.0) == 0.0
    assert breaker.state is CircuitState.HALF_OPEN
    assert breaker.admit(3.5) == 0.5


def test_an_answer_closes_it() -> None:
    breaker = opened()
    assert breaker.admit(3.0) == 0.0
    breaker.succeeded()
    assert breaker.state is CircuitState.CLOSED
    breaker.failed(4.0)
    assert breaker.admit(4.0) == 0.0


def test_a_try_in_vain_opens_it_again() -> None:
    breaker = opened()
    assert breaker.admit(3.0) == 0.0
    breaker.failed(3.5)
    assert breaker.state is CircuitState.OPEN
    assert breaker.admit(4.0) == 0.5


def test_one_who_never_says_how_it_went_does_not_block_the_others() -> None:
    breaker = opened()
    assert breaker.admit(3.0) == 0.0
    assert breaker.admit(4.0) == 0.0


class Breaker(RuleBasedStateMachine):
    """Held against a history of what happened: it never blocks without a lasting silence before."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = a_breaker()
        self.now_s = 0.0
        self.failures: list[float] = []
        self.admitted: list[float] = []

    @rule(ticks=st.integers(0, 192))
    def wait(self, ticks: int) -> None:
        # A tick is 1/64 s, so that all times are exact: x + 1.0 - x is not always 1.0 in between.
        self.now_s += ticks / 64

    @rule()
    def fails(self) -> None:
        self.failures.append(self.now_s)
        self.breaker.failed(self.now_s)

    @rule()
    def succeeds(self) -> None:
        self.failures.clear()
        self.admitted.clear()
        self.breaker.succeeded()

    @rule()
    def asks(self) -> None:
        was_closed = self.breaker.state is CircuitState.CLOSED
        blocked_s = self.breaker.admit(self.now_s)
        assert 0.0 <= blocked_s <= OPEN_S
        if blocked_s:
            assert not was_closed
        elif not was_closed:
            # One at a time: the one before was let through at least as long ago as it stays open.
            assert not self.admitted or self.now_s - self.admitted[-1] >= OPEN_S
            self.admitted.append(self.now_s)

    @invariant()
    def is_closed_without_a_lasting_silence(self) -> None:
        if len(self.failures) < FAILURES or self.failures[-1] - self.failures[0] < SILENCE_S:
            assert self.breaker.state is CircuitState.CLOSED


Breaker.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestBreaker = Breaker.TestCase
