"""What every election algorithm is given, and what it must do.

An algorithm only *nominates*: it calls `Electorate.nominate` on the peer that should take office. Whether that
peer gets the post is decided by the ledger, so that an algorithm may err under any timing without harm.
"""

from __future__ import annotations

from typing import Protocol

from peers.core.context import Context
from peers.core.leadership.reasons import VacancyReason
from peers.core.messages import Election, ElectionAnswer

ElectionMessage = Election | ElectionAnswer

AT_THE_START = 5
"""In the first election peers wait for each other so many times longer, for some are still starting."""


def patience_s(ctx: Context, reason: VacancyReason | None) -> float:
    """Returns how long to wait for an answer in an election for this reason; longer where things come late here."""
    wait_s = ctx.settings.timing.election_s + ctx.late_s
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

    def nominate(self, after_term: int) -> None:
        """Has this peer try to take office."""


class ElectionAlgorithm(Protocol):
    """One peer's part in an election. `after_term` names the vacancy, `attempt` the round for it."""

    name: str

    def start(self, *, after_term: int, attempt: int, reason: VacancyReason) -> None:
        """Begins a round, unless the same or a later one is on already."""

    def on_message(self, sender: int, message: ElectionMessage) -> None:
        """Takes in an election message of the present vacancy."""

    def on_timer(self) -> None:
        """The `election` timer came due."""

    def stop(self) -> None:
        """The post is filled."""

    def reason(self) -> VacancyReason | None:
        """Why the round under way is held, None when none is."""

    def attempt(self) -> int | None:
        """The round under way, None when none is."""
