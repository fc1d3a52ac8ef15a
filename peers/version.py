"""Which version of this program this is: machines of one town should run the same."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def program_version() -> str:
    """Returns the version of this program, "" where it was not installed."""
    try:
        return version("trading-post")
    except PackageNotFoundError:
        return ""
