"""The figure of the experiment `buyers`: rate and latency by number of buyers."""

from __future__ import annotations

from pathlib import Path

from plots.draw import style
from plots.draw.axes import counts, log_ms
from plots.draw.experiments.caption import caption
from plots.results.experiments.buyers import find, read_crowds
from plots.results.experiments.record import read_record
from plots.results.latency import log_limits

from matplotlib import pyplot as plt  # isort: skip - after the style has chosen how to draw
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter


def draw(folder: Path) -> Figure:
    """Returns the figure of the experiment in `folder`; SettingsError if there is none."""
    crowds = read_crowds(folder)
    buyers = [crowd.buyers for crowd in crowds]
    figure, (rates, waits) = plt.subplots(1, 2, figsize=(style.PAGE_WIDTH, 3.6), layout="constrained")
    rates.plot(buyers, [crowd.per_s for crowd in crowds], "o-", color=style.BLUE, markersize=4, label="all turns")
    low, high = [crowd.worst_per_s for crowd in crowds], [crowd.best_per_s for crowd in crowds]
    rates.fill_between(buyers, low, high, color=style.BLUE, alpha=0.18, linewidth=0, label="worst to best turn")
    for crowd in crowds:
        rates.annotate(
            f"{crowd.per_s:,.0f}",
            (crowd.buyers, crowd.per_s),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=7.5,
            bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
        )
    rates.set_title("purchases a second")
    rates.set_ylim(0, 1.25 * max(high))
    rates.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:,.0f}"))
    rates.legend(loc="lower right")
    for part, name, line in (("mean", "mean", "^:"), ("p50", "median", "o-"), ("p99", "p99", "s--")):
        values = [getattr(crowd.latency_ms, part) for crowd in crowds]
        waits.plot(buyers, values, line, color=style.BLUE, markersize=4, label=name)
    everything = [getattr(crowd.latency_ms, part) for crowd in crowds for part in ("mean", "p50", "p99")]
    shortest, longest = log_limits(everything)
    log_ms(waits, (shortest, 1.6 * longest), vertical=True)  # The legend has its place above the lines.
    waits.set_title("milliseconds a purchase (log)")
    waits.legend(loc="upper left", ncols=3)
    for axes in (rates, waits):
        counts(axes, buyers, "buyers, a process each")
    caption(figure, find(folder), read_record(folder))
    return figure
