"""The figure of the experiment `response`: each request of each buyer, and when the post of trader was empty."""

from __future__ import annotations

from pathlib import Path

from plots.draw import style
from plots.draw.axes import log_ms
from plots.draw.experiments.caption import caption
from plots.results.experiments.record import read_record
from plots.results.experiments.response import Course, find, read_course
from plots.results.latency import log_limits

from matplotlib import pyplot as plt  # isort: skip - after the style has chosen how to draw
from matplotlib.axes import Axes
from matplotlib.figure import Figure


def draw(folder: Path) -> Figure:
    """Returns the figure of the experiment in `folder`: a panel for each buyer. SettingsError if there is none."""
    course = read_course(folder)
    buyers = sorted({request.buyer for request in course.requests})
    limits = log_limits([request.latency_ms for request in course.requests])
    figure, column = plt.subplots(
        len(buyers),
        1,
        figsize=(style.PAGE_WIDTH, 1.35 * len(buyers) + 1.3),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, buyer in zip(column[:, 0], buyers, strict=True):
        _draw_buyer(axes, course, buyer)
        axes.set_title(buyer, pad=3)
        axes.set_ylabel("ms (log)")
    log_ms(column[0, 0], limits, vertical=True)
    column[-1, 0].set_xlabel("when the request was due (s)")
    figure.legend(*column[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
    caption(figure, find(folder), read_record(folder))
    return figure


def _draw_buyer(axes: Axes, course: Course, buyer: str) -> None:
    for number, change in enumerate(course.changes):
        label = "the post is empty" if number == 0 else None
        end_s = change.at_s + change.took_ms / 1000
        axes.axvspan(change.at_s, end_s, color=style.VERMILION, alpha=0.35, linewidth=0.7, label=label)
    mine = [request for request in course.requests if request.buyer == buyer]
    for met, colour, marker, size, label in (
        (False, style.BLUE, "o", 2.6, "request"),
        (True, style.VERMILION, "D", 4.4, "request that met an election"),
    ):
        chosen = [request for request in mine if course.met(request) is met]
        axes.plot(
            [request.due_s for request in chosen],
            [request.latency_ms for request in chosen],
            linestyle="",
            marker=marker,
            markersize=size,
            markeredgecolor="white",
            markeredgewidth=0.5 if met else 0,
            color=colour,
            alpha=1.0 if met else 0.6,
            label=label,
        )
    axes.margins(x=0.012)
