"""The figure of the experiment `elections`: mean round trip by number of purchases, without elections and with."""

from __future__ import annotations

from pathlib import Path

from plots.draw import style
from plots.draw.experiments.caption import caption
from plots.results.experiments.elections import ElectionsPlan, find, read_rounds
from plots.results.experiments.record import read_plan, read_record
from plots.results.latency import shown

from matplotlib import pyplot as plt  # isort: skip - after the style has chosen how to draw
from matplotlib.figure import Figure


def draw(folder: Path) -> Figure:
    """Returns the figure of the experiment in `folder`; SettingsError if there is none."""
    plan, rounds = read_plan(folder, ElectionsPlan), read_rounds(folder)
    figure, axes = plt.subplots(figsize=(style.PAGE_WIDTH, 3.7), layout="constrained")
    wide = 0.38
    for held, colour in ((False, style.BLUE), (True, style.ORANGE)):
        places = [place + (wide if held else -wide) / 2 for place in range(len(plan.counts))]
        found = [rounds[held][count] for count in plan.counts]
        bars = axes.bar(
            places, [each.mean for each in found], width=wide, color=colour, label=f"mean, {plan.titles()[held]}"
        )
        axes.bar_label(bars, [shown(each.mean) for each in found], fontsize=7.5, padding=2)
        label = "median" if held else None
        axes.plot(places, [each.p50 for each in found], "_", color=style.INK, markersize=14, label=label)
    axes.set_xticks(range(len(plan.counts)), [f"{count}" for count in plan.counts])
    axes.set_xlabel("purchases a buyer")
    axes.set_ylabel("round trip (ms)")
    axes.grid(visible=False, axis="x")
    axes.set_ylim(0, 1.28 * max(each.mean for found in rounds.values() for each in found.values()))
    axes.legend(loc="upper left", ncols=3)
    caption(figure, find(folder), read_record(folder))
    return figure
