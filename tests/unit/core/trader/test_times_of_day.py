"""The times that a term writes down, whatever becomes of the clock on the wall."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from peers.core.context import Context
from peers.core.inputs import Now
from peers.core.trader.times_of_day import TimesOfDay
from tests.unit.core.words import T0_MS, peer, rules

YEAR_MS = 365 * 24 * 3600 * 1000
steps = st.lists(
    st.tuples(st.floats(0.0, 100.0), st.sampled_from([0, 0, 1, -950, 30_000, -3_600_000, YEAR_MS, -YEAR_MS])),
    max_size=20,
)


@given(steps)
def test_they_never_go_back_and_go_on_at_least_as_fast_as_time_does(steps: list[tuple[float, int]]) -> None:
    ctx = Context(peer(0), rules(), Random(1))
    mono_s, off_ms, told = 5.0, 0, []
    ctx.now = Now(mono_s=mono_s, wall_ms=T0_MS + 5000)
    times = TimesOfDay(ctx)
    for passes_s, jump_ms in steps:
        mono_s, off_ms = mono_s + passes_s, off_ms + jump_ms
        ctx.now = Now(mono_s=mono_s, wall_ms=T0_MS + off_ms + int(mono_s * 1000))
        told.append((mono_s, times.now_ms()))
        assert told[-1][1] >= ctx.now.wall_ms
    for (before_s, before_ms), (after_s, after_ms) in pairwise(told):
        assert after_ms >= before_ms
        assert after_ms - before_ms >= (after_s - before_s) * 1000 - 2


def test_the_next_term_begins_with_the_clock_on_the_wall() -> None:
    ctx = Context(peer(0), rules(), Random(1))
    ctx.now = Now(mono_s=5.0, wall_ms=T0_MS + YEAR_MS)
    assert TimesOfDay(ctx).now_ms() == T0_MS + YEAR_MS
    ctx.now = Now(mono_s=6.0, wall_ms=T0_MS)
    assert TimesOfDay(ctx).now_ms() == T0_MS
