"""What the figures have in common: axes of milliseconds and of numbers, and the note below."""

from __future__ import annotations

from collections.abc import Sequence

from plots.draw import style

from matplotlib.axes import Axes  # isort: skip - after the style has chosen how to draw
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

_TICKS = [m * 10.0**e for e in range(-2, 6) for m in (1, 2, 5)]


def note(figure: Figure, text: str) -> None:
    """Says below a figure what was measured, and where."""
    figure.supxlabel(text, x=0.012, ha="left", fontsize=8, color=style.INK, linespacing=1.45)


def log_ms(axes: Axes, limits: tuple[float, float], *, vertical: bool = False) -> None:
    """Makes an axis one of milliseconds, by powers."""
    axis = axes.yaxis if vertical else axes.xaxis
    (axes.set_yscale if vertical else axes.set_xscale)("log")
    (axes.set_ylim if vertical else axes.set_xlim)(*limits)
    axis.set_major_locator(FixedLocator([tick for tick in _TICKS if limits[0] <= tick <= limits[1]]))
    axis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def counts(axes: Axes, numbers: Sequence[int], label: str) -> None:
    """Makes the horizontal axis one of a few numbers of something, by powers."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(numbers[0] / 1.25, numbers[-1] * 1.25)
    axes.xaxis.set_major_locator(FixedLocator(list(numbers)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(label)
