"""The figure of a chaos run: purchases a second, the faults below them on the same axis of time, and the gaps.

A label at every fault would be unreadable, so each kind has a lane of its own, and a bar is as long as the fault
lasted. Below, each dot is one fault and the time without trade that came with it, sorted by kind.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from peers.chaos.events import HISTORY, Events, Injected, read_events
from peers.chaos.gaps import COUNTS_FROM_S, Gap, KindOfGap, pauses
from peers.chaos.kinds import FAMILIES, TRADER_KINDS
from peers.chaos.verdict import ChaosVerdict, read_verdict
from plots.draw import style

from matplotlib import pyplot as plt  # isort: skip - after the style has chosen how to draw
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

_NAMES = {"mongod": "mongod", "nameserver": "name server", "come-back": "come back"}
_BINS = 240
_LEAST_BIN_S = 0.25
# The share of the width of time that a fault without a duration takes, so that it can be seen.
_THIN = 0.004
_GAP_TICKS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


FIGURE = "figure.png"


def draw_saved(folder: Path) -> list[Path]:
    """Draws the run whose history and verdict are in `folder`; returns where the figure is.

    SettingsError if there is no such run.
    """
    draw(read_events(folder / HISTORY), read_verdict(folder), folder / FIGURE)
    return [folder / FIGURE]


def draw(events: Events, verdict: ChaosVerdict, out: Path) -> None:
    """Draws a run into `out`."""
    kinds = list(reversed(verdict.kinds))
    families = _families(events)
    heights = (2.3, 0.18 * len(families) + 0.5, max(1.2, 0.19 * len(kinds) + 0.2))
    with style.house_style():
        figure, (course, lanes, spread) = plt.subplots(
            3,
            1,
            figsize=(style.PAGE_WIDTH, sum(heights) + 1.1),
            height_ratios=heights,
            layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06),
        )
        _draw_course(course, events, verdict)
        _draw_lanes(lanes, families, events, verdict)
        _draw_gaps(spread, verdict, kinds)
        course.sharex(lanes)
        lanes.set_xlim(0, verdict.traffic.duration_s)
        _write_legend(figure)
        _write_caption(figure, verdict)
        style.save(figure, out)


def _draw_course(axes: Axes, events: Events, verdict: ChaosVerdict) -> None:
    """Purchases a second, the pauses behind them."""
    duration_s = verdict.traffic.duration_s
    width_s = max(_LEAST_BIN_S, duration_s / _BINS)
    edges = np.arange(0.0, duration_s + width_s, width_s)
    counts, _ = np.histogram([sale.at_s for sale in events.sales], bins=edges)
    axes.stairs(counts / width_s, edges, fill=True, color=style.BLUE, alpha=0.8, zorder=2)
    found = pauses(events.sales, duration_s)
    for pause in found:
        if pause.length_s >= COUNTS_FROM_S:
            axes.axvspan(pause.start_s, pause.end_s, color=style.VERMILION, alpha=0.22, linewidth=0, zorder=1)
    worst = max(found, key=lambda pause: pause.length_s)
    axes.set_ylim(0, float(counts.max(initial=1) / width_s) * 1.3)
    axes.annotate(
        f"{worst.length_s:.2f} s at worst",
        (worst.start_s + worst.length_s / 2, 0.86),
        xycoords=("data", "axes fraction"),
        xytext=(0, 6),
        textcoords="offset points",
        ha="left" if worst.start_s < duration_s / 5 else "right" if worst.start_s > duration_s * 0.8 else "center",
        fontsize=7.5,
        color=style.VERMILION,
    )
    axes.set_ylabel("purchases a second")
    axes.tick_params(axis="x", labelbottom=False)


def _families(events: Events) -> list[str]:
    """Those of which there was a fault."""
    kinds = {fault.kind for fault in events.carried_out()}
    return [name for name, of_family in FAMILIES.items() if not kinds.isdisjoint(of_family)]


def _draw_lanes(axes: Axes, families: list[str], events: Events, verdict: ChaosVerdict) -> None:
    """When which fault was at work, a lane for each family; and below them the elections."""
    lanes = [*families, "elections"]
    places = {name: -place for place, name in enumerate(lanes)}
    thin_s = _THIN * verdict.traffic.duration_s
    for fault in events.carried_out():
        family = next(name for name, kinds in FAMILIES.items() if fault.kind in kinds)
        color = style.VERMILION if fault.kind in TRADER_KINDS else style.INK
        axes.barh(places[family], _length_s(fault, thin_s), left=fault.start_s, height=0.62, color=color, linewidth=0)
    for election in events.elections:
        axes.barh(places["elections"], thin_s / 2, left=election.at_s, height=0.62, color=style.GREEN, linewidth=0)
    axes.set_yticks(list(places.values()), [_NAMES.get(name, name) for name in places])
    axes.set_ylim(-len(lanes) + 0.4, 0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("seconds")


def _length_s(fault: Injected, least_s: float) -> float:
    end_s = fault.start_s if fault.end_s is None else fault.end_s
    return max(end_s - fault.start_s, least_s)


def _draw_gaps(axes: Axes, verdict: ChaosVerdict, kinds: list[KindOfGap]) -> None:
    """A dot for each fault: how long nobody traded."""
    for place, kind in enumerate(kinds):
        for gap in verdict.gaps:
            if gap.kind == kind.kind:
                _draw_gap(axes, place, gap)
        if kind.alone:
            axes.plot([kind.median_s] * 2, [place - 0.34, place + 0.34], color=style.INK, linewidth=1.1, zorder=4)
        axes.annotate(
            f"{kind.median_s:.2f} / {kind.worst_s:.2f} s" if kind.alone else "–",
            (1.0, place),
            xycoords=("axes fraction", "data"),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=7.5,
            annotation_clip=False,
        )
    axes.annotate(
        "median / worst (filled)",
        (1.0, len(kinds) - 0.25),
        xycoords=("axes fraction", "data"),
        xytext=(5, 2),
        textcoords="offset points",
        fontsize=7,
        color=style.GREY,
        annotation_clip=False,
    )
    axes.set_yticks(range(len(kinds)), [kind.kind for kind in kinds])
    axes.set_ylim(-0.6, len(kinds) - 0.4)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(_GAP_TICKS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    longest = max([gap.gap_s for gap in verdict.gaps], default=1.0)
    axes.set_xlim(min([0.02, *(gap.gap_s * 0.8 for gap in verdict.gaps)]), max(1.0, longest) * 1.4)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("time without trade that a fault came with (s, log)")


def _draw_gap(axes: Axes, place: int, gap: Gap) -> None:
    color = style.VERMILION if gap.failover else style.GREY
    face = color if gap.alone else "white"
    axes.plot(
        gap.gap_s, place, marker="o", markersize=4.4, markeredgecolor=color, markerfacecolor=face, zorder=3, alpha=0.9
    )


def _write_legend(figure: Figure) -> None:
    handles = [
        Patch(color=style.BLUE, alpha=0.8, label="purchases"),
        Patch(color=style.VERMILION, alpha=0.22, label=f"no trade for {COUNTS_FROM_S:g} s or more"),
        Patch(color=style.VERMILION, label="fault of the trader"),
        Patch(color=style.INK, label="fault of others"),
        _dot(style.VERMILION, style.VERMILION, "gap with a failover"),
        _dot(style.GREY, style.GREY, "gap without"),
        _dot(style.INK, "white", "hollow: several faults at once"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=4, columnspacing=1.3, handletextpad=0.5)


def _dot(color: str, face: str, label: str) -> Line2D:
    return Line2D(
        [], [], linestyle="", marker="o", markersize=4.4, markeredgecolor=color, markerfacecolor=face, label=label
    )


def _write_caption(figure: Figure, verdict: ChaosVerdict) -> None:
    traffic, idle = verdict.traffic, verdict.without_trade
    lines = (
        f"{traffic.sales:,} sales in {traffic.duration_s:g} s; {traffic.faults} faults, "
        f"{traffic.failovers} failovers; {idle.total_s:.1f} s without trade in all, {idle.worst_s:.2f} s at worst.",
        f"Verdict: {verdict.answer}.",
    )
    figure.supxlabel("\n".join(lines), x=0.012, ha="left", fontsize=8, color=style.INK, linespacing=1.45)
