"""What a town's life costs: its start, its size, its elections and failovers, and a long run."""

from __future__ import annotations

from typing import Literal

import msgspec

from plots.results.latency import Summary

Kind = Literal["killed", "stopped", "resigned"]

SLOWING = 0.1
"""The old town is no slower than a fresh one if its rate is within this part of it."""


class Failover(msgspec.Struct, frozen=True, kw_only=True):
    """All failovers of one kind in towns of `peers` (at the first event; each killed peer is one less)."""

    kind: Kind
    peers: int
    pauses_ms: list[float]
    summary: Summary


class Elections(msgspec.Struct, frozen=True, kw_only=True):
    """All elections for one reason in a town of `peers`."""

    peers: int
    reason: str
    took_ms: Summary
    counted: int  # The number of elections whose record is complete: only these say how many messages one cost.
    messages: float | None  # The mean, None where no record is complete.
    messages_max: int | None


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """Starts of towns of `peers`, from the command to the first sale recorded."""

    peers: int
    seconds: list[float]
    summary_ms: Summary


class Footprint(msgspec.Struct, frozen=True, kw_only=True):
    """What an idle town of `peers` takes. PSS is a peer's own memory and its part of what it shares."""

    peers: int
    pss_mb: float  # The mean of all peers.
    pss_max_mb: float
    idle_cores: float  # All peers together, in cores.
    idle_cores_a_peer: float


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """The trader's memory, its own (USS) and with its share of what it shares (PSS); of mongod RSS, for information.
    The processor time that each has used so far."""

    trader: str
    uss_mb: float
    pss_mb: float
    mongod_mb: float
    trader_cpu_s: float
    mongod_cpu_s: float


class Tenth(msgspec.Struct, frozen=True, kw_only=True):
    """A tenth of the purchases; the processor time is that of one purchase."""

    purchases: int
    per_s: float
    latency_ms: Summary
    trader_cpu_ms: float
    mongod_cpu_ms: float
    after: Look

    @property
    def cpu_ms(self) -> float:
        """Processor time of a purchase, trader and mongod together."""
        return self.trader_cpu_ms + self.mongod_cpu_ms


class LongRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `before`: after the customers' first few purchases."""

    peers: int
    customers: int
    purchases: int
    before: Look
    tenths: list[Tenth]
    last_over_first: float  # The rate of the last tenth over that of the first.
    # The same ratio of the processor time of a purchase, trader and mongod together.
    last_over_first_cpu: float
    peak_uss_mb: float
    # The growth of the trader's USS from the end of the first tenth to the end of the last.
    growth_mb: float
    peak_growth_mb: float  # The growth of the trader's USS from before the first tenth to its peak.
    bound_mb: float
    traders: int  # With more than one, the memory is not that of one process.
    old_per_s: float  # The rate of the old town, in turns with a fresh one.
    fresh_per_s: float
    old_over_fresh: float  # The median of the turns' ratios.
