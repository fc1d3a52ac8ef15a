"""Copies journals from other machines of the town: in pieces, and only what is not here yet.

A journal only ever grows by whole lines, so a copy is a beginning of it, and the next time it is gone on with. Two
who copy the same at a time write the same bytes to the same places. The other machine is a member of the town and may
be wrong all the same: what it says is checked before anything is written.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from db.audit.journals import Extent, journal_path
from nameserver.journal_names import JOURNALS_OBJECT, LONGEST_LINE, check_names, listed
from peers.endpoints import split_endpoint
from peers.errors import TownError, WireError
from peers.rpc.rpc_connection import AnotherListens, CallFailed, Faulted, NobodyListens, RpcConnection, Silent

_TAIL_BYTES = 1 << 16
"""Of the last line of a copy so many bytes are looked at, to see that it is the beginning of what is there now."""

_MOST_JOURNALS = 100_000
"""No setting: more than any town has, and an index of them is no burden."""


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine hands out: whose it is itself, whether those are at rest, and by terminal of each journal its
    area, its name and its length in bytes."""

    terminal: str
    at_rest: bool
    folders: dict[str, list[tuple[str, str, int]]]

    def extent(self, terminal: str) -> Extent:
        """Returns how much of a terminal's journals there is."""
        sizes = [size for _, _, size in self.folders.get(terminal, ())]
        return Extent(len(sizes), sum(sizes))


class Late(TownError):
    """Not all of it came in time."""


class Source:
    """The journals that the name server at `nameserver` hands out; for one thread. Each question is bounded by
    `timeout_s`. What fails is a TownError that says why, for people."""

    def __init__(self, nameserver: str, timeout_s: float) -> None:
        split_endpoint(nameserver)
        self._connection = RpcConnection(f"PYRO:{JOURNALS_OBJECT}@{nameserver}", timeout_s)

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def index(self) -> Index:
        """Returns what there is. TownError if it does not answer, or not as it should."""
        try:
            index = msgspec.convert(self._call("index"), Index)
        except msgspec.ValidationError as error:
            raise TownError("it lists its journals in another way: it has another version") from error
        for terminal, journals in index.folders.items():
            self._check(terminal, journals)
        return index

    def _check(self, terminal: str, journals: list[tuple[str, str, int]]) -> None:
        try:
            for area, name, size in journals:
                check_names(terminal, area, name)
                if size < 0 or len(journals) > _MOST_JOURNALS:
                    raise TownError("it lists what can be no journals")
        except WireError as error:
            raise TownError("it lists what can be no journals") from error

    def read(self, terminal: str, area: str, name: str, offset: int) -> bytes:
        """Returns the next whole lines of a journal, at least one. TownError if it does not answer, or not as it
        should."""
        piece = self._call("read", terminal, area, name, offset)
        if not isinstance(piece, bytes) or not piece.endswith(b"\n") or len(piece) > LONGEST_LINE:
            raise TownError(f"it gives something else than it lists of the journal of {name}")
        return piece

    def say_had(self, terminal: str) -> None:
        """Says that `terminal` has all of these journals. TownError if it does not answer."""
        self._call("had", terminal)

    def take(self, nameserver: str) -> None:
        """Asks it to copy the journals that the name server at `nameserver` hands out. TownError if it does not
        answer, or refuses."""
        self._call("take", nameserver)

    def readers(self) -> list[str]:
        """Returns which terminals have said so. TownError if it does not answer."""
        answer = self._call("readers")
        return [*map(str, answer)] if isinstance(answer, list) else []

    def _call(self, method: str, *arguments: object) -> object:
        try:
            answer: object = self._connection.call(method, *arguments)
        except NobodyListens as error:
            raise TownError("nobody is there") from error
        except Silent as error:
            raise TownError("it does not answer") from error
        except AnotherListens as error:
            raise TownError("it has an older version") from error
        except Faulted as error:
            raise TownError(f"it has failed ({error})") from error
        except CallFailed as error:
            raise TownError(f"it does not answer ({error})") from error
        except WireError as error:
            raise TownError(f"it refuses: {error}") from error
        return answer


def copy_journals(
    source: Source,
    terminal: str,
    journals: Iterable[tuple[str, str, int]],
    into: Path,
    deadline_s: float | None = None,
) -> None:
    """Copies these journals of a terminal (area, name, length), as far as they are not in the folder `into` yet.

    TownError if that fails, Late if it is not done by `deadline_s` (monotonic); what has come by then stays."""
    try:
        for area, name, size in journals:
            path = journal_path(into, area, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                _go_on(source, (terminal, area, name), size, file, deadline_s)
            finally:
                os.close(file)
    except OSError as error:
        raise TownError(f"copies cannot be written here ({error.strerror or error})") from error


def extent_of(folder: Path) -> Extent:
    """Returns how much of journals there is below a folder."""
    sizes = [size for _, _, size in listed(folder)]
    return Extent(len(sizes), sum(sizes))


def _go_on(source: Source, which: tuple[str, str, str], size: int, file: int, deadline_s: float | None) -> None:
    end, last = _last_line(file)
    offset = end - len(last)
    while end < size:
        if deadline_s is not None and time.monotonic() > deadline_s:
            raise Late("not all of it came in time")
        piece = source.read(*which, offset)
        if not piece.startswith(last):  # It is no longer the same journal.
            os.ftruncate(file, 0)
            end, offset, last = 0, 0, b""
            continue
        os.pwrite(file, piece, offset)
        end = offset = offset + len(piece)
        last = b""


def _last_line(file: int) -> tuple[int, bytes]:
    """Where the whole lines of a copy end, and the last of them; no line where it is very long."""
    size = os.fstat(file).st_size
    tail = os.pread(file, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
    end = tail.rfind(b"\n") + 1
    if not end:
        return 0, b""
    start = tail.rfind(b"\n", 0, end - 1) + 1
    whole = start or len(tail) == size
    return size - len(tail) + end, tail[start:end] if whole else b""
