"""Hands out the journals that lie on this machine, so that an audit elsewhere in the town can judge by them too.

Journals may be long, so they go out in pieces, each of whole lines. A caller names a terminal, an area and a peer,
all three from the index, and never a file: where they lie only this side knows, and nothing else there can be had.
Copies of other terminals' journals that an audit here has made are handed out like its own.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from Pyro5.api import expose
from Pyro5.callcontext import current_context

from db.audit.journals import AREAS, AT_REST, COPIES, SUFFIX, end_of_lines, journal_path
from peers.errors import BadRequest
from peers.rpc.identity import identity_of

JOURNALS_OBJECT = "bazaar.journals"
"""The name under which a name server also hands out journals."""

PIECE = 512 * 1024
LONGEST_LINE = 4 * 1024 * 1024
"""No settings: a piece takes the name server a few milliseconds, in which it answers nobody else."""

_TERMINAL = re.compile(r"[0-9a-f]{32}")
_AREA = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9-]{0,31})?")
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def check_names(terminal: object, area: object, name: object) -> None:
    """Raises BadRequest for names that no terminal, area or journal has: what passes is part of no other path."""
    for field, value, allowed in (("terminal", terminal, _TERMINAL), ("area", area, _AREA), ("name", name, _NAME)):
        if not isinstance(value, str) or allowed.fullmatch(value) is None:
            raise BadRequest(field=field, why=f"expected one that the index lists, not {str(value)[:80]!r}")


def listed(folder: Path) -> list[tuple[str, str, int]]:
    """Returns the journals below `folder`, of all areas: area, name, and how many bytes of whole lines. Those that
    cannot be read are left out."""
    found = []
    areas = [each.name for each in sorted((folder / AREAS).glob("*"))]
    for area in ("", *areas):
        for path in sorted(journal_path(folder, area, "").parent.glob(f"*{SUFFIX}")):
            name = path.name.removesuffix(SUFFIX)
            if _AREA.fullmatch(area) and _NAME.fullmatch(name):
                size = _size_of(path)
                if size is not None:
                    found.append((area, name, size))
    return found


@expose
class JournalService:
    """The journals of the terminal that is called `terminal`, in `directory`, and the copies beside them."""

    def __init__(self, directory: Path, terminal: str) -> None:
        self._directory = directory
        self._terminal = terminal
        self._readers: set[str] = set()

    def index(self) -> dict[str, object]:
        """Returns which `terminal` this is, whether its journals are `at_rest`, and by terminal which journals there
        are in `folders`: for each its area, its name and its length. BadRequest for a client."""
        _check_caller()
        copies = self._directory / COPIES
        folders = {each.name: listed(each) for each in copies.glob("*") if _TERMINAL.fullmatch(each.name)}
        return {
            "terminal": self._terminal,
            "at_rest": (self._directory / AT_REST).exists(),
            "folders": {**folders, self._terminal: listed(self._directory)},
        }

    def read(self, terminal: str, area: str, name: str, offset: int) -> bytes:
        """Returns the next whole lines of a journal, from the byte `offset` on; none at its end.

        BadRequest for what there is not, and for a client."""
        _check_caller()
        check_names(terminal, area, name)
        if not isinstance(offset, int) or isinstance(offset, bool) or not 0 <= offset < 2**53:
            raise BadRequest(field="offset", why="expected a whole number of bytes, not below 0")
        folder = self._directory if terminal == self._terminal else self._directory / COPIES / terminal
        path = journal_path(folder, area, name)
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise BadRequest(field="name", why=f"that journal cannot be read ({error.strerror})") from None
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise BadRequest(field="name", why="that is no journal")
            return _whole_lines(file, offset)
        except OSError as error:
            raise BadRequest(field="name", why=f"that journal cannot be read ({error.strerror})") from None
        finally:
            os.close(file)

    def had(self, reader: str) -> None:
        """Notes that the terminal `reader` has all of these journals. BadRequest for what is no terminal's name, and
        for a client."""
        _check_caller()
        check_names(reader, "", "-")
        if len(self._readers) < _MOST_READERS:
            self._readers.add(reader)

    def readers(self) -> list[str]:
        """Returns the terminals that said so."""
        return sorted(self._readers)


_MOST_READERS = 1000
"""No setting: a town has some dozens of terminals."""


def _check_caller() -> None:
    """Raises BadRequest for a client of the town: what all its peers were told is for the machines of the town."""
    connection = current_context.client
    identity = None if connection is None else identity_of(connection.sock)
    if identity is not None and identity.kind != "machine":
        raise BadRequest(field="caller", why=f"journals are for the machines of the town, not for {identity.name}")


def _whole_lines(file: int, offset: int) -> bytes:
    piece = os.pread(file, PIECE, offset)
    while b"\n" not in piece and PIECE <= len(piece) < LONGEST_LINE:
        more = os.pread(file, PIECE, offset + len(piece))
        if not more:
            break
        piece += more
    return piece[: piece.rfind(b"\n") + 1]


def _size_of(path: Path) -> int | None:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(file, "rb") as journal:
            return end_of_lines(journal) if stat.S_ISREG(os.fstat(file).st_mode) else None
    except OSError:
        return None
