"""Markets by name: each a small file of settings in `peers/markets`, over the same code as all others."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from peers.errors import SettingsError

_FILES = Path(__file__).parents[2] / "markets"


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """One market: what it is in a sentence, nested values as for `make_settings`, whether some both buy and sell, and
    which areas it has unless others are asked for (with commas; none for a single post), and in how many members its
    books are where they are the town's own."""

    name: str
    about: str
    settings: dict[str, Any]
    merchants: bool = False
    areas: str | None = None
    replicas: int = 1


def preset_names() -> tuple[str, ...]:
    """Returns the names that `find_preset` knows."""
    return tuple(sorted(path.stem for path in _FILES.glob("*.toml")))


def find_preset(name: str) -> Preset:
    """Returns the market of that name; SettingsError, which names all there are, if there is none."""
    if name not in preset_names():
        raise SettingsError(f"there is no market called {name}; there are {', '.join(preset_names())}")
    values = tomllib.loads((_FILES / f"{name}.toml").read_text(encoding="utf-8"))
    return Preset(
        name=name,
        about=values.pop("about"),
        merchants=bool(values.pop("merchants", False)),
        areas=values.pop("areas", None),
        replicas=int(values.pop("replicas", 1)),
        settings=values,
    )
