"""The journals of the other machines of a town, for an audit on this one.

The books say who keeps journals (`db.keepers`), and so which there are to be had, also of machines that are gone.
Those of another terminal on this machine are read where they are. All others are asked for, each machine at the same
time as the others, and copied into the directory of the town here: so an audit reads them like its own, holds no more
of them in memory, and the next one asks for what is new. A copy is also what is left of a terminal that has ended; if
the books say that this is all there was, nothing is missing. Who has copies hands them on.

Whatever goes wrong is said to be missing, by the name of its machine where only that one is concerned: an audit that
did not see all journals must not say that all holds.

A copy says nothing of what was told after it was made, which is no harm: what is told is recorded before, and the
audit looks a line up in the books after it was copied, so that it may be older than these, never newer.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType

import msgspec

from db.audit.journals import Extent, Witness, journal_files, journal_path
from db.keepers import Keeper, Keepers
from db.terminals import Terminals
from nameserver.journal_copies import Index, Source, copy_journals, extent_of
from peers.books_address import without_secrets
from peers.errors import BazaarError, LedgerError, TownError
from peers.town.files.directory import Directory
from peers.town.files.terminal_name import kept_name
from peers.town.machines.addresses import is_own

# None of these is a setting: they bound what asking costs that is never answered.
_ANSWER_S = 2.0
_AT_ONCE = 32
_LOOK_S = 0.05
_RESTS_WITHIN_S = 10.0
"""So long is waited, where the town closes, for another terminal's last peer to end."""

_NOT_DONE = "asking who keeps any did not come to its end"


class Had(msgspec.Struct, frozen=True, kw_only=True):
    """What is here of a keeper's journals, below the folder `where`; `missing`: why that is not all, "" if it is."""

    keeper: Keeper
    where: Path
    missing: str = ""


class Elsewhere:
    """The journals of all terminals but that of `directory`, which is the town's, and whose books are in `database`
    at `uri`; asked for while this is entered. `limit_s`: what comes within so long; None for all of it. `closes`:
    the town does, so those of each terminal are waited for until its last peer has ended."""

    def __init__(
        self, directory: Directory, uri: str, database: str, *, limit_s: float | None = None, closes: bool = False
    ) -> None:
        self._own = directory.terminal() if directory.path.is_dir() else ""
        # Where no town has been, there is no place to keep copies for the next time.
        self._temporary = None if self._own else tempfile.TemporaryDirectory(prefix="bazaar-")
        self._copies = directory.copies if self._temporary is None else Path(self._temporary.name)
        self._books = (uri, database)
        self._limit_s = limit_s
        self._deadline_s: float | None = None
        self._closes = closes
        self._had: list[Had] = []
        # Why it is not even known whose journals there are; this stands until that is done.
        self._why = _NOT_DONE
        self._working = threading.Thread(target=self._work, name="journals", daemon=True)
        self.answering: frozenset[str] = frozenset()
        """The terminals that have answered; known once all were asked (`wait`)."""
        self.apart: dict[str, str] = {}
        """The name servers of those that are on other machines, and so cannot read the journals here in place."""

    def __enter__(self) -> Elsewhere:
        try:
            self._working.start()
        except RuntimeError as error:  # The machine has no thread left.
            self._why = f"{_NOT_DONE} ({error})"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:  # Nobody waits for the rest.
            self._deadline_s = time.monotonic()
        self.wait()
        if self._temporary is not None:
            self._temporary.cleanup()

    def wait(self) -> None:
        """Returns once all is here that can be had."""
        if self._working.ident is not None:
            self._working.join()

    def witnesses(self, areas: Collection[str] = ()) -> Iterator[Witness]:
        """Gives the journals of each terminal, of these areas or of all; waits for them."""
        self.wait()
        if self._why:
            yield Witness(machine="other machines", paths=(), missing=self._why)
        for had in self._had:
            kept = [area for area in had.keeper.areas if not areas or area in areas]
            if kept:
                homes = [journal_path(had.where, area, "").parents[1] for area in kept] if areas else [had.where]
                paths, missing = _files(homes)
                missing = had.missing or missing
                yield Witness(machine=self._called(had.keeper), paths=paths, missing=missing)

    def _called(self, keeper: Keeper) -> str:
        """How people know a machine, and which of several terminals there it is."""
        host = keeper.place.host
        same = [each for each in self._had if each.keeper.place.host == host]
        is_plain = len(same) == 1 and not is_beside(host)
        return host if is_plain else f"{host} (--dir {keeper.place.directory})"

    # -- at work -------------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            self._get()
            self._why = ""
        except LedgerError as error:
            self._why = without_secrets(f"the books do not say which there are ({error})")
        except Exception as error:  # noqa: BLE001 - Whatever it is, the audit must say that it has not seen all.
            self._why = without_secrets(f"{_NOT_DONE} ({_said(error)})")

    def _get(self) -> None:
        keepers = [each for each in keepers_of(*self._books) if each.terminal != self._own]
        if not keepers:
            return
        with ThreadPoolExecutor(min(len(keepers), _AT_ONCE)) as pool:
            asked = list(pool.map(self._ask, keepers))
            if self._limit_s is not None and self._deadline_s is None:
                self._deadline_s = time.monotonic() + self._limit_s
            there = {each.keeper.terminal: each for each in asked if each.index is not None}
            self.answering = frozenset(there)
            places = {name: each.keeper.place for name, each in there.items()}
            self.apart = {name: place.nameserver for name, place in places.items() if not is_beside(place.host)}
            self._had = list(pool.map(lambda each: self._fetch(each, there), asked))

    def _ask(self, keeper: Keeper) -> _Asked:
        """Asks a keeper itself what there is. What goes wrong with one does not keep the others from being had."""
        try:
            return self._ask_itself(keeper)
        except Exception as error:  # noqa: BLE001 - It is said to be missing, and why.
            return _Asked(keeper, None, _said(error))

    def _ask_itself(self, keeper: Keeper) -> _Asked:
        if not keeper.place.nameserver:
            return _Asked(keeper, None, "it never said where it is")
        try:
            with closing(Source(keeper.place.nameserver, _ANSWER_S)) as source:
                index = source.index()
                if self._closes and index.terminal == keeper.terminal:
                    deadline_s = time.monotonic() + _RESTS_WITHIN_S
                    while not index.at_rest and time.monotonic() < deadline_s:
                        time.sleep(_LOOK_S)
                        index = source.index()
        except TownError as error:
            return _Asked(keeper, None, str(error))
        if index.terminal != keeper.terminal:
            return _Asked(keeper, None, "another terminal is there now")
        return _Asked(keeper, index)

    def _fetch(self, asked: _Asked, there: Mapping[str, _Asked]) -> Had:
        """Copies what is not here yet of a keeper's journals: from itself, else from those who have copies."""
        try:
            return self._copy(asked, there)
        except Exception as error:  # noqa: BLE001 - It is said to be missing, and why.
            return Had(keeper=asked.keeper, where=self._copies / asked.keeper.terminal, missing=_said(error))

    def _copy(self, asked: _Asked, there: Mapping[str, _Asked]) -> Had:
        keeper, why = asked.keeper, asked.why
        terminal = keeper.terminal
        beside = _beside(keeper)
        if beside is not None:
            return Had(keeper=keeper, where=beside)
        into = self._copies / terminal
        relays = [each for each in there.values() if each.index is not None and terminal in each.index.folders]
        relays.sort(key=lambda each: (each is not asked, -each.extent(terminal).size))
        for relay in relays:
            assert relay.index is not None
            try:
                with closing(Source(relay.keeper.place.nameserver, _ANSWER_S)) as source:
                    copy_journals(source, terminal, relay.index.folders[terminal], into, self._deadline_s)
                    if relay is asked and relay.index.at_rest and self._own:
                        source.say_had(self._own)
            except TownError as error:
                why = why or str(error)
                continue
            if relay is asked:
                return Had(keeper=keeper, where=into)
            if keeper.at_rest is not None and extent_of(into).covers(keeper.at_rest):
                break
        if keeper.at_rest is None:
            return Had(keeper=keeper, where=into, missing=why)
        whole = extent_of(into).covers(keeper.at_rest)
        return Had(keeper=keeper, where=into, missing="" if whole else f"{why}, and not all was copied before")


def _files(homes: Iterable[Path]) -> tuple[tuple[Path, ...], str]:
    """The journals in these folders, and why they cannot be listed, "" if they can."""
    try:
        return tuple(path for home in homes for path in journal_files(home)), ""
    except (OSError, ValueError) as error:
        return (), f"they cannot be listed ({_said(error)})"


def _said(error: Exception) -> str:
    """What went wrong, for people: ours is a sentence already."""
    return str(error) if isinstance(error, BazaarError) else f"{type(error).__name__}: {error}"


class _Asked(msgspec.Struct, frozen=True):
    """A keeper, and what it says there is; `why` it says nothing."""

    keeper: Keeper
    index: Index | None
    why: str = ""

    def extent(self, terminal: str) -> Extent:
        """How much it has of a terminal's journals."""
        return self.index.extent(terminal) if self.index is not None else Extent(0, 0)


def keepers_of(uri: str, database: str) -> list[Keeper]:
    """Returns all terminals that keep journals of the books in `database` at `uri`: those that have said so, and
    those of an older version that are there just now. LedgerError if the books cannot be asked."""
    with closing(Keepers(uri, database)) as keepers:
        found = keepers.all()
    with closing(Terminals(uri, database)) as terminals:
        living = terminals.living()
    known = {each.terminal for each in found}
    older = [each for each in living if each.terminal not in known and each.place.nameserver]
    return [*found, *(Keeper(terminal=each.terminal, place=each.place) for each in older)]


def is_beside(host: str) -> bool:
    """Whether that is this machine; names are not looked up."""
    try:
        return is_own(host)
    except ValueError:
        return False


def _beside(keeper: Keeper) -> Path | None:
    """The directory of a terminal that is on this machine; None for all others."""
    with suppress(OSError, ValueError):
        path = Path(keeper.place.directory)
        if is_beside(keeper.place.host) and kept_name(path) == keeper.terminal:
            return path
    return None
