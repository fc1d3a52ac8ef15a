"""Numbers in words, for people."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """Returns how many there are, as in `1 purchase` or `1,200 purchases`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
