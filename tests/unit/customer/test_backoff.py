"""Waits grow up to a bound, are drawn evenly below it, and never shorter than what the other side asks for."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from peers.customer.backoff import FIRST_S, LONGEST_S, Backoff


@given(st.integers(), st.floats(0.001, 1.0), st.floats(0.001, 10.0), st.lists(st.floats(0.0, 5.0), max_size=40))
def test_a_wait_is_under_its_ceiling_and_no_shorter_than_asked(
    seed: int, first_s: float, longest_s: float, asked: list[float]
) -> None:
    backoff = Backoff(Random(seed), first_s=first_s, longest_s=longest_s)
    for number, at_least_s in enumerate(asked):
        ceiling_s = min(first_s * 2**number, longest_s)
        assert at_least_s <= backoff.next_s(at_least_s) <= at_least_s + ceiling_s


def test_the_jitter_is_full() -> None:
    """Waits of many customers after the same failure lie all over the interval, not in a corner of it."""
    waits = sorted(Backoff(Random(seed)).next_s() for seed in range(1000))
    quarters = [sum(n * FIRST_S / 4 <= wait < (n + 1) * FIRST_S / 4 for wait in waits) for n in range(4)]
    assert sum(quarters) == 1000
    assert all(200 < quarter < 300 for quarter in quarters)


def test_it_grows_to_the_longest_and_no_further() -> None:
    backoff = Backoff(Random(1))
    waits = [backoff.next_s() for _ in range(200)]
    assert max(waits) <= LONGEST_S
    assert max(waits[20:]) > LONGEST_S * 0.9
    assert max(waits[:3]) <= 4 * FIRST_S
