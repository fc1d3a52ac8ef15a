"""What a planned fault's strength, from 0 to 1, stands for."""

from __future__ import annotations


def between(ends: tuple[float, float], strength: float | None) -> float:
    """Goes from one end to the other in equal factors, so that small figures come up as often as large ones. A fault
    without a strength is as weak as can be."""
    weak, strong = ends
    return float(weak * (strong / weak) ** (strength or 0.0))
