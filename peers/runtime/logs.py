"""A peer's log: `logs/<peer>.log`, one JSON object a line, for what is neither in the books nor in the journals."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, cast

import msgspec
import structlog

from peers.books_address import without_secrets


class Log(Protocol):
    """What the host writes to: an event in a few words, and named details."""

    def info(self, event: str, **details: Any) -> Any: ...

    def warning(self, event: str, **details: Any) -> Any: ...

    def error(self, event: str, **details: Any) -> Any: ...


class NoLog:
    """Writes nothing."""

    def info(self, event: str, **details: Any) -> None:
        del event, details

    warning = error = info


def open_log(directory: Path, peer: str) -> Log:
    """Opens the log of `peer` in a town's directory. Lines are written whole, so several may write to one file."""
    path = directory / "logs" / f"{peer}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("ab", buffering=0)
    logger = structlog.wrap_logger(
        structlog.BytesLogger(cast("Any", file)),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _hide_secrets,
            structlog.processors.JSONRenderer(serializer=_to_json),
        ],
        wrapper_class=structlog.BoundLogger,
        peer=peer,
    )
    return cast("Log", logger)


def _hide_secrets(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {key: without_secrets(value) if isinstance(value, str) else value for key, value in event.items()}


def _to_json(value: Any, **_: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=str)
