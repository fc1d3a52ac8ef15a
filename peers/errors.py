"""Every error this project raises on purpose, as one tree.

`BazaarError` says what is wrong and what to do next in one line; the command line prints it without a
traceback. The three errors under `WireError` also cross the network: they keep their fields as attributes on
the other side, so that a caller can act on them (ask the trader it names, mend the field it names, try again).
"""

from __future__ import annotations


class BazaarError(Exception):
    """Something the user can act on. The message says what is wrong and what to do next."""


class SettingsError(BazaarError):
    """An option, a setting or an argument is unusable; nothing was started or changed."""


class TownError(BazaarError):
    """The town cannot start, cannot be found, or a part of it did not come up."""


class LedgerError(BazaarError):
    """The database cannot be used: not reachable, not a replica set, or its schema is not ours."""


class WireError(BazaarError):
    """An answer to a remote call that is an error; see the three classes below."""

    def fields(self) -> dict[str, object]:
        """The constructor's keyword arguments, as they travel: str, int or None."""
        raise NotImplementedError


class NotTrader(WireError):
    """The peer asked is not the trader in office.

    `trader` is the name of the trader it knows of (None where it knows of none), `term` that trader's term.
    """

    def __init__(self, *, trader: str | None, term: int) -> None:
        self.trader = trader
        self.term = term
        who = f"the trader of term {term} is {trader}; ask there" if trader else "no trader is known; try again"
        super().__init__(f"not in office: {who}")

    def fields(self) -> dict[str, object]:
        return {"trader": self.trader, "term": self.term}


class BadRequest(WireError):
    """What was sent is malformed; nothing was changed. `field` names the culprit, `why` says what is wrong."""

    def __init__(self, *, field: str, why: str) -> None:
        self.field = field
        self.why = why
        super().__init__(f"{field}: {why}")

    def fields(self) -> dict[str, object]:
        return {"field": self.field, "why": self.why}


class PostClosed(WireError):
    """Nobody can decide just now (an election is on, the ledger is away, too many wait). Ask again with the same id.

    `retry_after_ms` is how long to wait at least before that; 0 leaves it to the caller.
    """

    def __init__(self, *, why: str = "an election is on", retry_after_ms: int = 0) -> None:
        self.why = why
        self.retry_after_ms = retry_after_ms
        later = f" in {retry_after_ms} ms" if retry_after_ms else ""
        super().__init__(f"the post is closed: {why}; ask again{later} with the same id")

    def fields(self) -> dict[str, object]:
        return {"why": self.why, "retry_after_ms": self.retry_after_ms}


WIRE_ERRORS: tuple[type[WireError], ...] = (NotTrader, BadRequest, PostClosed)
