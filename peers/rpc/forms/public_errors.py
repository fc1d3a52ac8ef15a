"""Errors in the form in which any Pyro5 client can read them, also one that has nothing of ours.

A stock client makes an exception anew only if its class is a builtin or one of Pyro5's own; of any other it raises a
`SerializeError`, and what was wrong is lost. So ours travel as builtins: their sentence says it all, and the
attributes `error` (our name for it) and those of `peers.errors` say it once more to programs. This is the one place
that decides how an exception leaves this process, whatever the serializer, alone or in a batch.

Whatever else happens here is a `ServerFault` to callers: the kind of it is named, and nothing more, for what an
unexpected exception says may be a path, an address or a secret. No traceback travels either.
"""

from __future__ import annotations

import itertools
import logging

from Pyro5 import errors, serializers

from peers.errors import BadRequest, NotAllowed, NotTrader, PostClosed, WireError

_log = logging.getLogger(__name__)
_faults = itertools.count(1)
_ALL_TOLD = 20
"""So many faults of a process are all told; after them, each whose number is a power of two."""

_TRAVELS_AS: dict[type[WireError], str] = {
    BadRequest: "builtins.ValueError",
    NotAllowed: "builtins.PermissionError",
    NotTrader: "builtins.RuntimeError",
    PostClosed: "builtins.RuntimeError",
}

_OF_DISPATCH = (AttributeError, TypeError, ValueError)
"""What Pyro5 itself raises where there is no such method, or where it cannot read what was sent. Where a method of
ours raises one of these, that is a bug, and `raise_as_fault` has made it a ServerFault before it comes here."""


class ServerFault(Exception):
    """The call met something unexpected here, such as a bug or a full disk. Whether it ran is unknown."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(
            f"the call failed there ({type(error).__name__}); whether it was done is not known, "
            "so ask again with the same id"
        )


def error_form(error: BaseException) -> dict[str, object]:
    """Returns `error` as the dict that Pyro5's serializers send for an exception."""
    if isinstance(error, WireError):
        travels_as, attributes = _TRAVELS_AS[type(error)], error.fields()
    elif isinstance(error, errors.PyroError):
        travels_as, attributes = f"Pyro5.errors.{_pyro_name(type(error))}", {}
    elif type(error) in _OF_DISPATCH:
        travels_as, attributes = f"builtins.{type(error).__name__}", {}
    else:
        if not isinstance(error, ServerFault):
            error = ServerFault(error)
        travels_as, attributes = "builtins.RuntimeError", {}
    attributes = {"error": type(error).__name__, **attributes}
    return {"__class__": travels_as, "__exception__": True, "args": [str(error)], "attributes": attributes}


def _pyro_name(kind: type) -> str:
    """The nearest of Pyro5's own classes: a stock client knows no subclass of ours."""
    return next(each.__name__ for each in kind.__mro__ if each.__module__ == errors.__name__)


def send_errors_readably() -> None:
    """From now on, exceptions leave this process in that form. May be called again."""
    serializers.SerializerBase.register_class_to_dict(BaseException, error_form)


def raise_as_fault(
    _daemon: object, _caller: object, method: object, _arguments: object, _named: object, error: Exception
) -> None:
    """What Pyro5's daemon calls when a method has raised: our own errors pass, any other becomes a ServerFault."""
    if not isinstance(error, WireError):
        log_fault(getattr(method, "__name__", method), error)
        raise ServerFault(error) from error


def log_fault(method: object, error: Exception) -> None:
    """Writes into the log of this process what callers are not told: the first faults, and then fewer and fewer, for
    whoever makes them must not fill the disk."""
    number = next(_faults)
    if number <= _ALL_TOLD or number & (number - 1) == 0:
        _log.error("a call of %s met something unexpected (fault %d)", method, number, exc_info=error)
