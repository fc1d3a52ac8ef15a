"""The echo algorithm with extinction (Chang, 1982; Tel, "Introduction to Distributed Algorithms", 2000).

Made for arbitrary graphs. Who may take the post sends an explorer along all its edges; each peer that it reaches
passes it on along its others, and answers with an echo the one it came from once all of those have answered: with an
echo, or with the same explorer, which came to them another way. A higher wave swallows a lower one: who has seen the
higher says nothing more for the lower, which therefore never ends. A wave that has ended has reached everybody, and
nobody objected; so its initiator *knows* that all who can be reached agree, and takes office.

Peers that may take the post start waves of their own when they meet a lower one: the highest at once, in place of
that one; every other lets the lower pass, but holds its echo back and waits for a moment, the lower the longer, in
which mostly a higher wave comes. So an election costs a part of a wave, to wake the highest, and one whole wave,
which is at most two messages an edge. A peer that may not take the post starts a wave to wake others; it ranks below
all of theirs.

A wave some of whose peers are lost may have lost its way back: the initiator sends another one, higher than its last.
If it was the initiator that was lost, any other wave swallows its wave, and the highest begins one. Messages that
get lost are made good by a timer, which begins the next attempt.
"""

from __future__ import annotations

from typing import ClassVar

from peers.core.bounds import Count, Rank
from peers.core.leadership.elections.base import Electorate, Rounds
from peers.core.leadership.reasons import VacancyReason
from peers.core.messages import ElectionMessage
from peers.core.reports import ElectionStarted

HOLD_FROM, HOLD_TO = 0.25, 0.5
"""The parts of `election_s` that the second highest and the lowest wait for a higher wave than the one they met."""
HOP_PART = 0.02
"""They wait for so much of `election_s` more for each hop to the farthest peer and back: the highest may be there."""

_Wave = tuple[bool, int, int]
"""Whether its initiator may take the post, its rank, and how many waves that peer had started in the same round."""


class Wave(ElectionMessage, frozen=True, kw_only=True, tag=True, array_like=True):
    """The explorer of a wave. `found_by` is the peer that began the election, whose wave may be swallowed by now."""

    initiator: Rank
    number: Count
    stands: bool
    found_by: Rank

    def begun_by(self) -> int:
        return self.found_by

    def gist(self) -> str:
        return f"wave {self.number} of {self.initiator}{'' if self.stands else ', who does not stand'}"


class WaveEcho(ElectionMessage, frozen=True, kw_only=True, tag=True, array_like=True):
    """The sender, and all that it passed the wave on to, agree."""

    initiator: Rank
    number: Count
    stands: bool

    def gist(self) -> str:
        return f"wave {self.number} of {self.initiator}"


class Echo(Rounds):
    """One peer's part."""

    name: ClassVar[str] = "echo"
    sentence: ClassVar[str] = "a wave floods the graph and comes back, so that the highest knows that all agree"
    messages: ClassVar[tuple[type[ElectionMessage], ...]] = (Wave, WaveEcho)

    def __init__(self, electorate: Electorate) -> None:
        super().__init__(electorate)
        self._found_by = electorate.ctx.me.rank
        # How many waves this peer has started in this round.
        self._started = 0
        # The highest wave met in this round, and the neighbour it came from, None if it is this peer's own.
        self._wave: _Wave | None = None
        self._parent: int | None = None
        # The neighbours that have not answered for this wave.
        self._pending: set[int] = set()
        # Whether this peer holds its echo back, for it may take the post rather than the initiator.
        self._objects = False
        # Whether this peer has said its last to this wave: an echo, or that it stands.
        self._is_done = False

    def start(self, *, after_term: int, attempt: int, reason: VacancyReason) -> None:
        if self._is_under_way(after_term, attempt):
            return
        ctx = self._peers.ctx
        ctx.say(ElectionStarted(peer=ctx.name, after_term=after_term, attempt=attempt, reason=reason))
        self._enter(after_term, attempt, reason, ctx.me.rank)
        self._start_wave()

    def _enter(self, after_term: int, attempt: int, reason: VacancyReason, found_by: int) -> None:
        self._round, self._reason, self._found_by = (after_term, attempt), reason, found_by
        self._started, self._wave = 0, None

    # -- the wave ------------------------------------------------------------------------------------------

    def _start_wave(self) -> None:
        rank = self._peers.ctx.me.rank
        wave = (rank in self._eligible(), rank, self._started)
        self._started += 1
        self._wait(self._announcement_s())
        self._join(wave, parent=None)

    def _join(self, wave: _Wave, *, parent: int | None) -> None:
        """Becomes part of a wave, and passes it on."""
        assert self._round is not None
        self._wave, self._parent, self._is_done = wave, parent, False
        self._pending = {rank for rank in self._peers.ctx.neighbours if rank != parent}
        self._objects = parent is not None and self._is_above(wave)
        stands, initiator, number = wave
        after_term, attempt = self._round
        explorer = Wave(
            after_term=after_term,
            attempt=attempt,
            reason=self._reason,
            initiator=initiator,
            number=number,
            stands=stands,
            found_by=self._found_by,
        )
        self._peers.flood(explorer, but=parent)
        self._answer_if_all_have()

    def _is_above(self, wave: _Wave) -> bool:
        """Whether this peer may take the post rather than the initiator of that wave."""
        stands, initiator, _ = wave
        rank = self._peers.ctx.me.rank
        return rank in self._eligible() and not (stands and initiator >= rank)

    def on_message(self, sender: int, message: ElectionMessage) -> None:
        if isinstance(message, Wave):
            self._on_wave(sender, message)
        elif isinstance(message, WaveEcho):
            self._on_echo(sender, message)

    def _on_wave(self, sender: int, explorer: Wave) -> None:
        if not self._is_under_way(explorer.after_term, explorer.attempt):
            self._enter(explorer.after_term, explorer.attempt, explorer.reason, explorer.found_by)
        if self._round != (explorer.after_term, explorer.attempt):
            return
        wave = (explorer.stands, explorer.initiator, explorer.number)
        is_forged = explorer.initiator == self._peers.ctx.me.rank and explorer.number >= self._started
        if is_forged or not self._is_up(explorer.initiator):
            return
        if wave == self._wave:
            self._on_met(sender)
        elif self._wave is None or not self._is_up(self._wave[1]) or wave > self._wave:
            self._on_higher(sender, wave)

    def _on_met(self, sender: int) -> None:
        """The wave came to the sender another way, so that it will send no echo here."""
        self._pending.discard(sender)
        if sender not in self._peers.ctx.neighbours:  # It counts us among its own, and waits for our answer.
            self._echo(sender)
        self._answer_if_all_have()

    def _on_higher(self, sender: int, wave: _Wave) -> None:
        rank, eligible = self._peers.ctx.me.rank, self._eligible()
        if self._is_above(wave) and rank == eligible[-1]:
            self._start_wave()
            return
        self._join(wave, parent=sender)
        below = self._below_the_highest()
        if self._objects:
            hops = HOP_PART * self._round_trip_hops()
            self._wait(self._patience_s() * (HOLD_FROM + (HOLD_TO - HOLD_FROM) * below + hops))
        else:
            self._wait(self._announcement_s() * (1.5 + below))

    # -- the echo ------------------------------------------------------------------------------------------

    def _on_echo(self, sender: int, echo: WaveEcho) -> None:
        is_mine = self._round == (echo.after_term, echo.attempt)
        if is_mine and self._wave == (echo.stands, echo.initiator, echo.number):
            self._pending.discard(sender)
            self._answer_if_all_have()

    def _answer_if_all_have(self) -> None:
        if self._pending or self._objects or self._is_done:
            return
        self._is_done = True
        if self._parent is not None:
            self._echo(self._parent)
            return
        assert self._wave is not None
        assert self._round is not None
        if self._wave[0]:
            self._peers.nominate(self._round[0])
            self._wait(self._announcement_s())
        else:  # Nobody stands, or so they think. A later attempt is open to all.
            self._wait(self._patience_s())

    def _echo(self, to: int) -> None:
        assert self._wave is not None
        assert self._round is not None
        stands, initiator, number = self._wave
        after_term, attempt = self._round
        self._peers.send(
            to,
            WaveEcho(
                after_term=after_term,
                attempt=attempt,
                reason=self._reason,
                initiator=initiator,
                number=number,
                stands=stands,
            ),
        )

    # -- what is lost --------------------------------------------------------------------------------------

    def on_lost(self) -> None:
        """The wave may have lost its way back, or its initiator, who may have been about to take office."""
        if self._round is None:
            return
        rank = self._peers.ctx.me.rank
        is_mine = self._wave is not None and self._wave[1] == rank
        is_adrift = self._wave is None or not self._is_up(self._wave[1])
        if (is_mine and not self._is_done) or (is_adrift and self._eligible()[-1] == rank):
            self._start_wave()

    def on_timer(self) -> None:
        if self._round is None:
            return
        if self._objects:
            self._start_wave()
            return
        after_term, attempt = self._round
        self.start(after_term=after_term, attempt=attempt + 1, reason=self._reason)

    def _wait(self, wait_s: float) -> None:
        self._peers.ctx.set_timer("election", wait_s)
