"""The figure of the sequential experiment: latency against request number, without and with elections.

Both conditions share their axes, so that they compare at a glance; the latency axis is logarithmic because a
purchase takes a few milliseconds and one that waits for an election a hundred times that, and both matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from plots.draw import style
from plots.results.latency import Summary, Values, log_bins, log_limits, shown, summarize
from plots.results.samples import Sample, latencies, read_samples
from plots.results.sequential import FIGURE, Setup, plans, read_setup

from matplotlib import pyplot as plt  # isort: skip - after the style has chosen how to draw
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

_TICKS = [m * 10.0**e for e in range(-2, 5) for m in (1, 2, 5)]


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """One run, and what to call it."""

    title: str
    samples: Sequence[Sample]


def draw_saved(folder: Path) -> list[Path]:
    """Draws the experiment in `folder`; returns where the figure is. SettingsError if there is no such experiment."""
    setup = read_setup(folder)
    courses = [Course(title=each.title, samples=read_samples(folder / each.csv)) for each in plans(setup)]
    _draw(courses, folder / FIGURE, _note(setup))
    return [folder / FIGURE]


def _note(setup: Setup) -> str:
    return (
        f"{setup.purchases:,} purchases in each row, one after another, by one customer; {setup.peers} peers on a "
        "random graph, all on one machine.\nEach purchase is a durable entry. Both rows have the same axes."
    )


def _draw(courses: Sequence[Course], out: Path, note: str) -> None:
    """Draws the conditions one below the other into `out`; `note` (where, how many peers) ends the caption."""
    sets = [np.asarray(latencies(course.samples), dtype=np.float64) for course in courses]
    summaries = [summarize(values) for values in sets]
    limits = log_limits(*sets)
    with style.house_style():
        figure, grid = plt.subplots(
            len(courses),
            2,
            figsize=(style.PAGE_WIDTH, 2.05 * len(courses) + 0.95),
            width_ratios=(3.6, 1.0),
            sharex="col",
            sharey=True,
            squeeze=False,
            layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.05),
        )
        for row, course, values, summary in zip(grid, courses, sets, summaries, strict=True):
            _draw_course(row[0], course, values, summary)
            _draw_histogram(row[1], values, summary, log_bins(limits))
        _label(grid, limits)
        _write_caption(figure, courses, summaries, note)
        style.save(figure, out)


def _draw_course(axes: Axes, course: Course, values: Values, summary: Summary) -> None:
    """Latency against request number."""
    numbers = np.asarray([sample.iteration for sample in course.samples])
    elected = np.asarray([sample.election for sample in course.samples], dtype=bool)
    for number in numbers[elected]:
        axes.axvline(number, color=style.VERMILION, linewidth=0.7, alpha=0.35, zorder=1)
    axes.plot(
        numbers[~elected],
        values[~elected],
        linestyle="",
        marker="o",
        markersize=2.4,
        markeredgewidth=0,
        color=style.BLUE,
        alpha=0.55,
        label="purchase",
        zorder=2,
    )
    if elected.any():
        axes.plot(
            numbers[elected],
            values[elected],
            linestyle="",
            marker="D",
            markersize=4.6,
            markeredgecolor="white",
            markeredgewidth=0.6,
            color=style.VERMILION,
            label="purchase that met an election",
            zorder=4,
        )
    for value, line, name in ((summary.p50, "-", "median"), (summary.p99, "--", "p99")):
        axes.axhline(value, color=style.INK, linewidth=0.9, linestyle=line, label=name, zorder=3)
    axes.set_title(course.title, pad=4)
    axes.margins(x=0.015)


def _draw_histogram(axes: Axes, values: Values, summary: Summary, bins: Values) -> None:
    """How many purchases took how long, on the same axis of latency."""
    axes.hist(values, bins=list(bins), orientation="horizontal", color=style.BLUE, alpha=0.8, linewidth=0)
    # One word stands above its line and the other below, so that they never meet, however close the lines are.
    for value, line, name, side in ((summary.p50, "-", "median", "top"), (summary.p99, "--", "p99", "bottom")):
        axes.axhline(value, color=style.INK, linewidth=0.9, linestyle=line)
        axes.annotate(
            f"{name}\n{shown(value)} ms",
            (1.0, value),
            xycoords=("axes fraction", "data"),
            xytext=(3, 3 if side == "top" else -3),
            textcoords="offset points",
            va=side,
            fontsize=7.5,
        )
    axes.set_xscale("log")
    axes.set_xlim(left=0.7)
    axes.xaxis.set_major_locator(FixedLocator([1, 10, 100, 1000, 10_000]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="y", length=0)


def _label(grid: np.ndarray[tuple[int, int], np.dtype[np.object_]], limits: tuple[float, float]) -> None:
    """Scales and labels; what a column shares stands below it once."""
    first = grid[0][0]
    first.set_yscale("log")
    first.set_ylim(*limits)
    first.yaxis.set_major_locator(FixedLocator([tick for tick in _TICKS if limits[0] <= tick <= limits[1]]))
    first.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}"))
    first.yaxis.set_minor_locator(NullLocator())
    first.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:,.0f}"))
    for row in grid:
        row[0].set_ylabel("latency (ms)")
    grid[-1][0].set_xlabel("request number")
    grid[-1][1].set_xlabel("purchases (log)")


def _write_caption(figure: Figure, courses: Sequence[Course], summaries: Sequence[Summary], note: str) -> None:
    lines = [f"{course.title}: {summary.sentence()}." for course, summary in zip(courses, summaries, strict=True)]
    handles, labels = figure.axes[2 * (len(courses) - 1)].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=4, columnspacing=1.6, handletextpad=0.5)
    figure.supxlabel("\n".join([*lines, note]), x=0.012, ha="left", fontsize=8, color=style.INK, linespacing=1.45)
