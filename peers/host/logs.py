"""A peer's log: `logs/<peer>.log`, one JSON object a line, for what is neither in the books nor in the journals."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec


class Log(Protocol):
    """What the host writes to: an event in a few words, and named details."""

    def info(self, event: str, **details: Any) -> None: ...

    def warning(self, event: str, **details: Any) -> None: ...

    def error(self, event: str, **details: Any) -> None: ...


class NoLog:
    """Writes nothing."""

    def info(self, event: str, **details: Any) -> None:
        del event, details

    warning = error = info


class _File:
    """One line a write, so that those of several threads, and of several processes, never mix."""

    def __init__(self, path: Path, peer: str) -> None:
        self._peer = peer
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def info(self, event: str, **details: Any) -> None:
        self._write("info", event, details)

    def warning(self, event: str, **details: Any) -> None:
        self._write("warning", event, details)

    def error(self, event: str, **details: Any) -> None:
        self._write("error", event, details)

    def _write(self, level: str, event: str, details: dict[str, Any]) -> None:
        line = {"peer": self._peer, **details, "event": event, "level": level, "timestamp": datetime.now(UTC)}
        os.write(self._file, msgspec.json.encode(line, enc_hook=str) + b"\n")


def open_log(directory: Path, peer: str) -> Log:
    """Opens the log of `peer` in a town's directory."""
    path = directory / "logs" / f"{peer}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return _File(path, peer)
