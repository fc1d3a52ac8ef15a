"""The figure of the sequential experiment: latency against request number, without and with elections.

All conditions share their axes, so that they compare at a glance; the latency axis is logarithmic because a
purchase takes a few milliseconds and one that waits for an election a hundred times that, and both matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from plots.draw import style
from plots.draw.axes import log_ms, note
from plots.draw.experiments.caption import wrapped
from plots.results.experiments.record import read_plan, read_record
from plots.results.experiments.sequential import (
    THEIR_MARKET,
    THEIR_MEAN_MS,
    Course,
    SequentialPlan,
    read_courses,
)
from plots.results.latency import Summary, Values, log_bins, log_limits, shown
from plots.results.samples import latencies

from matplotlib import pyplot as plt  # isort: skip - after the style has chosen how to draw
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator


def draw(folder: Path) -> Figure:
    """Returns the figure of the experiment in `folder`: one market in detail, or several side by side.

    SettingsError if there is no such experiment.
    """
    plan, courses = read_plan(folder, SequentialPlan), read_courses(folder)
    if len(plan.markets) > 1:
        return side_by_side(plan, courses, read_record(folder).conditions)
    sets = [np.asarray(latencies(course.samples), dtype=np.float64) for course in courses]
    limits = _limits(courses)
    figure, grid = plt.subplots(
        len(courses),
        2,
        figsize=(style.PAGE_WIDTH, 2.05 * len(courses) + 1.05),
        width_ratios=(3.6, 1.0),
        sharex="col",
        sharey=True,
        squeeze=False,
        layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.05),
    )
    for row, course, values in zip(grid, courses, sets, strict=True):
        draw_course(row[0], course, values)
        _draw_histogram(row[1], values, course.summary, log_bins(limits))
        row[0].set_title(course.condition.title, pad=4)
    _label(grid, limits)
    _write_caption(figure, courses, [_note(plan), read_record(folder).conditions])
    return figure


def _limits(courses: Sequence[Course]) -> tuple[float, float]:
    """Of the axis of latency; what the earlier system took fits on it too."""
    theirs = [[THEIR_MEAN_MS] for course in courses if course.condition.market == THEIR_MARKET]
    return log_limits(*(latencies(course.samples) for course in courses), *theirs)


def _note(plan: SequentialPlan) -> str:
    return (
        f"{plan.purchases:,} purchases in each row, one after another, by one customer; {plan.peers} peers in the "
        f"market {plan.markets[0]}, all on one machine. Each is a durable entry. Both rows have the same axes."
    )


def draw_course(axes: Axes, course: Course, values: Values) -> None:
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
            label="met an election",
            zorder=4,
        )
    summary = course.summary
    for value, line, name in ((summary.p50, "-", "median"), (summary.p99, "--", "p99")):
        axes.axhline(value, color=style.INK, linewidth=0.9, linestyle=line, label=name, zorder=3)
    if course.condition.market == THEIR_MARKET and not course.condition.resign_after:
        label = f"mean of the earlier system, {THEIR_MEAN_MS:.2f} ms"
        axes.axhline(THEIR_MEAN_MS, color=style.THEIRS, linewidth=1.1, linestyle=":", label=label, zorder=3)
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
    log_ms(first, limits, vertical=True)
    first.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:,.0f}"))
    for row in grid:
        row[0].set_ylabel("latency (ms)")
    grid[-1][0].set_xlabel("request number")
    grid[-1][1].set_xlabel("purchases (log)")


def _write_caption(figure: Figure, courses: Sequence[Course], notes: Sequence[str]) -> None:
    lines = [f"{course.condition.title}: {course.summary.sentence()}." for course in courses]
    figure.legend(*_legend(figure), loc="outside upper left", ncols=5, columnspacing=1.4, handletextpad=0.4)
    note(figure, "\n".join([*lines, wrapped(notes)]))


def _legend(figure: Figure) -> tuple[list[Artist], list[str]]:
    """All that has a label in any panel, once."""
    found: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)


def side_by_side(plan: SequentialPlan, courses: Sequence[Course], conditions: str) -> Figure:
    """A column for each market, a row for each condition, all with the same axes."""
    limits = _limits(courses)
    figure, grid = plt.subplots(
        2,
        len(plan.markets),
        figsize=(style.PAGE_WIDTH, 5.2),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout=ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.05),
    )
    for number, course in enumerate(courses):
        axes = grid[number % 2][number // 2]
        draw_course(axes, course, np.asarray(latencies(course.samples), dtype=np.float64))
        axes.set_title(f"{course.condition.market}: median {shown(course.summary.p50)} ms", pad=4)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:,.0f}"))
    for row, course in zip(grid, courses, strict=False):
        axes = row[0]
        log_ms(axes, limits, vertical=True)
        axes.set_ylabel(f"{course.condition.title.replace(' every', chr(10) + 'every')}\nlatency (ms)")
    for axes in grid[-1]:
        axes.set_xlabel("request number")
    lines = [
        f"{course.condition.market}, {course.condition.title[0].lower()}{course.condition.title[1:]}: "
        f"{course.summary.sentence()}."
        for course in courses
    ]
    figure.legend(*_legend(figure), loc="outside upper left", ncols=5, columnspacing=1.4, handletextpad=0.4)
    how = f"{plan.purchases:,} purchases in each panel, one after another, by one customer; {plan.peers} peers."
    note(figure, "\n".join([*lines, wrapped([how, conditions])]))
    return figure
