"""The shared look of all figures: one palette, one type size, one way to save.

The colours are Okabe and Ito's, which people with any of the common kinds of colour blindness can tell apart. Sizes
are in inches as printed: a figure is as wide as a page's text, so that nothing shrinks when it is put there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from peers.files import written_whole

BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
SKY = "#56B4E9"
INK = "#22262B"
GREY = "#8A9099"
PALE = "#D9DDE2"

THEIRS = VERMILION
"""What the authors of an earlier system measured, wherever it stands beside ours."""

PAGE_WIDTH = 7.2  # In inches: the text width of an A4 or letter page.
DPI = 200  # Dots per inch, enough to be sharp when printed.

_LOOK: dict[Any, Any] = {
    "figure.dpi": DPI,
    "font.size": 9,
    "font.family": "DejaVu Sans",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": PALE,
    "grid.linewidth": 0.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "text.color": INK,
    "savefig.facecolor": "white",
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draws what is drawn within in the house's look, and leaves matplotlib as it was."""
    with mpl.rc_context(_LOOK):
        yield


def save(figure: Figure, out: Path) -> None:
    """Writes `figure` as PNG, whole or not at all, and lets go of it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(out) as picture:
        figure.savefig(picture, format="png", dpi=DPI)
    plt.close(figure)
