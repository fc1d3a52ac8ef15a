"""The lease: whoever raises the term in the ledger first. A yardstick for the others, and no election properly.

Nothing is said. Each peer that may take the post and knows that it is vacant waits for a small random time, so that
not all write at once, and then bids. The log takes one bid for a term and refuses the others, as a lock service would
(Burrows, "The Chubby lock service", 2006; there the winner holds a lease). Which of them wins is left to chance: no
rank is promised, only that it is one.
"""

from __future__ import annotations

from typing import ClassVar

from peers.core.leadership.elections.base import Electorate, Rounds
from peers.core.leadership.reasons import VacancyReason
from peers.core.messages import ElectionMessage
from peers.core.reports import ElectionStarted


class Lease(Rounds):
    """One peer's part: its own wait."""

    name: ClassVar[str] = "lease"
    sentence: ClassVar[str] = "nobody is asked: who writes the next term into the books first has it"
    messages: ClassVar[tuple[type[ElectionMessage], ...]] = ()
    highest_wins: ClassVar[bool] = False
    everybody_starts: ClassVar[bool] = True

    def __init__(self, electorate: Electorate) -> None:
        super().__init__(electorate)
        # Whether this peer is about to bid, and has not yet.
        self._is_to_bid = False

    def start(self, *, after_term: int, attempt: int, reason: VacancyReason) -> None:
        if self._is_under_way(after_term, attempt):
            return
        ctx = self._peers.ctx
        self._round, self._reason = (after_term, attempt), reason
        self._is_to_bid = ctx.me.rank in self._eligible()
        wait_s = ctx.rng.uniform(0.0, self._patience_s()) if self._is_to_bid else self._announcement_s()
        ctx.set_timer("election", wait_s)

    def on_message(self, sender: int, message: ElectionMessage) -> None:
        """Nobody says anything."""

    def on_lost(self) -> None:
        """Nobody waits for anybody."""

    def on_timer(self) -> None:
        if self._round is None:
            return
        after_term, attempt = self._round
        if not self._is_to_bid:
            self.start(after_term=after_term, attempt=attempt + 1, reason=self._reason)
            return
        self._is_to_bid = False
        ctx = self._peers.ctx
        ctx.say(ElectionStarted(peer=ctx.name, after_term=after_term, attempt=attempt, reason=self._reason))
        self._peers.nominate(after_term)
        ctx.set_timer("election", self._announcement_s())
