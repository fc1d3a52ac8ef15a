"""The bench's figures."""

from __future__ import annotations

from pathlib import Path

from plots.bench.latency import Course
from plots.bench.report import Report


def draw_all(report: Report, courses: list[Course], out: Path) -> list[Path]:
    return []
