"""Draws the trading post beside etcd: writes a second, their latency, and how long a killed leader is missed."""

from __future__ import annotations

import numpy as np

from plots.draw import style
from plots.draw.axes import log_ms, note
from plots.results.against import Against
from plots.results.latency import log_limits, shown

from matplotlib import pyplot as plt  # isort: skip - after the style has chosen how to draw
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

_ETCD, _POST = style.ORANGE, style.BLUE


def draw(found: Against, machine: str) -> Figure:
    """Bars by number of clients, marks for p50 and p99, and a dot for every kill."""
    figure, (rates, waits, pauses) = plt.subplots(
        1, 3, figsize=(style.PAGE_WIDTH, 3.1), width_ratios=(3, 3, 4.6), layout="constrained"
    )
    _draw_rates(rates, found)
    _draw_waits(waits, found)
    _draw_pauses(pauses, found)
    kills = found.standstills[0].summary.count if found.standstills else 0
    of_books = "one member" if found.replicas == 1 else f"{found.replicas} members"
    note(
        figure,
        f"etcd {found.version}, three members: puts of 200 bytes. The trading post, books on {of_books}: purchases."
        f"\nIn turns, from as many processes of the same kind; {kills} kills of each leader. {machine}.",
    )
    return figure


def _draw_rates(axes: Axes, found: Against) -> None:
    places = np.arange(len(found.puts))
    for shift, series, colour, label in (
        (-0.2, found.puts, _ETCD, "etcd"),
        (0.2, found.purchases, _POST, "trading post"),
    ):
        values = [rate.per_s for rate in series]
        axes.bar(places + shift, values, 0.38, color=colour, label=label)
        for place, value in zip(places, values, strict=True):
            axes.annotate(
                f"{value:,.0f}",
                (place + shift, value),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=6,
            )
    axes.set_ylim(0, 1.3 * max(rate.per_s for rate in (*found.puts, *found.purchases)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:,.0f}"))
    axes.grid(visible=False, axis="x")
    axes.set_title("written a second")
    axes.legend(loc="upper left", fontsize=7)
    _name_clients(axes, found)


def _draw_waits(axes: Axes, found: Against) -> None:
    for series, colour, label in ((found.puts, _ETCD, "etcd"), (found.purchases, _POST, "trading post")):
        for part, marker in (("p50", "o-"), ("p99", "s--")):
            values = [getattr(rate.latency_ms, part) for rate in series]
            axes.plot(range(len(values)), values, marker, color=colour, label=f"{label} {part}", markersize=4)
    everything = [getattr(r.latency_ms, p) for r in (*found.puts, *found.purchases) for p in ("p50", "p99")]
    log_ms(axes, log_limits(everything, room=0.3), vertical=True)
    axes.set_title("milliseconds (log)")
    axes.legend(loc="upper left", fontsize=6)
    axes.margins(x=0.12)
    _name_clients(axes, found)


def _name_clients(axes: Axes, found: Against) -> None:
    axes.set_xticks(range(len(found.puts)), [str(rate.customers) for rate in found.puts])
    axes.set_xlabel("clients, a process each")


def _draw_pauses(axes: Axes, found: Against) -> None:
    rows = found.standstills[::-1]
    rng = np.random.default_rng(1)  # The seed only decides how the dots of a row are spread.
    for place, each in enumerate(rows):
        values = np.asarray(each.pauses_ms)
        colour = _ETCD if each.whose == "etcd" else _POST
        apart = place + rng.uniform(-0.14, 0.14, values.size)
        axes.plot(values, apart, "o", color=colour, markersize=4, alpha=0.6, markeredgewidth=0)
        axes.plot([each.summary.p50] * 2, [place - 0.25, place + 0.25], color=style.INK, linewidth=1.4)
        said = f"{shown(each.summary.p50)} ms"
        axes.annotate(
            said,
            (each.summary.p50, place + 0.25),
            xytext=(0, 1),
            textcoords="offset points",
            ha="center",
            fontsize=7,
        )
    names = [f"{each.whose}\n{each.setup.partition(':')[0]}" for each in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(-0.5, len(rows) - 0.4)
    axes.tick_params(axis="y", length=0)
    if rows:
        log_ms(axes, log_limits(*(each.pauses_ms for each in rows)))
    axes.tick_params(axis="x", labelsize=6.5)
    axes.set_xlabel("milliseconds to the next write (log)")
    axes.set_title("kill -9 of the leader")
