"""The figure of the experiment `posts`: rate by number of posts, and who used the processors."""

from __future__ import annotations

from pathlib import Path

from plots.draw import style
from plots.draw.axes import counts
from plots.draw.experiments.caption import caption
from plots.results.experiments.posts import find, read_rates
from plots.results.experiments.record import read_record
from plots.results.posts import USERS, PostsRate

from matplotlib import pyplot as plt  # isort: skip - after the style has chosen how to draw
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

_COLOURS = {"mongod": style.GREEN, "traders": style.BLUE, "customers": style.GREY, "others": style.PALE}
_LABELS = {"mongod": "mongod", "traders": "traders", "customers": "customers", "others": "all else"}


def draw(folder: Path) -> Figure:
    """Returns the figure of the experiment in `folder`; SettingsError if there is none."""
    rates, record = read_rates(folder), read_record(folder)
    figure, (speeds, users) = plt.subplots(1, 2, figsize=(style.PAGE_WIDTH, 3.8), layout="constrained")
    _draw_rates(speeds, rates)
    _draw_users(users, rates, record.cores)
    caption(figure, find(folder), record)
    return figure


def _draw_rates(axes: Axes, rates: list[PostsRate]) -> None:
    shared = [rate for rate in rates if not rate.own]
    # One post has one mongod either way, so both lines begin there.
    own = [*(rate for rate in shared if rate.posts == 1), *(rate for rate in rates if rate.own)]
    for series, colour, mark, label, below in (
        (shared, style.BLUE, "o-", "one mongod", -1),
        (own, style.ORANGE, "s--", "a mongod each", 1),
    ):
        posts = [rate.posts for rate in series]
        axes.plot(posts, [rate.per_s for rate in series], mark, color=colour, markersize=4, label=label)
        low, high = [rate.worst_turn_per_s for rate in series], [rate.best_turn_per_s for rate in series]
        axes.fill_between(posts, low, high, color=colour, alpha=0.15, linewidth=0)
        for rate in series if below < 0 else [rate for rate in series if rate.own]:
            axes.annotate(
                f"{rate.per_s:,.0f}",
                (rate.posts, rate.per_s),
                xytext=(0, 7 * below - (4 if below < 0 else 0)),
                textcoords="offset points",
                ha="center",
                fontsize=7.5,
                color=colour,
            )
    axes.set_ylim(0, 1.25 * max(rate.best_turn_per_s for rate in rates))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:,.0f}"))
    axes.set_title("purchases a second")
    axes.legend(loc="lower left")
    counts(axes, sorted({rate.posts for rate in rates}), "posts")


def _draw_users(axes: Axes, rates: list[PostsRate], cores: int) -> None:
    places = range(len(rates))
    bottom = [0.0] * len(rates)
    for user in USERS:
        heights = [rate.cores[user] for rate in rates]
        axes.bar(places, heights, 0.62, bottom=bottom, color=_COLOURS[user], label=_LABELS[user])
        for place, (height, under) in enumerate(zip(heights, bottom, strict=True)):
            if height > 0.08 * cores:
                axes.text(place, under + height / 2, f"{height:.2f}", ha="center", va="center", fontsize=7)
        bottom = [under + height for under, height in zip(bottom, heights, strict=True)]
    axes.axhline(cores, color=style.INK, linewidth=0.8, linestyle=":")
    axes.set_xticks(list(places), [_short(rate) for rate in rates])
    axes.set_ylim(0, 1.35 * max(cores, *bottom))
    axes.set_title(f"processors at work, of {cores}")
    axes.grid(visible=False, axis="x")
    axes.legend(loc="upper center", ncols=4, columnspacing=0.9, handlelength=1.0)


def _short(rate: PostsRate) -> str:
    return f"{rate.posts}\n{'own' if rate.own else 'shared'}"
