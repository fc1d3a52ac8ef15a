"""Sums latencies up: percentiles, the bins of a histogram, the limits of an axis.

A percentile here is a latency that really occurred (the smallest that at least so many of all do not exceed), never
one between two that did: at 1000 requests the difference shows at the tail, and the tail is what one looks for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec
import numpy as np

Values: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a set of latencies comes to, in milliseconds."""

    count: int
    mean: float
    p50: float
    p95: float
    p99: float
    max: float

    def sentence(self) -> str:
        """One line for a caption."""
        figures = ((self.p50, "median"), (self.mean, "mean"), (self.p95, "p95"), (self.p99, "p99"), (self.max, "max"))
        return ", ".join(f"{name} {shown(value)}" for value, name in figures) + " ms"


def summarize(latencies_ms: Sequence[float] | Values) -> Summary:
    """Sums up at least one latency. ValueError for none."""
    values = np.asarray(latencies_ms, dtype=np.float64)
    if values.size == 0:
        raise ValueError("nothing was measured, so there is nothing to sum up")
    p50, p95, p99 = (float(v) for v in np.percentile(values, [50, 95, 99], method="inverted_cdf"))
    return Summary(
        count=int(values.size), mean=float(values.mean()), p50=p50, p95=p95, p99=p99, max=float(values.max())
    )


def shown(value_ms: float) -> str:
    """Three significant digits, without an exponent: 0.482, 2.41, 31.7, 412."""
    if value_ms <= 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(value_ms)))
    return f"{value_ms:.{digits}f}"


def log_limits(*sets_ms: Sequence[float] | Values, room: float = 0.06) -> tuple[float, float]:
    """Returns the limits of a logarithmic axis that all of `sets_ms` fit on, with some room at both ends."""
    values = np.concatenate([np.asarray(each, dtype=np.float64) for each in sets_ms])
    low, high = math.log10(float(values.min())), math.log10(float(values.max()))
    margin = max(high - low, 0.3) * room
    return 10 ** (low - margin), 10 ** (high + margin)


def log_bins(limits_ms: tuple[float, float], count: int = 48) -> Values:
    """Returns the edges of `count` bins that look equally wide on a logarithmic axis."""
    return np.geomspace(*limits_ms, count + 1)
