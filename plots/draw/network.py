"""Draws a town's graph: `python -m plots.draw.network network.json network.png [--trader NAME]`.

Run by the town in a process of its own and at the lowest priority, for drawing takes a second of a processor.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TypeAlias

import matplotlib as mpl

mpl.use("Agg")

import networkx as nx
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from peers.core.names import rank_of
from peers.files import written_whole

COLOURS = {"buyer": "#4C78A8", "seller": "#E8923A", "merchant": "#8F6BB3"}
_OTHER = "#9A9A9A"
_TRADER = "#C1272D"
_EDGE = "#B8BEC6"
_INK = "#2B2F36"

Network: TypeAlias = "nx.Graph[str]"
Places = dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]


def draw(graph: dict[str, list[str]], out: Path, trader: str | None = None) -> None:
    """Draws `graph`, an adjacency list by name, into `out` (replaced as a whole)."""
    size = min(16.0, 6.0 + len(graph) ** 0.5 * 0.75)
    figure, axes = plt.subplots(figsize=(size, size * 0.8), dpi=130, layout="constrained")
    network = draw_on(axes, graph, trader)
    _explain(axes, network, trader)
    with written_whole(out, durable=False) as picture:
        figure.savefig(picture, format="png", facecolor="white")
    plt.close(figure)


def draw_on(axes: Axes, graph: dict[str, list[str]], trader: str | None = None) -> Network:
    """Draws `graph`, an adjacency list by name, without title and legend; returns it as a network."""
    network: Network = nx.Graph()
    network.add_nodes_from(graph)
    network.add_edges_from((name, other) for name, others in graph.items() for other in others)
    places = _places(network)
    nx.draw_networkx_edges(network, places, ax=axes, edge_color=_EDGE, width=1.6)
    spots = max(60.0, 1500.0 - 14.0 * len(network))
    for role in (*COLOURS, ""):
        names = [name for name in network if _role(name) == role]
        if names:
            _draw_peers(network, places, axes, names, COLOURS.get(role, _OTHER), spots, trader)
    if len(network) <= 60:
        labels = {name: str(rank_of(name)) if _role(name) else name for name in network}
        nx.draw_networkx_labels(network, places, labels, ax=axes, font_size=9, font_color="white", font_weight="bold")
    axes.set_axis_off()
    axes.margins(0.12)
    return network


def _places(network: Network, rounds: int = 80) -> Places:
    """Lays the peers out so that distance in the picture follows hops (stress majorization, Gansner et al. 2004)."""
    names = list(network)
    apart = dict(nx.all_pairs_shortest_path_length(network))
    far = max((max(row.values()) for row in apart.values()), default=1) + 1
    wanted = np.array([[float(apart[a].get(b, far)) for b in names] for a in names]).reshape(len(names), -1)
    np.fill_diagonal(wanted, 1.0)
    weights = wanted**-2.0
    np.fill_diagonal(weights, 0.0)
    total = weights.sum(axis=1, keepdims=True) + 1e-9
    spots = np.random.default_rng(1).normal(size=(len(names), 2)) * far / 2
    for _ in range(rounds):
        between = spots[:, None, :] - spots[None, :, :]
        lengths = np.maximum(np.hypot(between[..., 0], between[..., 1]), 1e-6)
        pull = (weights * wanted / lengths)[..., None] * between
        spots = (weights @ spots + pull.sum(axis=1)) / total
    return dict(zip(names, spots, strict=True))


def _draw_peers(
    network: Network,
    places: Places,
    axes: Axes,
    names: list[str],
    colour: str,
    spots: float,
    trader: str | None,
) -> None:
    rims = [_TRADER if name == trader else "white" for name in names]
    widths = [4.0 if name == trader else 1.2 for name in names]
    sizes = [spots * 1.5 if name == trader else spots for name in names]
    nx.draw_networkx_nodes(
        network,
        places,
        nodelist=names,
        ax=axes,
        node_color=colour,
        node_size=sizes,
        edgecolors=rims,
        linewidths=widths,
    )


def _explain(axes: Axes, network: Network, trader: str | None) -> None:
    """Title and legend."""
    counts = {role: sum(_role(name) == role for name in network) for role in COLOURS}
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=11, color=COLOURS[role], label=f"{role} ({count})")
        for role, count in counts.items()
        if count
    ]
    if trader in network:
        ring = Line2D([], [], marker="o", linestyle="", markersize=11, color="white", label=f"trader: {trader}")
        ring.set_markeredgecolor(_TRADER)
        ring.set_markeredgewidth(3.0)
        handles.append(ring)
    axes.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=4, frameon=False, labelcolor=_INK
    )
    most = max((degree for _, degree in network.degree()), default=0)
    axes.set_title(
        f"{len(network)} peers, {network.number_of_edges()} links, at most {most} each",
        color=_INK,
        fontsize=13,
        pad=14,
    )


def _role(name: str) -> str:
    return next((role for role in COLOURS if name.startswith(role)), "")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m plots.draw.network", description="Draws a town's graph.")
    parser.add_argument("network", type=Path, help="adjacency list by name (JSON)")
    parser.add_argument("out", type=Path, help="the picture (PNG)")
    parser.add_argument("--trader", help="the peer to mark as trader")
    parser.add_argument("--nice", action="store_true", help="run at the lowest priority")
    options = parser.parse_args()
    if options.nice:
        os.nice(19)
    draw(json.loads(options.network.read_text()), options.out, options.trader)


if __name__ == "__main__":
    main()
