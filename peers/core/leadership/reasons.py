"""Why the post of trader is vacant, in the words that peers send, books keep and people read."""

from __future__ import annotations

from enum import StrEnum


class VacancyReason(StrEnum):
    """Why nobody holds the post. The value travels in messages and is kept in the books."""

    START = "start"
    CRASHED = "crashed"
    RESIGNED = "resigned"
    LEFT = "left"
    SUSPECTED = "suspected"
    NEEDED = "needed"
    FAR = "far from the books"
    DEPOSED = "deposed"
    BOOKS_CHANGED = "books changed"
    BOOKS_AWAY = "books away"
    END_LOST = "end of the log lost"

    @property
    def sentence(self) -> str:
        """What happened to the last trader, as the end of a sentence that begins with it."""
        return _SENTENCES[self]

    @property
    def is_orderly(self) -> bool:
        """Whether the trader said goodbye: then the lowest-ranked buyer begins the election, and nobody else."""
        return self in (VacancyReason.RESIGNED, VacancyReason.LEFT)


_SENTENCES = {
    VacancyReason.START: "has not been elected yet",
    VacancyReason.CRASHED: "crashed",
    VacancyReason.RESIGNED: "resigned",
    VacancyReason.LEFT: "left the market",
    VacancyReason.SUSPECTED: "was taken for gone",
    VacancyReason.NEEDED: "made way, for it is the last one who buys or the last one who sells",
    VacancyReason.FAR: "made way for one that is nearer to the books",
    VacancyReason.DEPOSED: "was deposed: another's entry stands in the log",
    VacancyReason.BOOKS_CHANGED: "gave up, for the books had been changed by somebody else",
    VacancyReason.BOOKS_AWAY: "does not reach the books",
    VacancyReason.END_LOST: "gave up, for the end of its log was lost with a primary of the database",
}
