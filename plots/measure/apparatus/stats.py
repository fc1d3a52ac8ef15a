"""Sums up what many customers measured, and compares it with the floor."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from plots.results.latency import Values, summarize
from plots.results.speed import Rate


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of a crowd: latencies in ms of everything answered in `took_s`."""

    took_s: float
    latencies_ms: Values

    @property
    def per_s(self) -> float:
        """How many were answered a second."""
        return self.latencies_ms.size / self.took_s


def floor_of(echo_ms: Sequence[float], insert_ms: Sequence[float]) -> Values:
    """Returns what purchases would have taken at the least: one echo and one durable insert each, as measured.

    ValueError if there are not as many of both.
    """
    if len(echo_ms) != len(insert_ms):
        raise ValueError("as many echoes as inserts make a floor")
    return np.asarray(echo_ms, dtype=np.float64) + np.asarray(insert_ms, dtype=np.float64)


def rate_of(customers: int, turns: Sequence[Turn]) -> Rate:
    """Sums up the turns of one crowd."""
    rates = [turn.per_s for turn in turns]
    answered = sum(turn.latencies_ms.size for turn in turns)
    return Rate(
        customers=customers,
        per_s=answered / sum(turn.took_s for turn in turns),
        worst_turn_per_s=min(rates),
        best_turn_per_s=max(rates),
        latency_ms=summarize(np.concatenate([turn.latencies_ms for turn in turns])),
    )
