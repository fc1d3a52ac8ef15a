"""Draws the kinds of market side by side, for the documentation: `python -m plots.draw.markets OUT.png`."""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.lines import Line2D

from peers.core.membership.graph_kinds import first_graph, graph_of
from peers.core.membership.roles import draw_roles
from peers.core.names import GraphKind, peer_name
from peers.files import written_whole
from plots.draw.network import COLOURS, draw_on

PEERS = 8
SEED = 4

_MARKETS: tuple[tuple[str, GraphKind, int, str], ...] = (
    ("lamport", "random", PEERS - 1, "Lamport clocks, a random graph,\nbully election"),
    ("vector", "complete", 0, "vector clocks, everybody linked,\nrank 0 begins, chance decides"),
    ("ring", "ring", PEERS - 1, "vector clocks, a ring by rank,\nring election"),
)


def draw_markets(out: Path) -> None:
    """Draws one town of each market into `out` (PNG); the trader is the large one with a red rim."""
    figure, row = plt.subplots(1, len(_MARKETS), figsize=(12, 4.6), dpi=110, layout="constrained")
    for axes, (name, kind, trader, words) in zip(row, _MARKETS, strict=True):
        rng = Random(SEED)
        roles = draw_roles(PEERS, rng, merchants=name == "ring")
        names = {rank: peer_name(role, rank) for rank, role in enumerate(roles)}
        links = graph_of(kind, first_graph(kind, PEERS, rng), range(PEERS))
        graph = {names[rank]: [names[other] for other in others] for rank, others in links.items()}
        draw_on(axes, graph, names[trader])
        axes.set_title(f"--market {name}", fontsize=13, fontweight="bold")
        axes.text(0.5, -0.02, words, transform=axes.transAxes, ha="center", va="top", fontsize=10)
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=10, color=colour, label=role)
        for role, colour in COLOURS.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    with written_whole(out, durable=False) as picture:
        figure.savefig(picture, format="png", facecolor="white")
    plt.close(figure)


if __name__ == "__main__":
    draw_markets(Path(sys.argv[1]))
