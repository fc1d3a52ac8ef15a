"""What stands below the figure of an experiment: what it found, and under which conditions."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from matplotlib.figure import Figure

from plots.draw.axes import note
from plots.results.experiments.kind import Findings
from plots.results.experiments.record import Record

_WIDTH = 118
"""So many characters fit on a line of a figure as wide as a page."""


def caption(figure: Figure, findings: Findings, record: Record) -> None:
    """Says what was found, in sentences, and then where and when."""
    note(figure, f"{wrapped(findings.sentences)}\n{wrapped([record.conditions])}")


def wrapped(sentences: Iterable[str]) -> str:
    """Breaks sentences, one after another, into lines."""
    return "\n".join(textwrap.wrap(" ".join(sentences), _WIDTH))
