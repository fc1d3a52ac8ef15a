"""When the requests of an open loop are due.

In a closed loop a customer that waits asks for nothing, so a stall of the market hides most of what it would have
cost. In an open loop requests are due by a schedule made beforehand, and latency counts from there.
"""

from __future__ import annotations

import numpy as np

from plots.results.latency import Values


def arrivals(rate: float, duration_s: float, seed: int) -> Values:
    """Returns the seconds at which requests are due: a Poisson process of `rate` a second, lowest first.

    ValueError unless rate and duration are above 0.
    """
    if rate <= 0 or duration_s <= 0:
        raise ValueError("a schedule needs a rate and a duration above 0")
    rng = np.random.default_rng(seed)
    count = int(rng.poisson(rate * duration_s))
    return np.sort(rng.uniform(0.0, duration_s, count))


def deal(due_s: Values, customers: int) -> list[Values]:
    """Deals a schedule out to customers, one after the other, so that each has time between two of its own.

    ValueError if there is nobody to deal to.
    """
    if customers < 1:
        raise ValueError("nobody to deal to")
    return [due_s[first::customers] for first in range(customers)]
