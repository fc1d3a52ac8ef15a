"""The bully election (Garcia-Molina, 1982), carried by the edges of the graph.

Its rules: who finds the post vacant asks all of higher rank (Election); each of these that is alive answers and
takes over (Answer); one whom nobody higher answers takes office and tells all (Coordinator). The peer that knows
itself to be the highest need not ask.

What differs from the text book is the carriage. Messages are flooded, each peer passing on an Election once a
round, and an Answer only if it is the highest so far. The highest of all answers at once; every other holds its
answer back for a moment, the lower the longer, and for good if it hears a higher one. Asked and answered that way, an
election costs messages in proportion to the edges, not to the pairs. A peer that hears a higher answer stands back
and waits for the announcement; where none comes, the next attempt begins.
"""

from __future__ import annotations

from typing import ClassVar

from peers.core.bounds import Rank
from peers.core.leadership.elections.base import NOBODY, Electorate, Rounds
from peers.core.leadership.reasons import VacancyReason
from peers.core.messages import ElectionMessage
from peers.core.reports import ElectionStarted

HOLD_FROM, HOLD_TO = 0.25, 0.5
"""The parts of `election_s` for which the second highest and the lowest hold their answers back."""
HOP_PART, NEAR_HOPS = 0.02, 16
"""All wait for so much of `election_s` longer for each hop to the farthest peer and back that is beyond so many: on a
long ring the answer of the highest is under way for that long."""


class Election(ElectionMessage, frozen=True, kw_only=True, tag=True, array_like=True):
    """`candidate` asks everybody of higher rank: the post after `after_term` is vacant, will you take it?

    A peer that may not take the post, as far as it knows, can ask all the same; `stands` is then False, and nobody
    waits for it to take office.
    """

    candidate: Rank
    stands: bool = True

    def begun_by(self) -> int:
        return self.candidate

    def gist(self) -> str:
        return f"candidate {self.candidate}"


class ElectionAnswer(ElectionMessage, frozen=True, kw_only=True, tag=True, array_like=True):
    """`rank` is alive, higher, and takes over the election."""

    rank: Rank

    def gist(self) -> str:
        return f"rank {self.rank}"


class Bully(Rounds):
    """The bully's part of one peer."""

    name: ClassVar[str] = "bully"
    sentence: ClassVar[str] = "everybody of higher rank is asked, and the highest that answers takes office"
    messages: ClassVar[tuple[type[ElectionMessage], ...]] = (Election, ElectionAnswer)

    def __init__(self, electorate: Electorate) -> None:
        super().__init__(electorate)
        # The highest rank that has answered or stands in this round, this peer's own included.
        self._highest = NOBODY
        # Whether this peer only waits for the announcement, after which the next attempt begins.
        self._stood_back = False
        # For how many seconds the answer of this peer is held back, None when none is.
        self._held_back_s: float | None = None

    def start(self, *, after_term: int, attempt: int, reason: VacancyReason) -> None:
        if self._is_under_way(after_term, attempt):
            return
        ctx = self._peers.ctx
        ctx.say(ElectionStarted(peer=ctx.name, after_term=after_term, attempt=attempt, reason=reason))
        eligible = self._peers.eligible(after_term, attempt)
        if ctx.me.rank != eligible[-1]:  # The highest of all has nobody to ask.
            self._peers.flood(
                Election(
                    after_term=after_term,
                    attempt=attempt,
                    candidate=ctx.me.rank,
                    reason=reason,
                    stands=ctx.me.rank in eligible,
                )
            )
        self._join(after_term, attempt, None, reason)

    def on_message(self, sender: int, message: ElectionMessage) -> None:
        if isinstance(message, Election):
            self._on_election(sender, message)
        elif isinstance(message, ElectionAnswer):
            self._on_answer(sender, message)

    def _on_election(self, sender: int, election: Election) -> None:
        if self._is_under_way(election.after_term, election.attempt):
            return
        self._peers.flood(election, but=sender)
        candidate = election.candidate if election.stands else NOBODY
        self._join(election.after_term, election.attempt, candidate, election.reason)

    def _join(self, after_term: int, attempt: int, candidate: int | None, reason: VacancyReason) -> None:
        """Takes part in a round; `candidate` asked for it, NOBODY if it does not stand, None if we began it."""
        rank, eligible = self._peers.ctx.me.rank, self._peers.eligible(after_term, attempt)
        self._round, self._reason, self._stood_back = (after_term, attempt), reason, False
        self._highest = candidate if candidate is not None and candidate in eligible else NOBODY
        self._held_back_s = None
        wait_s = self._patience_s()
        if rank in eligible and rank > self._highest:
            self._highest = rank
            if candidate is not None and rank == eligible[-1]:
                self._answer(after_term, attempt)
            elif candidate is not None:
                above = 1 - eligible.index(rank) / len(eligible)
                wait_s = self._held_back_s = wait_s * (HOLD_FROM + (HOLD_TO - HOLD_FROM) * above)
        if rank == eligible[-1]:
            self._peers.nominate(after_term)
        self._peers.ctx.set_timer("election", wait_s)

    def _answer(self, after_term: int, attempt: int) -> None:
        rank = self._peers.ctx.me.rank
        self._peers.flood(ElectionAnswer(after_term=after_term, attempt=attempt, reason=self._reason, rank=rank))

    def _on_answer(self, sender: int, answer: ElectionAnswer) -> None:
        if self._round != (answer.after_term, answer.attempt) or answer.rank <= self._highest:
            return
        if not self._is_up(answer.rank):  # There is nobody to wait for.
            return
        self._highest = answer.rank
        self._peers.flood(answer, but=sender)

    def on_timer(self) -> None:
        if self._round is None:
            return
        ctx = self._peers.ctx
        after_term, attempt = self._round
        if self._held_back_s is not None:
            if self._highest == ctx.me.rank:
                self._answer(after_term, attempt)
            ctx.set_timer("election", max(self._patience_s() - self._held_back_s, 0.0))
            self._held_back_s = None
            return
        if self._stood_back:
            self.start(after_term=after_term, attempt=attempt + 1, reason=self._reason)
            return
        if self._highest == ctx.me.rank:  # Nobody higher has answered.
            self._peers.nominate(after_term)
        self._stood_back = True
        ctx.set_timer("election", self._announcement_s())

    def on_lost(self) -> None:
        """Perhaps the one to win was lost: the next one acts and does not wait."""
        if self._round is not None and self._eligible()[-1] == self._peers.ctx.me.rank:
            self._peers.nominate(self._round[0])

    def _patience_s(self) -> float:
        return super()._patience_s() * (1 + HOP_PART * max(0, self._round_trip_hops() - NEAR_HOPS))
