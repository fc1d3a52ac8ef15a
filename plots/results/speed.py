"""How fast: latencies, rates, and how far the books are behind."""

from __future__ import annotations

import msgspec

from plots.results.latency import Summary

ALIKE = 1.25
"""A purchase costs the same in all sizes if it costs at most so many times as much as in the smallest."""


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """What a number of customers reached together, over all turns."""

    customers: int
    per_s: float
    worst_turn_per_s: float
    best_turn_per_s: float
    latency_ms: Summary


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """What one after another took in a town of `peers`; `floor` is an echo and a durable insert together."""

    peers: int
    echo_ms: Summary
    insert_ms: Summary
    floor_ms: Summary
    purchase_ms: Summary
    p50_over_floor: float
    p99_over_floor_p50: float


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """The latencies themselves, for the figure."""

    peers: int
    floor_ms: list[float]
    purchase_ms: list[float]


class Throughput(msgspec.Struct, frozen=True, kw_only=True):
    """Purchases and echoes with the same numbers of customers."""

    purchases: tuple[Rate, ...]
    echoes: tuple[Rate, ...]

    @property
    def highest(self) -> float:
        """The highest rate of purchases."""
        return max(rate.per_s for rate in self.purchases)


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """An open loop at a part of the highest rate; latency counts from when a request was due."""

    part: float
    offered_per_s: float
    answered_per_s: float
    customers: int
    latency_ms: Summary


class Lag(msgspec.Struct, frozen=True, kw_only=True):
    """How late the books of each entry were, with so many customers; and how many decisions an entry held."""

    customers: int
    behind_ms: Summary
    decisions_an_entry: float


class Typical(msgspec.Struct, frozen=True, kw_only=True):
    """Of each figure the median over all turns, for one turn in which the machine did something else spoils a sum."""

    p50: float
    mean: float
    p99: float


class Sized(msgspec.Struct, frozen=True, kw_only=True):
    """Towns of `peers`: milliseconds; those over the smallest size's; the same turn by turn; all turns together."""

    peers: int
    customers: int
    offered_per_s: float
    answered_per_s: float
    typical_ms: Typical
    ratio: Typical
    turn_ratios: list[Typical]
    latency_ms: Summary


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """The latencies themselves by turn, for the figure."""

    peers: int
    turns_ms: list[list[float]]
