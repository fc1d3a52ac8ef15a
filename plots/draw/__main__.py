"""`python -m plots.draw FOLDER …` draws again what a bench, an experiment or a chaos run has left in a folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from peers.chaos.events import HISTORY
from peers.errors import SettingsError
from plots.draw import bench, chaos
from plots.draw.experiments import drawing
from plots.results.bench import REPORT
from plots.results.experiments.record import RECORD

_KNOWN: dict[str, Callable[[Path], list[Path]]] = {
    REPORT: bench.draw_saved,
    HISTORY: chaos.draw_saved,
    RECORD: drawing.draw_saved,
}
"""By the file that tells what a folder holds."""


def draw_saved(folder: Path) -> list[Path]:
    """Draws all that is in `folder`; returns where the figures are. SettingsError if nothing there is known."""
    found = [draw for name, draw in _KNOWN.items() if (folder / name).exists()]
    if not found:
        raise SettingsError(f"{folder} holds nothing to draw: there is no {' and no '.join(_KNOWN)}")
    return [path for draw in found for path in draw(folder)]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m plots.draw", description="Draws what was measured, again.")
    parser.add_argument(
        "folder", type=Path, nargs="+", help="where a bench, an experiment or a chaos run left its data"
    )
    try:
        for folder in parser.parse_args().folder:
            print("\n".join(str(path) for path in draw_saved(folder)))
    except SettingsError as error:
        sys.exit(f"plots.draw: {error}")


if __name__ == "__main__":
    main()
