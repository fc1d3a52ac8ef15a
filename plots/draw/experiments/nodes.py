"""The figure of the experiment `nodes`: latency against request by number of peers, and the means beside theirs."""

from __future__ import annotations

from pathlib import Path

from plots.draw import style
from plots.draw.axes import counts, log_ms
from plots.draw.experiments.caption import caption
from plots.results.experiments.nodes import THEIRS_MS, find, read_sizes
from plots.results.experiments.record import read_record
from plots.results.latency import log_limits, shown, summarize

from matplotlib import pyplot as plt  # isort: skip - after the style has chosen how to draw
from matplotlib.figure import Figure

_COLOURS = (style.BLUE, style.ORANGE, style.GREEN, style.PURPLE, style.SKY, style.GREY)


def draw(folder: Path) -> Figure:
    """Returns the figure of the experiment in `folder`; SettingsError if there is none."""
    found = read_sizes(folder)
    sizes = list(found)
    figure, (course, means) = plt.subplots(
        1, 2, figsize=(style.PAGE_WIDTH, 3.9), width_ratios=(1.5, 1.0), layout="constrained"
    )
    for number, (peers, values) in enumerate(found.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        course.plot(
            range(1, len(values) + 1),
            values,
            linestyle="",
            marker="o",
            markersize=2.2,
            markeredgewidth=0,
            alpha=0.55,
            color=colour,
            label=f"{peers} peers",
        )
    course.set_title("each request, milliseconds (log)")
    course.set_xlabel("request number")
    low, high = log_limits(*found.values())
    log_ms(course, (low, 2.5 * high), vertical=True)  # The legend has its place above the points.
    course.legend(loc="upper right", ncols=3, markerscale=3)

    ours = [summarize(values).mean for values in found.values()]
    means.plot(sizes, ours, "o-", color=style.BLUE, markersize=5, label="mean")
    theirs = {peers: ms for peers, ms in THEIRS_MS.items() if peers in found}
    label = "mean of the earlier system"
    means.plot(list(theirs), list(theirs.values()), "D", color=style.THEIRS, markersize=5.5, label=label)
    labels = [(peers, value, shown(value)) for peers, value in zip(sizes, ours, strict=True)]
    for peers, value, text in (*labels, *((peers, value, f"{value:.2f}") for peers, value in theirs.items())):
        # The labels of 5 and of 6 peers would meet: the first stands to the left of its point.
        side = -1 if peers == 5 else 1
        means.annotate(
            text,
            (peers, value),
            xytext=(6 * side, 6),
            textcoords="offset points",
            ha="right" if side < 0 else "left",
            fontsize=7.5,
        )
    counts(means, sizes, "peers")
    means.set_xlim(sizes[0] / 1.6, sizes[-1] * 1.35)
    log_ms(means, log_limits(ours, list(theirs.values()) or ours, room=0.2), vertical=True)
    means.set_title("mean, milliseconds (log)")
    means.legend(loc="center right")
    caption(figure, find(folder), read_record(folder))
    return figure
