"""The ring election (Chang and Roberts, 1979), in the version that gathers who is alive (Tanenbaum, 1992).

The peers stand in a ring by rank. Who finds the post vacant sends a message to its successor; each adds its rank, if
it may take the post, and sends it on. When the message is back at its beginner, the highest of those it gathered has
won, and is told. Several may begin: of two messages the one with the lower beginner is swallowed by whoever has seen
the other, and where both get through they agree. A member that is gone is passed over, so that the ring closes.

What differs from the text book is the carriage. The ring is one of ranks, and messages travel along the edges of the
graph only: to the successor they are forwarded along a shortest path, each peer on the way choosing the next hop by
its own map. On a graph that is the ring itself that is one hop. What is lost with a peer is made good at once, as the
loss is news: the beginner sends another lap; if it was the beginner that was lost, the highest begins one. What is
lost on its way is made good by a timer, which begins the next attempt.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from peers.core.bounds import Count, Rank, Ranks
from peers.core.leadership.elections.base import Electorate, Rounds
from peers.core.leadership.reasons import VacancyReason
from peers.core.membership.overlay_graph import distances, next_hop
from peers.core.messages import ElectionMessage
from peers.core.reports import ElectionStarted

MOST_PATIENT = 20
"""A later attempt waits for longer, but not more than so many times."""
HOP_PART = 0.1
"""A lap may take so much of the patience of peers for each of its hops, before it counts as lost."""

_Lap = tuple[int, int]
"""Who began it, and how many that peer had begun before in the same round. A higher one swallows a lower one."""


class RingElection(ElectionMessage, frozen=True, kw_only=True, tag=True, array_like=True):
    """On its way round the ring of `beginner`, now to the member `to`: it has gathered `standing`.

    Peers whose maps differ for a moment may send it to and fro, so it is dropped when it has no `hops_left`.
    """

    beginner: Rank
    lap: Count
    standing: Ranks
    to: Rank
    hops_left: Count

    def begun_by(self) -> int:
        return self.beginner

    def gist(self) -> str:
        gathered = ", ".join(map(str, self.standing)) or "nobody"
        return f"lap {self.lap} of {self.beginner}, to {self.to}, gathered {gathered}"


class RingWinner(ElectionMessage, frozen=True, kw_only=True, tag=True, array_like=True):
    """The beginner of a lap tells `winner` that it is the highest of those who stand."""

    winner: Rank
    hops_left: Count

    def gist(self) -> str:
        return f"winner {self.winner}"


class Ring(Rounds):
    """One member's part."""

    name: ClassVar[str] = "ring"
    sentence: ClassVar[str] = "a message goes round by rank and gathers who is alive, and the highest takes office"
    messages: ClassVar[tuple[type[ElectionMessage], ...]] = (RingElection, RingWinner)

    def __init__(self, electorate: Electorate) -> None:
        super().__init__(electorate)
        # The highest lap seen in this round, and the last one that this peer added itself to.
        self._lap: _Lap | None = None
        self._added_to: _Lap | None = None
        # How many laps this peer has begun in this round.
        self._begun = 0
        # Who won the lap that this peer began, None until it is back.
        self._winner: int | None = None

    def start(self, *, after_term: int, attempt: int, reason: VacancyReason) -> None:
        if self._is_under_way(after_term, attempt):
            return
        ctx = self._peers.ctx
        ctx.say(ElectionStarted(peer=ctx.name, after_term=after_term, attempt=attempt, reason=reason))
        self._enter(after_term, attempt, reason)
        self._begin_lap()

    def _enter(self, after_term: int, attempt: int, reason: VacancyReason) -> None:
        self._round, self._reason = (after_term, attempt), reason
        self._lap, self._added_to, self._winner, self._begun = None, None, None, 0

    # -- the lap -------------------------------------------------------------------------------------------

    def _begin_lap(self) -> None:
        assert self._round is not None
        rank = self._peers.ctx.me.rank
        lap, self._begun = self._begun, self._begun + 1
        self._lap = self._added_to = (rank, lap)
        self._winner = None
        self._wait(self._lap_s())
        after_term, attempt = self._round
        election = RingElection(
            after_term=after_term,
            attempt=attempt,
            reason=self._reason,
            beginner=rank,
            lap=lap,
            standing=(rank,) if rank in self._eligible() else (),
            to=rank,
            hops_left=0,
        )
        self._pass_on(election)

    def _pass_on(self, election: RingElection) -> None:
        """Sends it to the next member of the ring that is up."""
        up = [member.rank for member in self._peers.ctx.members.up()]
        to = next((rank for rank in up if rank > election.to), up[0])
        if to == self._peers.ctx.me.rank:
            self._on_back(election)
        else:
            self._forward(msgspec.structs.replace(election, to=to, hops_left=len(up)), to)

    def _forward(self, message: RingElection | RingWinner, to: int) -> None:
        """Sends it one hop nearer to `to`. Where there is no way, or it has come too far, the timer has to help."""
        ctx = self._peers.ctx
        hop = next_hop(ctx.graph, ctx.me.rank, to)
        if hop is not None and message.hops_left > 0:
            self._peers.send(hop, msgspec.structs.replace(message, hops_left=message.hops_left - 1))

    def on_message(self, sender: int, message: ElectionMessage) -> None:
        del sender  # The message says whose it is and to whom it goes; who carried it here does not matter.
        if isinstance(message, RingElection):
            self._on_election(message)
        elif isinstance(message, RingWinner):
            self._on_winner(message)

    def _on_election(self, election: RingElection) -> None:
        if not self._is_under_way(election.after_term, election.attempt):
            self._enter(election.after_term, election.attempt, election.reason)
        lap = (election.beginner, election.lap)
        is_old = self._round != (election.after_term, election.attempt)
        if is_old or not self._is_up(election.beginner) or self._swallows(lap):
            return
        rank = self._peers.ctx.me.rank
        if election.beginner == rank and election.lap >= self._begun:
            return  # It was not begun here, whoever says so.
        self._lap = lap
        # The beginner waits the shortest, the highest next: not all are to begin the next attempt at once.
        self._wait(self._lap_s() * (2 + self._below_the_highest()) if election.beginner != rank else self._lap_s())
        if election.to != rank and self._is_up(election.to):
            self._forward(election, election.to)
        elif election.to != rank:
            self._pass_on(election)
        elif election.beginner == rank:
            self._on_back(election)
        elif self._added_to != lap:  # A message that came twice goes on once.
            self._added_to = lap
            mine = (rank,) if rank in self._eligible() else ()
            self._pass_on(msgspec.structs.replace(election, standing=election.standing + mine))

    def _swallows(self, lap: _Lap) -> bool:
        """Whether a higher lap was seen in this round, whose beginner is there to get it back."""
        return self._lap is not None and lap < self._lap and self._is_up(self._lap[0])

    # -- the winner ----------------------------------------------------------------------------------------

    def _on_back(self, election: RingElection) -> None:
        """The lap that this peer began is over."""
        standing = [rank for rank in election.standing if self._is_up(rank)]
        self._winner = max(standing, default=None)
        if self._winner is None:  # All are barred, or so they think. A later attempt is open to all.
            self._wait(self._patience_s())
            return
        self._tell_winner()
        self._wait(self._announcement_s())

    def _tell_winner(self) -> None:
        assert self._round is not None
        assert self._winner is not None
        after_term, attempt = self._round
        if self._winner == self._peers.ctx.me.rank:
            self._peers.nominate(after_term)
            return
        hops = len(self._peers.ctx.members.up())
        told = RingWinner(
            after_term=after_term, attempt=attempt, reason=self._reason, winner=self._winner, hops_left=hops
        )
        self._forward(told, self._winner)

    def _on_winner(self, message: RingWinner) -> None:
        if not self._is_under_way(message.after_term, message.attempt):
            self._enter(message.after_term, message.attempt, message.reason)
            self._wait(self._lap_s() * (2 + self._below_the_highest()))
        if message.winner != self._peers.ctx.me.rank:
            self._forward(message, message.winner)
        else:
            self._peers.nominate(message.after_term)
            self._wait(self._announcement_s())

    # -- what is lost --------------------------------------------------------------------------------------

    def on_lost(self) -> None:
        """The message may have been lost with a peer that carried it, or its beginner, or the winner."""
        if self._round is None:
            return
        rank = self._peers.ctx.me.rank
        if self._lap is not None and self._lap[0] == rank:
            if self._winner is not None and self._is_up(self._winner):
                self._tell_winner()
            else:
                self._begin_lap()
        elif (self._lap is None or not self._is_up(self._lap[0])) and self._eligible()[-1] == rank:
            self._begin_lap()

    def on_timer(self) -> None:
        if self._round is not None:
            after_term, attempt = self._round
            self.start(after_term=after_term, attempt=attempt + 1, reason=self._reason)

    def _lap_s(self) -> float:
        """How long a lap may take here: on the mean a member is as far from the next as this peer from the others."""
        assert self._round is not None
        ctx = self._peers.ctx
        hops = sum(distances(ctx.graph, ctx.me.rank).values())
        return self._patience_s() * (1 + HOP_PART * hops) * min(self._round[1] + 1, MOST_PATIENT)

    def _wait(self, wait_s: float) -> None:
        self._peers.ctx.set_timer("election", wait_s)
