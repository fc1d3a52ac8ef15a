"""Notices when the ledger is silent: who holds the post, or bids for it, and cannot reach the books, serves nobody.

Silence alone says little, for a slow disk is silent too. So after half of the patience the ledger is asked for a sign
of life, which no write holds up, and only where that does not come either is the ledger away.
"""

from __future__ import annotations

from peers.core.context import Context
from peers.core.ledger.port import LedgerAway, Operation, Reach, Result, Unknown


class BooksWatch:
    """Watches for as long as one bid, or one term, lasts."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        # When the ledger last did what it was asked for, in seconds of the monotonic clock.
        self._heard_s = ctx.now.mono_s
        self._looked_s = ctx.now.mono_s
        self._is_asked = False  # For a sign of life that has not come.
        self._has_asked = False  # For one since the ledger last did what it was asked for.

    @property
    def is_in_doubt(self) -> bool:
        """Whether the ledger was asked for a sign of life that has not come."""
        return self._is_asked

    def on_ledger(self, operation: Operation, result: Result) -> None:
        """Takes in whatever the ledger answers."""
        if isinstance(operation, Reach):
            self._is_asked = False
        if not isinstance(result, Unknown | LedgerAway):
            self._heard_s, self._has_asked = self._ctx.now.mono_s, False

    def is_away(self) -> bool:
        """Whether the ledger has been silent for longer than the patience. To be asked with each heartbeat."""
        now_s, timing = self._ctx.now.mono_s, self._ctx.settings.timing
        patience_s = timing.ledger_patience_s
        if now_s - self._looked_s > timing.heartbeat_interval_s + patience_s / 2:
            self._heard_s = now_s  # It was us who did not listen.
        self._looked_s = now_s
        silent_s = now_s - self._heard_s
        # Where heartbeats are further apart than the patience is long, nothing has been asked yet when it is over.
        is_away = silent_s > patience_s and self._has_asked
        if silent_s > patience_s / 2 and not self._is_asked:
            self._is_asked = self._has_asked = True
            self._ctx.perform(Reach())
        return is_away
