"""The figure of the experiment `algorithms`: how long trade stands still, and messages, by algorithm and size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from plots.draw import style
from plots.draw.axes import counts, log_ms
from plots.draw.experiments.caption import caption
from plots.results.experiments.algorithms import THEIR_FAILOVER_S, AlgorithmsPlan, Cost, find, read_costs
from plots.results.experiments.record import read_plan, read_record
from plots.results.latency import log_limits

from matplotlib import pyplot as plt  # isort: skip - after the style has chosen how to draw
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

_COLOURS = {"bully": style.BLUE, "ring": style.ORANGE, "echo": style.GREEN, "lease": style.GREY}


def draw(folder: Path) -> Figure:
    """Returns the figure of the experiment in `folder`; SettingsError if there is none."""
    plan, costs = read_plan(folder, AlgorithmsPlan), read_costs(folder)
    figure, (pauses, messages) = plt.subplots(1, 2, figsize=(style.PAGE_WIDTH, 4.0), layout="constrained")
    for name in plan.names:
        mine = [cost for cost in costs if cost.algorithm == name]
        colour = _COLOURS.get(name, style.PURPLE)
        _plot(pauses, mine, "pause_ms", "o-", colour, name)
        _plot(pauses, mine, "virtual_ms", "s--", colour, "")
        _plot(messages, mine, "messages", "o-", colour, name)
        _plot(messages, mine, "virtual_messages", "s--", colour, "")
    theirs_ms = [1000 * seconds for seconds in THEIR_FAILOVER_S]
    pauses.axhspan(*theirs_ms, color=style.THEIRS, alpha=0.2, linewidth=0)
    pauses.annotate(
        "an earlier system: {:g} to {:g} s".format(*THEIR_FAILOVER_S),
        (0.03, theirs_ms[0]),
        xycoords=("axes fraction", "data"),
        xytext=(0, -4),
        textcoords="offset points",
        va="top",
        fontsize=7.5,
        color=style.THEIRS,
    )
    every_ms = [ms for cost in costs for ms in (cost.pause_ms, cost.virtual_ms) if ms]
    log_ms(pauses, log_limits(every_ms, theirs_ms), vertical=True)
    pauses.set_title("milliseconds (log)")
    messages.set_yscale("log")
    messages.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:,.0f}"))
    messages.yaxis.set_minor_locator(NullLocator())
    messages.set_title("messages an election (log)")
    sizes = sorted({cost.peers for cost in costs})
    for axes in (pauses, messages):
        counts(axes, sizes, "peers")
    handles, labels = pauses.get_legend_handles_labels()
    (real,) = pauses.plot([], [], "o-", color=style.INK)
    (virtual,) = pauses.plot([], [], "s--", color=style.INK, markerfacecolor="white")
    what = ("real: from a kill to the next sale", "virtual time: election only")
    figure.legend([*handles, real, virtual], [*labels, *what], loc="outside upper left", ncols=6, columnspacing=1.2)
    caption(figure, find(folder), read_record(folder))
    return figure


def _plot(axes: Axes, costs: Sequence[Cost], part: str, line: str, colour: str, label: str) -> None:
    """One line, of the sizes for which there is a value."""
    found = [(cost.peers, value) for cost in costs if (value := getattr(cost, part)) is not None]
    axes.plot(
        [peers for peers, _ in found],
        [value for _, value in found],
        line,
        color=colour,
        markersize=4.2,
        linewidth=1.4 if "--" not in line else 1.0,
        markerfacecolor="white" if "--" in line else colour,
        label=label or None,
    )
