"""The figure of the experiment `caches`: over-selling, speed, and how soon a buyer knows, by policy."""

from __future__ import annotations

from pathlib import Path

from plots.draw import style
from plots.draw.experiments.caption import caption
from plots.results.experiments.caches import NEVER, Figures, find, read_figures
from plots.results.experiments.record import read_record

from matplotlib import pyplot as plt  # isort: skip - after the style has chosen how to draw
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

_COLOURS = (style.GREY, style.BLUE, style.GREEN, style.ORANGE, style.PURPLE)
_MARKS = "osD^v"


def draw(folder: Path) -> Figure:
    """Returns the figure of the experiment in `folder`; SettingsError if there is none."""
    figures = read_figures(folder)
    figure, (vain, speed, waits) = plt.subplots(1, 3, figsize=(style.PAGE_WIDTH, 3.4), layout="constrained")
    by_policy: dict[str, list[Figures]] = {}
    for each in figures:
        by_policy.setdefault(each.policy, []).append(each)
    for number, (policy, towns) in enumerate(by_policy.items()):
        ratios = [each.ratio for each in towns]
        look = {"color": _COLOURS[number], "marker": _MARKS[number], "markersize": 4, "label": policy}
        vain.plot(ratios, [each.overselling_rate for each in towns], **look)
        speed.plot(ratios, [each.per_s for each in towns], **look)
    vain.set_title("promised in vain")
    vain.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
    speed.set_title("sales a second")
    for axes in (vain, speed):
        axes.set_ylim(bottom=0)
        axes.set_xlabel("sellers a buyer")
        axes.set_xticks(sorted({each.ratio for each in figures}))
    speed.set_ylim(top=1.2 * max(each.per_s for each in figures))
    speed.legend(loc="lower right", fontsize=7)
    _draw_waits(waits, by_policy)
    caption(figure, find(folder), read_record(folder))
    return figure


def _draw_waits(axes: Axes, by_policy: dict[str, list[Figures]]) -> None:
    """Draws, for each policy, how soon a buyer was promised and told, at the last ratio."""
    places = range(len(by_policy))
    promised = [max(towns[-1].promised_ms, 0.0) for towns in by_policy.values()]
    told = [towns[-1].told_ms for towns in by_policy.values()]
    axes.bar([place - 0.2 for place in places], promised, 0.38, color=style.SKY, label="promise")
    axes.bar([place + 0.2 for place in places], told, 0.38, color=style.BLUE, label="confirmation")
    for place, towns in zip(places, by_policy.values(), strict=True):
        if towns[-1].promised_ms == NEVER:
            axes.text(place - 0.2, 0, "no promise", ha="center", va="bottom", fontsize=7, rotation=90)
    axes.set_title("median milliseconds")
    axes.set_xticks(list(places), [policy.replace("-", "-\n") for policy in by_policy], fontsize=7)
    axes.set_ylim(top=1.35 * max(told))  # The legend has its place above the bars.
    axes.legend(loc="upper left")
