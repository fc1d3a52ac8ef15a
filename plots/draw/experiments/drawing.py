"""Draws an experiment again, whichever it is, from what it has left in its folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from peers.errors import SettingsError
from plots.draw import style
from plots.draw.experiments import (
    algorithms,
    buyers,
    caches,
    clocks,
    elections,
    nodes,
    posts,
    replication,
    response,
    sequential,
)
from plots.results.experiments.record import read_record

from matplotlib.figure import Figure  # isort: skip - after the style has chosen how to draw

_FIGURES: dict[str, Callable[[Path], Figure]] = {
    "sequential": sequential.draw,
    "elections": elections.draw,
    "response": response.draw,
    "buyers": buyers.draw,
    "nodes": nodes.draw,
    "algorithms": algorithms.draw,
    "clocks": clocks.draw,
    "posts": posts.draw,
    "replication": replication.draw,
    "caches": caches.draw,
}
"""By experiment, from its folder."""


def draw_saved(folder: Path) -> list[Path]:
    """Draws the experiment in `folder`; returns where its figure is. SettingsError if there is none that is known."""
    name = read_record(folder).experiment
    if name not in _FIGURES:
        raise SettingsError(f"{folder} holds {name}, which is no experiment: there is {', '.join(_FIGURES)}")
    with style.house_style():
        style.save(_FIGURES[name](folder), folder / f"{name}.png")
    return [folder / f"{name}.png"]
