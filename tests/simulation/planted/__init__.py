"""Known mistakes, to be switched on in tests: does the checker find what it is there to find?

Each is a context manager that patches one function of the core, of the ledger, or of the simulated road to it. The
seeds named first are known to catch it; a test tries those, then others.
"""

from __future__ import annotations

from tests.simulation.planted import (
    compensation,
    elections,
    journals,
    lies,
    log_and_books,
    reading,
    rules,
    sharing,
    trading,
)
from tests.simulation.planted.mistake import MISTAKES, Planted

__all__ = [
    "MISTAKES", "Planted", "compensation", "elections", "journals", "lies", "log_and_books", "reading",
    "rules", "sharing", "trading",
]  # fmt: skip
