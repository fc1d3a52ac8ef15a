"""The town's directory: who may use it, what is where in it, and the small files that say how the town is.

State files say nothing that the books and the peers do not know. So one that cannot be understood (empty or torn
after a loss of power, or of another version of this program) is said to be so and counts as missing, and is made anew
by the next town. A file lock, which the kernel lets go of when its holder dies, says whether a town is running here;
a file that says so could be left behind by a crash.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Literal, TypeVar

import msgspec
import psutil

from db.audit.journals import AREAS, AT_REST, COPIES
from peers.books_address import has_secret, is_hidden, without_secrets
from peers.core.membership.graph_kinds import is_sound
from peers.core.names import GraphKind, rank_of
from peers.errors import BazaarError, TownError
from peers.files import PRIVATE, write_json, write_whole
from peers.town.files.derived_files import DerivedFiles, found_in
from peers.town.files.peer_states import TERMINAL_ENDED, PeerState, Terminals
from peers.town.files.terminal_name import keep_name

_SECRETS_OF_BOOKS = "mongod.*"
"""The files beside the certificates that are for the books alone: their password, their key, and their port."""

_T = TypeVar("_T")
Phase = Literal["starting", "open", "closing", "closed"]


class TownState(msgspec.Struct, frozen=True, kw_only=True):
    """`town.json`. `term` and `trader` are what the town last heard; the books know better.

    `areas` are those of a town with several posts. Each area has a file like this too, in its own folder, with what
    differs there: books, term, trader. `books` says there whose database has them: the town's, one of the area's own
    that the town runs, or one whose address was given. `at_rest`: it ended in order, with nothing left to decide."""

    phase: Phase
    pid: int
    host: str
    advertised: str = ""  # what others call, where that is not `host`
    n: int
    seed: int
    merchants: bool = False
    graph: GraphKind = "random"
    private_books: bool = True
    tls: bool = False
    nameserver_host: str = ""
    nameserver_port: int = 0
    nameserver_pid: int | None = None
    mongo_uri: str = ""
    database: str = ""
    mongod_pid: int | None = None
    term: int = 0
    trader: str | None = None
    started_at_ms: int = 0
    areas: tuple[str, ...] = ()
    books: Literal["town", "own", "given"] = "town"
    at_rest: bool = False


class Machines(msgspec.Struct, frozen=True, kw_only=True):
    """`machines.json`: where the name servers of the machines of this town are, the latest seen first, so that one
    who was away finds the others again. `town` is which town; `founded`: it began here."""

    town: str
    founded: bool
    nameservers: tuple[str, ...] = ()


def _rank(state: PeerState) -> int:
    return state.rank


def _warn(line: str) -> None:
    print(f"bazaar: {line}", file=sys.stderr)


class Directory:
    """Paths and state files of one town, or of one area of it, which has a folder of the same shape. `warn` is told,
    in one line, of each file that cannot be understood."""

    def __init__(
        self, path: Path, warn: Callable[[str], None] = _warn, *, town: Directory | None = None, area: str = ""
    ) -> None:
        self.area_name = area
        self._town = town
        self._warn = warn
        self._warned_of: set[Path] = set()
        self.path = path.absolute()
        self._derived = DerivedFiles(self.path if town is None else town.path, warn)
        self.logs = self.path / "logs"
        self.journals = self.path / "journals"
        self.mongo = self.path / "mongo"
        self.tls: Path = self.path / "tls" if town is None else town.tls
        self._areas = self.path / AREAS
        self.network_json = self.path / "network.json"
        self.network_png = self.path / "network.png"
        self._peers = self.path / "peers"
        self._town_json = self.path / "town.json"
        self._machines = self.path / "machines.json"
        self._mongo_address = self.path / "mongo-address"
        self._at_rest = self.path / AT_REST
        self.copies = self.path / COPIES
        self._kept_address = ""
        self._proposed_terminal = uuid.uuid4().hex
        self._lock: IO[str] | None = None
        self._terminals = Terminals()

    def make(self) -> None:
        """Creates what is missing; TownError if it cannot be written to."""
        try:
            for path in (self.path, self.logs, self.journals, self._peers):
                path.mkdir(parents=True, exist_ok=True)
            probe = self.path / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            why = error.strerror or error
            raise TownError(f"{self.path} cannot be written to ({why}): choose another place with --dir") from error

    def area(self, name: str) -> Directory:
        """Returns the folder of an area; of the only one of a town with one post ("") that is the town's own."""
        return Directory(self._areas / name, self._warn, town=self, area=name) if name else self

    def areas(self) -> list[Directory]:
        """Returns the folders of all areas that are known here, in the order of the town; this one if there is but
        one."""
        there = [path.name for path in found_in(self._areas, "*")]
        state = self.read_town() if there else None
        listed = state.areas if state is not None else ()
        ordered = [*(name for name in listed if name in there), *sorted(set(there) - set(listed))]
        return [self.area(name) for name in ordered] or [self]

    def claim(self) -> bool:
        """Makes this process the town of the directory; False if another is. `let_go` must follow either way.

        TownError if the directory cannot be written to."""
        try:
            lock = (self.path / "lock").open("a")
        except OSError as error:
            raise TownError(f"{self.path} cannot be written to ({error.strerror or error})") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # The lock is held by another town, but it shows whether this is still the same directory.
            self._lock = lock
            return False
        self._lock = lock
        return True

    def has_gone(self) -> bool:
        """Whether the directory was removed since `claim`, even if there is another in its place."""
        if self._town is not None:
            return self._town.has_gone()
        try:
            found = (self.path / "lock").stat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False  # It may not be looked at just now, which is another matter.
        # As long as we have the file open, no other file can get its inode number.
        return self._lock is not None and not os.path.samestat(found, os.fstat(self._lock.fileno()))

    def check(self) -> None:
        """Raises TownError if the directory was removed since `claim`."""
        if self.has_gone():
            raise TownError(
                f"{self.path} was removed while it was in use: all that ran there has ended, and what was kept there "
                "is lost; end a town before you remove its directory"
            )

    @contextlib.contextmanager
    def checked(self) -> Iterator[None]:
        """What fails within because the directory was removed fails with a TownError that says so."""
        try:
            yield
        except (OSError, BazaarError):
            self.check()
            raise

    def let_go(self) -> None:
        """Ends the claim."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def in_use(self) -> bool:
        """Whether a town runs here, started or starting. TownError if the directory cannot be read."""
        if self._town is not None:
            return self._town.in_use()
        try:
            with (self.path / "lock").open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        except OSError as error:
            raise TownError(f"{self.path} cannot be read ({error.strerror or error})") from error
        return False

    def empty_books(self) -> None:
        """Deletes the private database, the journals that tell of it, who else was in that town, and the secrets by
        which these would come into its next books; nothing else.

        Each is moved aside as a whole first, the books last. So wherever this is cut short, what is left balances:
        books without journals do, journals without their books do not."""
        emptied = self.path / ".emptied"
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(emptied)
        emptied.mkdir()
        for path in (self.copies, self.journals, self._areas, self.mongo):
            with contextlib.suppress(FileNotFoundError):
                path.rename(emptied / path.name)
        for file in (self._machines, self.path / "replication.json", *self.tls.glob(_SECRETS_OF_BOOKS)):
            file.unlink(missing_ok=True)
        self.journals.mkdir()
        shutil.rmtree(emptied)

    def terminal(self) -> str:
        """Returns the name that who runs here has among the terminals of a town, from run to run; makes it, the first
        time. Where it cannot be kept, it is the same for all who ask by this object."""
        return keep_name(self.path, self._proposed_terminal)

    def say_journals_rest(self, *, at_rest: bool) -> None:
        """Says whether nobody writes to the journals here any more: who copies them then has all there will be."""
        with contextlib.suppress(OSError):
            if at_rest:
                self._at_rest.touch()
            else:
                self._at_rest.unlink(missing_ok=True)

    def has_journals(self) -> bool:
        """Whether anybody has ever told of trade here, at whichever post."""
        return any(path.stat().st_size for area in self.areas() for path in area.journals.glob("*.jsonl"))

    def write_town(self, state: TownState) -> None:
        """Writes down what the town says of itself. The password of its books, if they have one, is kept apart, in a
        file for its owner only, so that everything else can be shown around."""

        def write() -> None:
            if state.mongo_uri and state.mongo_uri != self._kept_address:
                self._keep_address(state.mongo_uri)
            write_json(self._town_json, msgspec.structs.replace(state, mongo_uri=without_secrets(state.mongo_uri)))

        self._write(self._town_json, write)

    def _keep_address(self, address: str) -> None:
        if has_secret(address):
            write_whole(self._mongo_address, address.encode() + b"\n", mode=PRIVATE)
        else:
            self._mongo_address.unlink(missing_ok=True)
        self._kept_address = address

    def read_town(self) -> TownState | None:
        """Returns what the town here last said of itself; None if none has, or that cannot be understood.

        Where the password of its books may not be read, the address comes without it (`is_hidden`)."""
        state = self._read(self._town_json, TownState)
        if state is None or not is_hidden(state.mongo_uri):
            return state
        try:
            address = self._mongo_address.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError):
            return state
        # The address may be that of other books, left behind by a town that was killed.
        same = without_secrets(address) == state.mongo_uri
        return msgspec.structs.replace(state, mongo_uri=address) if same else state

    def running_town(self) -> TownState | None:
        """Returns the state of the town that runs here; None if none does, or it has said nothing of itself yet."""
        state = self.read_town() if self.in_use() else None
        # The file may still be that of a town that was killed, and the lock may be held by one that just starts.
        return state if state is not None and psutil.pid_exists(state.pid) else None

    def write_peer(self, state: PeerState) -> None:
        path = self._peers / f"{state.name}.json"
        # The next town has no use for these many files, so they need not survive a loss of power.
        self._write(path, lambda: write_json(path, state, durable=False))

    def peers_changed_ns(self) -> int | None:
        """Returns when a peer's file last changed, by the file system; None where their folder is gone. It is good
        for one thing only: another number says that there was another change. Two that come at nearly the same time
        may have the same."""
        try:
            return self._peers.stat().st_mtime_ns
        except OSError:
            return None

    def read_peers(self) -> list[PeerState]:
        """Returns what is known of each peer, by rank. Those whose terminal is gone are, whatever it said last."""
        found = [self._read_derived(path, PeerState) for path in found_in(self._peers, "*.json")]
        return sorted(self._terminals.as_is(state for state in found if state is not None), key=_rank)

    def note_gone(self) -> None:
        """Writes down of the peers of a terminal that is gone that they are, for it cannot any more. To be called now
        and then by a terminal that lives."""
        if self._terminals.are_fewer():
            now_ms = time.time_ns() // 1_000_000
            for state in self.read_peers():
                if state.ended == TERMINAL_ENDED and state.ended_at_ms is None:
                    self.write_peer(msgspec.structs.replace(state, ended_at_ms=now_ms))

    def forget_peers(self, names: Iterable[str] | None = None) -> None:
        """Removes the files of these peers, of all if none are named."""
        stems = [path.stem for path in found_in(self._peers, "*.json")] if names is None else names
        self._derived.remove(self._peers / f"{stem}.json" for stem in stems)

    def write_network(self, graph: dict[str, list[str]]) -> None:
        self._write(self.network_json, lambda: write_json(self.network_json, graph))

    def read_network(self) -> dict[str, list[str]] | None:
        """Returns the graph as it was last written down; None if it was not, or that cannot be read or understood."""
        return self._read_derived(self.network_json, dict[str, list[str]])

    def write_machines(self, machines: Machines) -> None:
        self._write(self._machines, lambda: write_json(self._machines, machines))

    def read_machines(self) -> Machines | None:
        """Returns which machines this one has been in a town with; None if in none, or that cannot be understood."""
        return self._read(self._machines, Machines)

    def has_private_books(self) -> bool:
        """Whether a town has kept books of its own here, whatever `town.json` says."""
        return (self.mongo / "data").is_dir()

    def retry_writing(self) -> None:
        """Writes what could not be written before; to be called now and then while a town runs."""
        self._derived.retry()

    def _write(self, path: Path, write: Callable[[], None]) -> None:
        """Has `write` put a file at `path`, now or later. TownError if the directory was removed since `claim`."""
        if not self._derived.write(path, write):
            self.check()

    def _read_derived(self, path: Path, kind: type[_T]) -> _T | None:
        try:
            return self._read(path, kind)
        except TownError as error:
            self._warn_once(path, f"{error}: it counts as missing")
            return None

    def _read(self, path: Path, kind: type[_T]) -> _T | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TownError(f"{path} cannot be read ({error.strerror or error})") from error
        except msgspec.MsgspecError as error:
            self._warn_once(path, f"{path} is torn, or of another version ({error}): it counts as missing")
            return None

    def _warn_once(self, path: Path, line: str) -> None:
        if path not in self._warned_of:
            self._warned_of.add(path)
            self._warn(line)


def graph_is_sound(graph: dict[str, list[str]], kind: GraphKind = "random") -> bool:
    """Whether the peers have joined the graph up again after a loss."""
    return is_sound({rank_of(name): [rank_of(other) for other in others] for name, others in graph.items()}, kind)
