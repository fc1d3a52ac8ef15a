"""The timings of a chaos town, drawn from its seed out of wide ranges, after FoundationDB's "buggify" (Zhou, 2021).

Usual timings are those that all else is tried with; what only goes wrong where one wait is longer than another comes
up when the waits are mixed anew. Each has an even chance to stay as it is.
"""

from __future__ import annotations

from random import Random

_CHANCE = 0.5

_RANGES: dict[str, tuple[float, float]] = {
    "timing.heartbeat_interval_s": (0.1, 0.33),
    "timing.suspect_s": (0.8, 2.5),
    "timing.election_s": (0.05, 0.4),
    "timing.clock_gap_s": (0.05, 1.0),
    "timing.retry_s": (0.02, 0.4),
    "timing.retry_max_s": (0.5, 2.0),
    "timing.call_timeout_s": (1.0, 4.0),
    "timing.queue_after_s": (0.001, 0.3),
    "timing.group_commit_delay_s": (0.0005, 0.02),
    "timing.ledger_patience_s": (0.6, 3.0),
}
"""The settings in seconds. Any mixture of them fits together (`TimingSettings`)."""

_COUNTS: dict[str, tuple[int, int]] = {
    "timing.max_batch": (4, 256),
    "timing.max_pending": (64, 2000),
    "ledger.keep_entries": (1000, 5000),
}


def draw_tuning(seed: int) -> tuple[str, ...]:
    """Returns the changes of the town's settings that a seed stands for, as `--set` takes them."""
    rng = Random(f"tuning/{seed}")
    seconds = [f"{name}={_draw(rng, *ends):.3g}" for name, ends in _RANGES.items() if rng.random() < _CHANCE]
    counts = [f"{name}={round(_draw(rng, *ends))}" for name, ends in _COUNTS.items() if rng.random() < _CHANCE]
    return (*seconds, *counts)


def _draw(rng: Random, low: float, high: float) -> float:
    """Draws so that small and large ones come up as often."""
    return float(low * (high / low) ** rng.random())
