"""Every error this project raises on purpose, as one tree.

`BazaarError` says what is wrong and what to do next in one line; the command line prints it without a
traceback. The errors under `WireError` also cross the network, with their fields, so that a caller can act on
them: ask the trader it names, mend the field it names, try again. Any Pyro5 client can read them, for they travel
as builtins (`peers.rpc.forms.public_errors`); one that has this module makes them ours again with `wire_error_of`.
"""

from __future__ import annotations

from typing import ClassVar


class BazaarError(Exception):
    """Something the user can act on. The message says what is wrong and what to do next."""


class ToldToEnd(KeyboardInterrupt):
    """The program was told to end, by SIGTERM or SIGHUP. It ends a command as a Ctrl-C does; but to a person at a
    prompt a Ctrl-C ends only what is asked for or typed just now, and this ends the visit."""


class SettingsError(BazaarError):
    """An option, a setting or an argument is unusable; nothing was started or changed."""


class TownError(BazaarError):
    """The town cannot start, cannot be found, or a part of it did not come up."""


class LedgerError(BazaarError):
    """The database cannot be used: not reachable, not a replica set, or its schema is not ours."""


class WireError(BazaarError):
    """An error that a remote call was answered with: one of the classes below."""

    FIELDS: ClassVar[tuple[str, ...]]
    """The constructor's keyword arguments, each an attribute too: str, int or None, as they travel."""

    def fields(self) -> dict[str, object]:
        """Returns the constructor's keyword arguments."""
        return {name: getattr(self, name) for name in self.FIELDS}


class NotTrader(WireError):
    """The peer asked is not the trader in office.

    `trader` is the name of the trader it knows of, `trader_uri` where to call it (each None where it knows of none),
    `term` that trader's term.
    """

    FIELDS = ("trader", "term", "trader_uri")

    def __init__(self, *, trader: str | None, term: int, trader_uri: str | None = None) -> None:
        self.trader = trader
        self.term = term
        self.trader_uri = trader_uri
        where = f" at {trader_uri}" if trader_uri else ""
        who = f"ask {trader}, the trader of term {term},{where}" if trader else "no trader is known, so try again"
        super().__init__(f"not in office: {who.rstrip(',')}")


class BadRequest(WireError):
    """What was sent is malformed; nothing was changed. `field` names the culprit, `why` says what is allowed."""

    FIELDS = ("field", "why")

    def __init__(self, *, field: str, why: str) -> None:
        self.field = field
        self.why = why
        super().__init__(f"{field}: {why}")


class NotAllowed(BadRequest):
    """Whoever holds the certificate that was shown may not do that; nothing was changed. `field` names what is not
    the caller's to say (`method`: the whole call), `why` says whose it is."""


class PostClosed(WireError):
    """Nobody can decide just now (an election is on, the ledger is away, too many wait). Ask again with the same id.

    `retry_after_ms` is how long to wait at least before that; 0 leaves it to the caller.
    """

    FIELDS = ("why", "retry_after_ms")

    def __init__(self, *, why: str = "an election is on", retry_after_ms: int = 0) -> None:
        self.why = why
        self.retry_after_ms = retry_after_ms
        later = f" in {retry_after_ms} ms" if retry_after_ms else ""
        super().__init__(f"the post is closed: {why}; ask again{later} with the same id")


WIRE_ERRORS: tuple[type[WireError], ...] = (NotTrader, BadRequest, NotAllowed, PostClosed)

_BY_NAME: dict[object, type[WireError]] = {kind.__name__: kind for kind in WIRE_ERRORS}


def wire_error_of(error: BaseException) -> WireError | None:
    """Returns our own error for what a call through a stock Pyro5 client ended with, None if it is none of ours.

    Such a client raises a builtin exception whose attribute `error` is the name of our class, and which has that
    class's fields as attributes; others it may have are left out.
    """
    if isinstance(error, WireError):
        return error
    kind = _BY_NAME.get(getattr(error, "error", None))
    if kind is None or not all(hasattr(error, name) for name in kind.FIELDS):
        return None
    return kind(**{name: getattr(error, name) for name in kind.FIELDS})
