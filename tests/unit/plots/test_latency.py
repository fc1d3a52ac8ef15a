"""Percentiles, bins and limits: what the figures say in numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plots.results.latency import log_bins, log_limits, shown, summarize

LATENCIES = st.lists(st.floats(min_value=1e-3, max_value=1e6), min_size=1, max_size=300)


def test_a_percentile_is_a_latency_that_occurred() -> None:
    summary = summarize([float(ms) for ms in range(1, 1001)])
    assert (summary.count, summary.p50, summary.p95, summary.p99, summary.max) == (1000, 500, 950, 990, 1000)
    assert summary.mean == pytest.approx(500.5)


@given(LATENCIES)
def test_percentiles_rise_and_are_among_what_was_measured(values: list[float]) -> None:
    summary = summarize(values)
    assert summary.p50 <= summary.p95 <= summary.p99 <= summary.max
    assert {summary.p50, summary.p95, summary.p99, summary.max} <= set(values)
    # By definition, counted by hand, it is the smallest value that at least so many do not exceed.
    ordered = sorted(values)
    for percent, value in ((50, summary.p50), (95, summary.p95), (99, summary.p99)):
        enough = [v for i, v in enumerate(ordered, 1) if 100 * i >= percent * len(ordered)]
        assert value == enough[0]


def test_nothing_measured_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        summarize([])


@given(LATENCIES, LATENCIES)
def test_every_latency_has_a_bin(one: list[float], other: list[float]) -> None:
    limits = log_limits(one, other)
    counts, edges = np.histogram([*one, *other], bins=log_bins(limits))
    assert counts.sum() == len(one) + len(other)
    assert (np.diff(edges) > 0).all()


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.4821, "0.482"), (2.414, "2.41"), (31.66, "31.7"), (412.4, "412"), (12345.6, "12346"), (0.0, "0")],
)
def test_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert shown(value) == text
