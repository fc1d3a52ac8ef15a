"""Which post a term, or a bid, is of: that of this peer's own area, or that of another whose trader is gone.

A peer may do the work of two traders at the same time. Each has an entry under way of its own, and so it has timers
of its own.
"""

from __future__ import annotations

import msgspec

from peers.core.inputs import TimerName


class Seat(msgspec.Struct, frozen=True):
    """The post of `area`; "" is the only one there is. `stands_in`: it is kept for its own people,
    until they have elected somebody."""

    area: str = ""
    stands_in: bool = False

    @property
    def ledger_timer(self) -> TimerName:
        """The timer that tries again what the ledger could not do."""
        return "stand_in_ledger" if self.stands_in else "ledger"

    @property
    def gather_timer(self) -> TimerName:
        """The timer that ends the wait for more requests."""
        return "stand_in_gather" if self.stands_in else "gather"


THE_ONLY = Seat()
"""The seat of a trader who shares the log with nobody."""
