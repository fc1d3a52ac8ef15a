"""Which version of this program this is: machines of one town should run the same."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_SOURCE = Path(__file__).parents[1] / "pyproject.toml"


def program_version(source: Path = _SOURCE) -> str:
    """Returns the version of this program: as installed, else as its `source` says where it is run from that, as in
    the image for containers; "" where nothing tells."""
    try:
        return version("trading-post")
    except PackageNotFoundError:
        return _version_in(source)


def _version_in(source: Path) -> str:
    try:
        found = tomllib.loads(source.read_text(encoding="utf-8")).get("project", {}).get("version", "")
    except (OSError, ValueError):
        return ""
    return str(found)
