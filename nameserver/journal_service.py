"""Hands out the journals that lie on this machine, so that an audit elsewhere in the town can judge by them too.

Journals may be long, so they go out in pieces, each of whole lines. A caller names a terminal, an area and a peer,
all three from the index, and never a file: where they lie only this side knows, and nothing else there can be had.
Copies of other terminals' journals that an audit here has made are handed out like its own.
"""

from __future__ import annotations

import os
import stat
import threading
from contextlib import closing, suppress
from pathlib import Path

from Pyro5.api import expose
from Pyro5.callcontext import current_context

from db.audit.journals import AT_REST, COPIES, journal_path
from nameserver.journal_copies import Source, copy_journals
from nameserver.journal_names import LONGEST_LINE, PIECE, check_names, is_terminal, listed
from peers.endpoints import split_endpoint
from peers.errors import BadRequest, NotAllowed, TownError
from peers.rpc.security.identity import Identity

_MOST_READERS = 1000
_MOST_TAKEN_OVER = 8
_PATIENCE_S = 5.0
"""No settings: a town has some dozens of terminals, few leave at once, and who leaves does not wait long."""


@expose
class JournalService:
    """The journals of the terminal that is called `terminal`, in `directory`, and the copies beside them."""

    def __init__(self, directory: Path, terminal: str) -> None:
        self._directory = directory
        self._terminal = terminal
        self._readers: set[str] = set()
        # The threads that copy from who is leaving.
        self._taking: list[threading.Thread] = []

    def index(self) -> dict[str, object]:
        """Returns which `terminal` this is, whether its journals are `at_rest`, and by terminal which journals there
        are in `folders`: for each its area, its name and its length. NotAllowed for a client."""
        _check_caller()
        copies = self._directory / COPIES
        folders = {each.name: listed(each) for each in copies.glob("*") if is_terminal(each.name)}
        return {
            "terminal": self._terminal,
            "at_rest": (self._directory / AT_REST).exists(),
            "folders": {**folders, self._terminal: listed(self._directory)},
        }

    def read(self, terminal: str, area: str, name: str, offset: int) -> bytes:
        """Returns the next whole lines of a journal, from the byte `offset` on; none at its end.

        BadRequest for what there is not, NotAllowed for a client."""
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
        """Notes that the terminal `reader` has all of these journals. BadRequest for what is no terminal's name,
        NotAllowed for a client."""
        _check_caller()
        check_names(reader, "", "-")
        if len(self._readers) < _MOST_READERS:
            self._readers.add(reader)

    def take(self, nameserver: str) -> None:
        """Has the journals of a terminal that is leaving copied here, from its name server at `nameserver`
        (`host:port`), which is told when that is done. BadRequest for what is no such place, and while many others
        leave; NotAllowed for a client, and for another machine than the one that leaves."""
        caller = _check_caller()
        try:
            host, _ = split_endpoint(nameserver)
        except (ValueError, AttributeError, TypeError):
            raise BadRequest(field="nameserver", why="expected host:port") from None
        if caller is not None and not caller.is_called(host):
            raise NotAllowed(field="nameserver", why=f"leads to another machine than {caller.name}")
        self._taking = [each for each in self._taking if each.is_alive()]
        if len(self._taking) >= _MOST_TAKEN_OVER:
            raise BadRequest(field="nameserver", why="too many are leaving just now")
        taking = threading.Thread(target=self._take, args=(nameserver,), name="journals", daemon=True)
        self._taking.append(taking)
        taking.start()

    def _take(self, nameserver: str) -> None:
        with suppress(TownError), closing(Source(nameserver, _PATIENCE_S)) as source:
            index = source.index()
            if index.terminal != self._terminal:
                theirs = index.folders.get(index.terminal, [])
                copy_journals(source, index.terminal, theirs, self._directory / COPIES / index.terminal)
                source.say_had(self._terminal)

    def readers(self) -> list[str]:
        """Returns the terminals that said so."""
        return sorted(self._readers)


def _check_caller() -> Identity | None:
    """Returns who calls, None in a town whose callers show no certificates. NotAllowed for a client of the town: what
    all its peers were told is for the machines of the town."""
    caller: Identity | None = getattr(current_context.client, "identity", None)
    if caller is not None and caller.kind != "machine":
        raise NotAllowed(field="method", why=f"journals are for the machines of the town, not for {caller.name}")
    return caller


def _whole_lines(file: int, offset: int) -> bytes:
    piece = os.pread(file, PIECE, offset)
    while b"\n" not in piece and PIECE <= len(piece) < LONGEST_LINE:
        more = os.pread(file, PIECE, offset + len(piece))
        if not more:
            break
        piece += more
    return piece[: piece.rfind(b"\n") + 1]
