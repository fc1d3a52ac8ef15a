"""Parts that an installation may leave out, as the image for containers does: what measures and what draws."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from peers.errors import SettingsError

DRAWING = ("plots", "matplotlib", "networkx", "numpy")
"""What measures, draws, and is needed for that."""


def check_there(command: str, modules: Iterable[str] = DRAWING) -> None:
    """Raises SettingsError if one of these modules, which `bazaar <command>` needs, is not installed here."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise SettingsError(
            f"bazaar {command} needs what measures and draws, which is left out here ({', '.join(missing)} missing), "
            "as it is in the image for containers: run it from a checkout of the project, where `bash run.sh --help` "
            f"installs all of it: .venv/bin/bazaar {command}"
        )
