"""The digest of what a search showed: written down by who searched, and made again from the log by the audit."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

MOST_ROWS = 10_000
"""An answer to a search has so many rows at most, as the public API says."""


def seen_digest(rows: Iterable[tuple[str, int]]) -> str:
    """Returns the digest of rows in their order, each the id of a deposit and what can be bought of it."""
    text = "\n".join(f"{deposit} {remaining}" for deposit, remaining in rows)
    return sha256(text.encode(errors="replace")).hexdigest()[:16]
