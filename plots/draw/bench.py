"""Draws what the bench found: a figure a topic, floor and market side by side wherever there is a floor."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from plots.draw import against, style
from plots.draw.axes import log_ms, note
from plots.results.bench import Report, read_bench
from plots.results.latency import Values, log_limits, shown
from plots.results.life import SLOWING, LongRun
from plots.results.speed import ALIKE, Course, Sweep

from matplotlib import pyplot as plt  # isort: skip - after the style has chosen how to draw
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

_SIZES = (style.GREY, style.BLUE, style.ORANGE, style.PURPLE, style.SKY)
_KINDS = {"killed": style.VERMILION, "stopped": style.ORANGE, "resigned": style.BLUE}


def draw_saved(folder: Path) -> list[Path]:
    """Draws a figure of each section that the bench in `folder` has; returns where they are.

    SettingsError if there is no bench.
    """
    report, samples = read_bench(folder)
    courses, sweeps = samples.courses, samples.sweeps
    drawn = []
    chosen: list[tuple[str, bool, Callable[[], Figure]]] = [
        ("latency.png", bool(courses), lambda: _latency(report, courses)),
        ("throughput.png", report.throughput is not None, lambda: _throughput(report)),
        ("size.png", bool(sweeps), lambda: _size(report, sweeps)),
        ("long_run.png", report.long_run is not None, lambda: _long_run(report)),
        ("failover.png", bool(report.failover), lambda: _failover(report)),
        ("scale.png", bool(report.start or report.footprint or report.elections), lambda: _scale(report)),
        ("against.png", report.against is not None, lambda: _against(report)),
    ]
    with style.house_style():
        for name, there, draw in chosen:
            if there:
                style.save(draw(), folder / name)
                drawn.append(folder / name)
    return drawn


def _latency(report: Report, courses: Sequence[Course]) -> Figure:
    """How many of all took at most so long, for the floor and for the purchase."""
    limits = log_limits(*(course.floor_ms for course in courses), *(course.purchase_ms for course in courses))
    figure, row = plt.subplots(
        1, len(courses), figsize=(style.PAGE_WIDTH, 3.1), sharey=True, squeeze=False, layout="constrained"
    )
    for axes, course, found in zip(row[0], courses, report.latency, strict=True):
        for series, colour, label in (
            (course.floor_ms, style.GREY, "floor: echo + durable insert"),
            (course.purchase_ms, style.BLUE, "purchase"),
        ):
            values = np.sort(np.asarray(series))
            axes.plot(values, _shares(values), color=colour, label=label, linewidth=1.6)
        axes.axvline(found.floor_ms.p50 * 1.2, color=style.GREEN, linewidth=0.9, linestyle="--")
        axes.annotate(
            "1.2 × floor p50",
            (found.floor_ms.p50 * 1.2, 0.03),
            xycoords=("data", "axes fraction"),
            xytext=(4, 0),
            textcoords="offset points",
            fontsize=7.5,
            color=style.GREEN,
        )
        axes.set_title(f"{course.peers} peers: p50 is {found.p50_over_floor:.2f} × floor")
        axes.set_xlabel("milliseconds (log)")
        log_ms(axes, limits)
    row[0][0].set_ylabel("share answered by then")
    row[0][0].yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:.0%}"))
    row[0][0].legend(loc="center right")
    medians = ", ".join(
        f"at {each.peers} peers {shown(each.purchase_ms.p50)} over {shown(each.floor_ms.p50)} ms"
        for each in report.latency
    )
    count = len(courses[0].purchase_ms)
    said = f"{count:,} purchases one after another, in turns with their floor: p50 {medians}."
    note(figure, f"{said}\n{report.machine}.")
    return figure


def _against(report: Report) -> Figure:
    assert report.against is not None
    return against.draw(report.against, report.machine)


def _shares(values: Values) -> Values:
    return np.arange(1, values.size + 1) / values.size


def _throughput(report: Report) -> Figure:
    """Rates and latencies by number of customers, beside the echo."""
    assert report.throughput is not None
    figure, (rates, waits) = plt.subplots(1, 2, figsize=(style.PAGE_WIDTH, 3.1), layout="constrained")
    bought, echoed = report.throughput.purchases, report.throughput.echoes
    customers = [rate.customers for rate in bought]
    for series, colour, label in ((echoed, style.GREY, "echo"), (bought, style.BLUE, "purchase")):
        rates.plot(customers, [rate.per_s for rate in series], "o-", color=colour, label=label, markersize=4)
        low, high = [rate.worst_turn_per_s for rate in series], [rate.best_turn_per_s for rate in series]
        rates.fill_between(customers, low, high, color=colour, alpha=0.18, linewidth=0)
    for rate in bought:
        rates.annotate(
            f"{rate.per_s:,.0f}",
            (rate.customers, rate.per_s),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=7.5,
            color=style.BLUE,
            bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
        )
    rates.set_title("answered a second")
    rates.set_ylim(0, 1.22 * max(rate.best_turn_per_s for rate in (*bought, *echoed)))
    rates.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:,.0f}"))
    rates.legend(loc="upper left", ncols=2)
    for part, marker in (("p50", "o-"), ("p99", "s--")):
        values = [getattr(rate.latency_ms, part) for rate in bought]
        waits.plot(customers, values, marker, color=style.BLUE, label=f"purchase {part}", markersize=4)
        values = [getattr(rate.latency_ms, part) for rate in echoed]
        waits.plot(customers, values, marker, color=style.GREY, label=f"echo {part}", markersize=4)
    everything = [getattr(r.latency_ms, p) for r in (*bought, *echoed) for p in ("p50", "p99")]
    log_ms(waits, log_limits(everything, room=0.12), vertical=True)
    waits.set_title("milliseconds (log)")
    waits.legend(loc="upper left", ncols=2, fontsize=7)
    for axes in (rates, waits):
        axes.set_xscale("log", base=2)
        axes.set_xlim(customers[0] / 1.35, customers[-1] * 1.35)
        axes.xaxis.set_major_locator(FixedLocator(customers))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}"))
        axes.set_xlabel("customers, a process each")
    lines = [
        f"Open loop at {load.part:.0%} of the highest rate ({load.offered_per_s:,.0f} a second due): "
        f"p50 {shown(load.latency_ms.p50)}, p99 {shown(load.latency_ms.p99)} ms from when each was due."
        for load in report.open_loop
    ]
    lines.append(
        f"Closed loops, in turns with as many echoes; bands from the worst turn to the best. {report.machine}."
    )
    note(figure, "\n".join(lines))
    return figure


def _size(report: Report, sweeps: Sequence[Sweep]) -> Figure:
    """How many of all took at most so long, by size and turn; and what each size costs beside the smallest."""
    figure, (shares, ratios) = plt.subplots(
        1, 2, figsize=(style.PAGE_WIDTH, 3.1), width_ratios=(3, 2), layout="constrained"
    )
    colours = dict(zip(sorted(s.peers for s in sweeps), itertools.cycle(_SIZES), strict=False))
    for sweep in sweeps:
        for turn_ms in sweep.turns_ms:
            values = np.sort(turn_ms)
            shares.plot(values, _shares(values), color=colours[sweep.peers], linewidth=0.6, alpha=0.45)
        values = np.sort(np.concatenate(sweep.turns_ms))
        shares.plot(values, _shares(values), color=colours[sweep.peers], linewidth=1.8, label=f"{sweep.peers} peers")
    log_ms(shares, log_limits(*(turn_ms for sweep in sweeps for turn_ms in sweep.turns_ms)))
    shares.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:.0%}"))
    shares.set_title("share answered by then")
    shares.set_xlabel("milliseconds from when each was due (log)")
    shares.legend(loc="lower right")
    others = [each for each in report.size if each.peers != min(colours)]
    width = 0.8 / max(1, len(others))
    for place, each in enumerate(others):
        at = np.arange(3) + (place - (len(others) - 1) / 2) * width
        bars = ratios.bar(
            at,
            [each.ratio.p50, each.ratio.mean, each.ratio.p99],
            width=width * 0.9,
            color=colours[each.peers],
        )
        ratios.bar_label(bars, fmt="%.2f", label_type="center", fontsize=7.5, color="white")
        for turn in each.turn_ratios:
            ratios.plot(at + width * 0.3, [turn.p50, turn.mean, turn.p99], "o", color=style.INK, markersize=2.5)
    ratios.axhline(1.0, color=style.GREY, linewidth=0.9)
    ratios.axhline(ALIKE, color=style.GREEN, linewidth=0.9, linestyle="--")
    ratios.set_xticks(range(3), ["p50", "mean", "p99"])
    ratios.grid(visible=False, axis="x")
    highest = max((max(msgspec.structs.astuple(each.ratio)) for each in others), default=0.0)
    # A dot that lies beyond the limit is of a turn in which one side was disturbed.
    ratios.set_ylim(0, max(1.6, 1.15 * highest))
    ratios.set_title(f"times that at {min(colours)} peers")
    first = report.size[0]
    note(
        figure,
        f"{first.offered_per_s:,.0f} purchases a second due from {first.customers} customers, by the same schedule;"
        f" {len(sweeps[0].turns_ms)} turns of each size\n(thin lines, dots), a fresh town each; bars: of the medians"
        f" over all turns. Dashed: {ALIKE:g} times.\n{report.machine}.",
    )
    return figure


def _long_run(report: Report) -> Figure:
    """By tenth: the rate and what a purchase takes; in the end the rate beside a fresh town's; and the memory."""
    run = report.long_run
    assert run is not None
    figure, (rates, memory) = plt.subplots(1, 2, figsize=(style.PAGE_WIDTH, 3.1), layout="constrained")
    first = run.tenths[0]
    numbers = range(1, len(run.tenths) + 1)
    for values, colour, label, marker in (
        ([each.cpu_ms / first.cpu_ms for each in run.tenths], style.ORANGE, "processor time of each", "s:"),
        ([each.per_s / first.per_s for each in run.tenths], style.SKY, "purchases a second", "o--"),
    ):
        rates.plot(numbers, values, marker, color=colour, label=label, markersize=4)
    rates.plot(
        [len(run.tenths) + 1],
        [run.old_over_fresh],
        "D",
        color=style.BLUE,
        label="in turns with a fresh town",
        markersize=6,
    )
    rates.axhspan(1 - SLOWING, 1 + SLOWING, color=style.GREEN, alpha=0.12, linewidth=0)
    rates.set_ylim(0, 1.4 * max(rates.get_ylim()[1], 1.2))
    rates.set_title("the first tenth, the fresh town = 1")
    rates.legend(loc="upper left", fontsize=7.5)
    _draw_memory(memory, run)
    for axes in (rates, memory):
        axes.set_xlabel(f"tenth of {run.purchases:,} purchases")
    rates.set_xticks([*numbers, len(run.tenths) + 1], [*map(str, numbers), "then"])
    memory.set_xticks([0, *numbers], ["before", *map(str, numbers)])
    last = run.tenths[-1]
    note(
        figure,
        f"{run.customers} customers, closed loops: {first.per_s:,.0f} a second in the first tenth, {last.per_s:,.0f}"
        f" in the last; then, in turns, {run.old_per_s:,.0f} and in a fresh town {run.fresh_per_s:,.0f}."
        f"\nProcessor time is the trader's and mongod's; the band is a tenth; mongod's RSS"
        f" {run.before.mongod_mb:,.0f} MB before, {last.after.mongod_mb:,.0f} MB after.\n{report.machine}.",
    )
    return figure


def _draw_memory(axes: Axes, run: LongRun) -> None:
    """What the trader takes, and how much it may."""
    looks = [run.before, *(each.after for each in run.tenths)]
    axes.plot([each.pss_mb for each in looks], "s--", color=style.GREY, label="PSS", markersize=4)
    axes.plot([each.uss_mb for each in looks], "o-", color=style.BLUE, label="USS", markersize=4)
    allowed = run.before.uss_mb + run.bound_mb
    axes.axhline(allowed, color=style.GREEN, linewidth=0.9, linestyle="--")
    axes.annotate(
        f"USS before + {run.bound_mb:g} MB",
        (0.02, allowed),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        fontsize=7.5,
        color=style.GREEN,
    )
    axes.set_ylim(0, 1.3 * max(allowed, *(each.pss_mb for each in looks)))
    axes.set_title("memory of the trader (MB)")
    axes.legend(loc="lower right", ncols=2)


def _failover(report: Report) -> Figure:
    """Each pause a dot, each kind a row."""
    rows = sorted(report.failover, key=lambda each: (list(_KINDS).index(each.kind), each.peers))[::-1]
    limits = log_limits(*(each.pauses_ms for each in rows))
    figure, axes = plt.subplots(figsize=(style.PAGE_WIDTH, 0.42 * len(rows) + 1.3), layout="constrained")
    rng = np.random.default_rng(1)  # The seed only decides how the dots of a row are spread.
    for place, each in enumerate(rows):
        pauses = np.asarray(each.pauses_ms)
        apart = place + rng.uniform(-0.16, 0.16, pauses.size)
        axes.plot(pauses, apart, "o", color=_KINDS[each.kind], markersize=4, alpha=0.6, markeredgewidth=0)
        axes.plot([each.summary.p50] * 2, [place - 0.3, place + 0.3], color=style.INK, linewidth=1.4)
        axes.annotate(
            f"{shown(each.summary.p50)} ms",
            (each.summary.p50, place + 0.3),
            xytext=(0, 1),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=7,
        )
    axes.set_yticks(range(len(rows)), [f"{each.kind}, {each.peers} peers" for each in rows])
    axes.set_ylim(-0.5, len(rows) - 0.3)
    axes.tick_params(axis="y", length=0)
    log_ms(axes, limits)
    axes.set_xlabel("milliseconds from the event to the next sale (log)")
    axes.set_title("How long trade stands still when the trader goes")
    counts = sorted({each.summary.count for each in rows})
    times = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    note(figure, f"{times} times each, under customers that never stop; the line is the median. {report.machine}.")
    return figure


def _scale(report: Report) -> Figure:
    """What grows with the number of peers."""
    figure, row = plt.subplots(1, 4, figsize=(style.PAGE_WIDTH, 2.7), layout="constrained")
    elections = [each for each in report.elections if each.reason == "resigned"]
    _bars(row[0], "first sale (s)", [(s.peers, s.summary_ms.p50 / 1000) for s in report.start], style.GREEN)
    _bars(row[1], "PSS of a peer (MB)", [(f.peers, f.pss_mb) for f in report.footprint], style.BLUE)
    _bars(row[2], "all idle (cores)", [(f.peers, f.idle_cores) for f in report.footprint], style.ORANGE)
    _bars(row[3], "election (ms)", [(e.peers, e.took_ms.p50) for e in elections], style.PURPLE)
    messages = ", ".join(f"{e.messages:.0f} at {e.peers}" for e in elections if e.messages is not None)
    said = f"Messages of an election, by number of peers: {messages}. " if messages else ""
    note(figure, f"{said}\nMedians; from the command to the first sale recorded. {report.machine}.".strip())
    return figure


def _bars(axes: Axes, title: str, bars: list[tuple[int, float]], colour: str) -> None:
    axes.set_title(title, fontsize=8.5)
    axes.bar([str(peers) for peers, _ in bars], [value for _, value in bars], color=colour, width=0.62)
    for place, (_, value) in enumerate(bars):
        axes.annotate(
            shown(value), (place, value), xytext=(0, 2), textcoords="offset points", ha="center", fontsize=7.5
        )
    axes.margins(y=0.16)
    axes.grid(visible=False, axis="x")
    axes.set_xlabel("peers")
    if not bars:
        axes.set_axis_off()
