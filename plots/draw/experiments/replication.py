"""The figure of the experiment `replication`: speed by write level, and what the fall of a primary costs."""

from __future__ import annotations

from pathlib import Path

from plots.draw import style
from plots.draw.experiments.caption import caption
from plots.results.experiments.record import read_plan, read_record
from plots.results.experiments.replication import (
    STRIKES,
    ReplicationPlan,
    Strike,
    find,
    read_falls,
    read_latencies,
    read_rates,
)
from plots.results.rows import read_rows

from matplotlib import pyplot as plt  # isort: skip - after the style has chosen how to draw
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_COLOURS = {"majority": style.BLUE, "two": style.PURPLE, "one": style.ORANGE}


def draw(folder: Path) -> Figure:
    """Returns the figure of the experiment in `folder`; SettingsError if there is none."""
    plan = read_plan(folder, ReplicationPlan)
    figure, (waits, rates, pauses) = plt.subplots(
        1, 3, figsize=(style.PAGE_WIDTH, 3.6), layout="constrained", width_ratios=(1, 1, 2.2)
    )
    latencies, per_s = read_latencies(folder), read_rates(folder)
    _bars(waits, plan, {level: latencies[level].p50 for level in plan.levels}, "{:.2f}")
    waits.set_title("milliseconds a purchase,\nmedian", fontsize=8)
    _bars(rates, plan, {level: per_s[level].per_s for level in plan.levels}, "{:,.0f}")
    rates.set_title(f"purchases a second,\n{plan.customers} customers", fontsize=8)
    _pauses(pauses, folder)
    caption(figure, find(folder), read_record(folder))
    return figure


def _bars(axes: Axes, plan: ReplicationPlan, values: dict[str, float], form: str) -> None:
    places = range(len(plan.levels))
    axes.bar(places, [values[level] for level in plan.levels], 0.6, color=[_COLOURS[level] for level in plan.levels])
    axes.set_xticks(places, plan.levels)
    axes.set_ylim(0, 1.2 * max(values.values()))
    for place, level in zip(places, plan.levels, strict=True):
        axes.annotate(
            form.format(values[level]),
            (place, values[level]),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=7.5,
        )


def _pauses(axes: Axes, folder: Path) -> None:
    """A point for each fall, and below what all of one kind lost."""
    falls, strikes = read_falls(folder), read_rows(folder / STRIKES, Strike)
    for place, each in enumerate(falls):
        ours = [row.pause_ms / 1000 for row in strikes if (row.level, row.blow) == (each.level, each.blow)]
        offsets = [place + 0.3 * (2 * (number % 7) / 6 - 1) for number in range(len(ours))]
        axes.plot(offsets, ours, "o", color=_COLOURS[each.level], markersize=3, alpha=0.7)
        axes.plot([place - 0.35, place + 0.35], [each.pause_ms.p50 / 1000] * 2, color=_COLOURS[each.level])
    labels = [f"{each.level}\n{each.blow}\n{each.lost:,} lost" for each in falls]
    axes.set_xticks(range(len(falls)), labels, fontsize=6.5)
    axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
    axes.set_title("seconds without trade when the primary falls\n(line: median), and purchases lost", fontsize=8)
