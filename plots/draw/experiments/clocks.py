"""The figure of the experiment `clocks`: latency of a purchase and bytes of a clock by number of peers."""

from __future__ import annotations

from pathlib import Path

from plots.draw import style
from plots.draw.axes import counts, log_ms
from plots.draw.experiments.caption import caption
from plots.results.experiments.clocks import ClocksPlan, find, read_costs
from plots.results.experiments.record import read_plan, read_record
from plots.results.latency import log_limits

from matplotlib import pyplot as plt  # isort: skip - after the style has chosen how to draw
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

_COLOURS = {"lamport": style.BLUE, "vector": style.ORANGE}


def draw(folder: Path) -> Figure:
    """Returns the figure of the experiment in `folder`; SettingsError if there is none."""
    plan, costs = read_plan(folder, ClocksPlan), read_costs(folder)
    figure, (waits, sizes) = plt.subplots(1, 2, figsize=(style.PAGE_WIDTH, 3.6), layout="constrained")
    for clock in plan.clocks:
        mine = [cost for cost in costs if cost.clock == clock]
        peers = [cost.peers for cost in mine]
        colour = _COLOURS.get(clock, style.PURPLE)
        for part, name, line in (("p50", "median", "o-"), ("p99", "p99", "s--")):
            values = [getattr(cost.latency_ms, part) for cost in mine]
            waits.plot(peers, values, line, color=colour, markersize=4, label=f"{clock}, {name}")
        sizes.plot(peers, [cost.clock_bytes for cost in mine], "o-", color=colour, markersize=4, label=clock)
        for cost in mine:
            sizes.annotate(
                f"{cost.clock_bytes:,}",
                (cost.peers, cost.clock_bytes),
                xytext=(0, 6),
                textcoords="offset points",
                ha="center",
                fontsize=7.5,
            )
    everything = [getattr(cost.latency_ms, part) for cost in costs for part in ("p50", "p99")]
    low, high = log_limits(everything)
    log_ms(waits, (low, 2.2 * high), vertical=True)  # The legend has its place above the lines.
    waits.set_title("milliseconds a purchase (log)")
    waits.legend(loc="upper left", ncols=2)
    sizes.set_title("bytes of a clock")
    sizes.set_ylim(0, 1.2 * max(cost.clock_bytes for cost in costs))
    sizes.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:,.0f}"))
    sizes.legend(loc="upper left")
    for axes in (waits, sizes):
        counts(axes, plan.sizes, "peers")
    caption(figure, find(folder), read_record(folder))
    return figure
