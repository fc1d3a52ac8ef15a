"""A peer's log: `logs/<peer>.log`, one JSON object a line, for what is neither in the books nor in the journals."""

from __future__ import annotations

import os
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
    logger = structlog.wrap_logger(
        structlog.BytesLogger(cast("Any", _LogFile(path))),
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


class _LogFile:
    """A log is for people: where the disk is full, lines are left out, and the next that has room says how many."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._left_out = 0
        self._is_torn = False

    def write(self, line: bytes) -> None:
        missing = b'{"event": "left out for want of room", "lines": %d}\n' % self._left_out if self._left_out else b""
        whole = (b"\n" if self._is_torn else b"") + missing + line
        try:
            written = os.write(self._file, whole)
        except OSError:
            written = 0
        if written == len(whole):
            self._left_out, self._is_torn = 0, False
            return
        self._left_out += 1
        self._is_torn = self._is_torn or bool(written)

    def flush(self) -> None:
        """There is nothing to do: lines are handed to the kernel at once."""


def _hide_secrets(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {key: without_secrets(value) if isinstance(value, str) else value for key, value in event.items()}


def _to_json(value: Any, **_: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=str)
