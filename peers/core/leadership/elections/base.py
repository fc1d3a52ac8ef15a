"""What every election algorithm is given, and what it must do.

An algorithm brings its own messages: structs in its module, each an `ElectionMessage`. It only *nominates*: it
calls `Electorate.nominate` on the peer that should take office. Whether that peer gets the post is decided by the
ledger, so that an algorithm may err under any timing without harm.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from peers.core.context import Context
from peers.core.leadership.reasons import VacancyReason
from peers.core.membership.overlay_graph import distances
from peers.core.messages import ElectionMessage

AT_THE_START = 5
"""In the first election peers wait for each other so many times longer, for some are still starting."""
PATIENCE = 4
"""Who has done its part waits so many times `election_s` for the announcement before the next attempt."""
MAX_WAIT_S = 5.0
"""The wait for the announcement grows with each attempt, up to so many seconds."""
NOBODY = -1
"""Lower than every rank: nobody has answered or stands."""


CROWD = 50
"""So many peers a machine has processor time for at once, or nearly. What all do at the same time takes longer where
there are more; no setting, for it only keeps an election from being begun anew while it is still under way."""
CROWDED_S = 0.003
"""What each peer more than these costs a machine while all take part in one election, in seconds."""


def beyond_crowd(ctx: Context) -> int:
    """Returns how many more peers are up than a machine has time for at once."""
    return max(0, len(ctx.members.up()) - CROWD)


def patience_s(ctx: Context, reason: VacancyReason | None) -> float:
    """Returns how long to wait for an answer in an election for this reason; longer where things come late here, or
    there are so many that they will."""
    wait_s = ctx.settings.timing.election_s + ctx.late_s + CROWDED_S * beyond_crowd(ctx)
    return AT_THE_START * wait_s if reason is VacancyReason.START else wait_s


class Electorate(Protocol):
    """What an algorithm may ask of the peer it runs in."""

    @property
    def ctx(self) -> Context: ...

    def eligible(self, after_term: int, attempt: int) -> list[int]:
        """Returns the ranks that may take the post left vacant by `after_term`, lowest first; never empty.

        Peers need not agree on it; in a later `attempt` they do.
        """

    def flood(self, message: ElectionMessage, *, but: int | None = None) -> None:
        """Sends along every edge but the one to `but`, and counts the messages."""

    def send(self, rank: int, message: ElectionMessage) -> None:
        """Sends along the edge to `rank`, and counts the message."""

    def nominate(self, after_term: int) -> None:
        """Has this peer try to take office."""


class ElectionAlgorithm(Protocol):
    """One peer's part in an election. `after_term` names the vacancy, `attempt` the round for it."""

    name: ClassVar[str]
    """What people choose it by, and what the election record says."""
    sentence: ClassVar[str]
    """What it does, for the help of the command line."""
    messages: ClassVar[tuple[type[ElectionMessage], ...]]
    """What its peers say to each other."""
    highest_wins: ClassVar[bool]
    """Whether it promises that the highest of those who may take the post does, while nothing goes wrong."""
    everybody_starts: ClassVar[bool]
    """Whether each peer begins for itself once it knows of the vacancy, and is not asked by another."""

    def start(self, *, after_term: int, attempt: int, reason: VacancyReason) -> None:
        """Begins a round, unless the same or a later one is on already."""

    def on_message(self, sender: int, message: ElectionMessage) -> None:
        """Takes in an election message of the present vacancy."""

    def on_lost(self) -> None:
        """Peers were lost during the round under way: what they were to say or to do will not come."""

    def on_timer(self) -> None:
        """The `election` timer came due."""

    def stop(self) -> None:
        """The post is filled."""

    def reason(self) -> VacancyReason | None:
        """Why the round under way is held, None when none is."""

    def attempt(self) -> int | None:
        """The round under way, None when none is."""


class Rounds:
    """What the algorithms have in common: they fill a vacancy in rounds, and a later round ends an earlier one."""

    highest_wins: ClassVar[bool] = True
    everybody_starts: ClassVar[bool] = False

    def __init__(self, electorate: Electorate) -> None:
        self._peers = electorate
        # The term that left the vacancy and the attempt to fill it, None while no election is on.
        self._round: tuple[int, int] | None = None
        self._reason = VacancyReason.START

    def reason(self) -> VacancyReason | None:
        return self._reason if self._round else None

    def attempt(self) -> int | None:
        return self._round[1] if self._round else None

    def stop(self) -> None:
        if self._round is not None:
            self._round = None
            self._peers.ctx.cancel_timer("election")

    def _is_under_way(self, after_term: int, attempt: int) -> bool:
        """Whether this round, or a later one, is on already."""
        return self._round is not None and self._round >= (after_term, attempt)

    def _eligible(self) -> list[int]:
        """Who may take the post in the round under way, lowest first."""
        assert self._round is not None
        return self._peers.eligible(*self._round)

    def _is_up(self, rank: int) -> bool:
        return self._peers.ctx.members.is_up(rank)

    def _patience_s(self) -> float:
        return patience_s(self._peers.ctx, self._reason)

    def _round_trip_hops(self) -> int:
        """How many hops it is to the farthest peer and back."""
        ctx = self._peers.ctx
        return 2 * max(distances(ctx.graph, ctx.me.rank).values(), default=0)

    def _announcement_s(self) -> float:
        """How long to wait in this round for somebody to take office."""
        assert self._round is not None
        return min(PATIENCE * self._patience_s() * (self._round[1] + 1), MAX_WAIT_S)

    def _below_the_highest(self) -> float:
        """Where this peer stands among those that may take the post: 0 is the highest; 1 if it is none of them."""
        rank, eligible = self._peers.ctx.me.rank, self._eligible()
        return 1 - (eligible.index(rank) + 1) / len(eligible) if rank in eligible else 1.0
