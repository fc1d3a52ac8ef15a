"""What a customer has asked for and not heard of yet, kept on disk so that it is not asked for twice.

A request is written down, and the disk has it, before it is sent. So whoever was killed between asking and hearing
finds, when it is started again, the id and the contents of what it asked for, and can look for the outcome, or ask
again with the same id. That the answer came is written down too, but need not survive a loss of power: at worst a
question that was answered is asked once more, and gets the same answer. So is one whose answer found no room: it is
known here, and written down with what comes next, or at the end, once there is room.

The file has one JSON object a line; the first says of which version it is and whose. A last line that is torn was
never finished: a request that it was to announce was never sent, an answer is looked for again. It is cut off. Any
other line that cannot be read is no such thing, and nothing is guessed: the file is refused.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import msgspec

from peers.errors import TownError
from peers.files import PRIVATE, write_whole

FORMAT = 1
MOST_KEPT = 1000
"""So many answered purchases are remembered, for `purchases`. No setting: the books have them all."""


class AskedFor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request as it was first sent: `argument` is what `method` takes, in the public form. `town`: which town;
    `area`: whose post there, empty in a town with one."""

    method: Literal["buy", "deposit"]
    argument: dict[str, Any]
    at_ms: int
    town: str = ""
    area: str = ""

    @property
    def id(self) -> str:
        """The id that makes it once."""
        return str(self.argument[self.id_field])

    @property
    def id_field(self) -> str:
        """The field of `argument` that the id is in."""
        return "request_id" if self.method == "buy" else "deposit_id"

    @property
    def item(self) -> str:
        return str(self.argument["item"])

    @property
    def quantity(self) -> int:
        return int(self.argument["quantity"])


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a purchase as it was told, in the public form; `town` and `area` as in `AskedFor`."""

    outcome: dict[str, Any]
    town: str = ""
    area: str = ""


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    customer: str


class _Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request that is about to be sent, or one (`settled`) that is done with; `outcome`: of a purchase, if any,
    then also where it was made, which files of earlier versions do not say."""

    asked: AskedFor | None = None
    settled: str = ""
    outcome: dict[str, Any] | None = None
    town: str = ""
    area: str = ""


class AskedRecord:
    """The record of customer `name` at `path`, for one process at a time and one thread.

    `warnings` say what was found to be torn. TownError if another process has it open, if it is of another version
    or cannot be read, or if it cannot be written; a process that was forked off has to open one of its own."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._name = name
        self._unanswered: dict[str, AskedFor] = {}
        self._told: deque[Told] = deque(maxlen=MOST_KEPT)
        # The requests of which it is not known whether the disk has them. They were never sent.
        self._unsure: set[str] = set()
        self._process = os.getpid()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _lock_of(path)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            self._claim()
            self._read()
            self._is_doubtful = True
            self._is_unnoted = False
            try:
                self._rewrite()
                self._is_doubtful = False
            except OSError:
                # What is in it can be looked for all the same; nothing new is asked until there is room.
                if not path.exists():
                    raise
            self._file = self._open()
            # Where the last whole line ends.
            self._end = os.fstat(self._file).st_size
        except BaseException as error:
            os.close(self._lock)
            if isinstance(error, OSError):
                raise self._unusable(error) from error
            raise

    def __enter__(self) -> AskedRecord:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets another process have it, with all in it if it can be written."""
        self.catch_up()
        os.close(self._file)
        os.close(self._lock)

    @property
    def unanswered(self) -> list[AskedFor]:
        """What was asked for and not heard of, the oldest first."""
        return list(self._unanswered.values())

    @property
    def told(self) -> list[Told]:
        """The purchases whose outcome was told, the oldest first; at most MOST_KEPT."""
        return list(self._told)

    def asked(self, request: AskedFor) -> None:
        """Writes down that `request` is about to be sent; returns once the disk has it. TownError if it cannot be
        written: then it must not be sent."""
        try:
            if not self._has_on_disk(request.id):
                self._make_sure()
            if not self._has_on_disk(request.id):
                self._write_down(request)
        except TownError as error:
            raise TownError(f"{error}; nothing is asked, for what is not kept could be bought twice") from error

    def settled(self, request_id: str, outcome: dict[str, Any] | None = None) -> None:
        """Notes that nobody waits for this any more: it was answered, refused for good, or let go. What is so is so
        whether or not it can be written: if not, it is written later, and `catch_up` says why."""
        asked = self._unanswered.get(request_id)
        if asked is None:
            return
        line = _Line(settled=request_id)
        if outcome is not None:
            told = Told(outcome=outcome, town=asked.town, area=asked.area)
            line = _line_of(told)
            # First, for a Ctrl-C may come between: it is in one of the two then, or in both.
            self._told.append(told)
        del self._unanswered[request_id]
        self._unsure.discard(request_id)
        self._is_unnoted = True
        with suppress(TownError):
            self._append(line, durable=False)
            self._is_unnoted = False

    def catch_up(self) -> str:
        """Writes what could not be written yet, if it can be now. Returns why what was settled is not noted, empty if
        it is."""
        try:
            self._make_sure()
        except TownError as error:
            return str(error) if self._is_unnoted else ""
        return ""

    def _write_down(self, request: AskedFor) -> None:
        # First, for a Ctrl-C may come while it is written: it is kept then, whether or not it was sent.
        self._unsure.add(request.id)
        self._unanswered[request.id] = request
        try:
            self._append(_Line(asked=request), durable=True)
        except TownError:
            del self._unanswered[request.id]
            self._unsure.discard(request.id)
            raise
        self._unsure.discard(request.id)

    def _has_on_disk(self, request_id: str) -> bool:
        return request_id in self._unanswered and request_id not in self._unsure

    def _append(self, line: _Line, *, durable: bool) -> None:
        self._make_sure()
        whole = msgspec.json.encode(line) + b"\n"
        # Until it is all done, for a Ctrl-C may come at any moment and leave it half done.
        self._is_doubtful = True
        try:
            if os.write(self._file, whole) < len(whole):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # The disk took a part of it.
            if durable:
                os.fsync(self._file)
        except OSError as error:
            self._take_back()
            raise self._not_written(error) from error
        self._end += len(whole)
        self._is_doubtful = False

    def _make_sure(self) -> None:
        """Has the file be known to be right before more is written to it. TownError if it cannot be written, or is
        no longer this one's to write."""
        if os.getpid() != self._process:
            raise TownError(f"{self.path} is in use by the process that opened this; open another record here")
        try:
            if not os.fstat(self._lock).st_nlink:
                raise TownError(
                    f"{self.path} was removed while it was in use, and may be another's by now: end this visit, and "
                    "begin another"
                )
            if self._is_doubtful or not os.fstat(self._file).st_nlink:
                self._begin_anew()
        except OSError as error:
            raise self._not_written(error) from error

    def _not_written(self, error: OSError) -> TownError:
        return TownError(f"{self.path} cannot be written ({error.strerror or error})")

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def _take_back(self) -> None:
        """Takes out what could not be written: a request of which that is so is not asked, so whoever opens this
        next must not ask it.

        After a sync that failed nobody knows what the disk has of the file, and the next sync would not say: what the
        kernel could not write it may have dropped. So all of it is written anew before anything else is."""
        with suppress(OSError):
            os.ftruncate(self._file, self._end)

    def _begin_anew(self) -> None:
        """Writes all that is of use into a new file in place of the doubtful one. OSError if that cannot be done."""
        self._is_doubtful = True
        self._rewrite()
        before, self._file = self._file, self._open()
        os.close(before)
        self._end = os.fstat(self._file).st_size
        self._unsure.clear()
        self._is_doubtful = self._is_unnoted = False

    # -- opening it ----------------------------------------------------------------------------------------

    def _claim(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TownError(
                f"another shop of the customer {self._name} is open here: end it, or choose another --name"
            ) from None

    def _unusable(self, error: OSError) -> TownError:
        why = f"{self.path} cannot be written ({error.strerror or error})"
        if self.path.exists():
            return TownError(
                f"{why}: see to it that it can, for it says what you asked for, and in another place all of that "
                "would be bought anew"
            )
        return TownError(f"{why}: choose another --dir")

    def _read(self) -> None:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return
        *lines, rest = content.split(b"\n")
        if rest:
            self.warnings.append(
                f"{self.path} ends in the middle of a line, which is dropped: a request in it was never sent, and an "
                "answer in it is looked for again"
            )
        if not lines:
            return
        self._check_header(lines[0])
        for number, line in enumerate(lines[1:], start=2):
            try:
                self._take_in(msgspec.json.decode(line, type=_Line))
            except (msgspec.MsgspecError, UnicodeDecodeError, KeyError) as error:
                raise self._unreadable(f"line {number}: {error}") from error

    def _check_header(self, line: bytes) -> None:
        try:
            header = msgspec.json.decode(line, type=_Header)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise self._unreadable(f"line 1: {error}") from error
        if header.format != FORMAT:
            raise TownError(
                f"{self.path} is of another version of this program (format {header.format}, not {FORMAT}): use that "
                "one, or move the file away once you know what became of the requests in it"
            )
        if header.customer != self._name:
            raise self._unreadable(f"it is that of {header.customer}")

    def _unreadable(self, why: str) -> TownError:
        return TownError(
            f"{self.path} cannot be understood ({why}), so nobody can say what was asked for and not answered: move "
            "it away, and look in the books for what you bought"
        )

    def _take_in(self, line: _Line) -> None:
        if line.asked is not None:
            self._unanswered[line.asked.id] = line.asked
        elif line.settled:
            self._unanswered.pop(line.settled, None)
            if line.outcome is not None:
                self._told.append(Told(outcome=line.outcome, town=line.town, area=line.area))

    def _rewrite(self) -> None:
        """Writes what is still of use into a new file, and so cuts a torn line off."""
        lines: list[object] = [_Header(format=FORMAT, customer=self._name)]
        lines += [_line_of(each) for each in self._told]
        lines += [_Line(asked=each) for each in self._unanswered.values()]
        write_whole(self.path, b"".join(msgspec.json.encode(line) + b"\n" for line in lines), mode=PRIVATE)


def _line_of(told: Told) -> _Line:
    settled = str(told.outcome.get("request_id", "-"))
    return _Line(settled=settled, outcome=told.outcome, town=told.town, area=told.area)


def record_in(directory: Path, name: str) -> AskedRecord:
    """Opens the record of a customer in a town's directory; see AskedRecord. TownError likewise."""
    shared = directory / "customers" / _shared_name(name)
    with suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):  # What is wrong is said when it is opened.
        _set_apart(shared)
    return AskedRecord(_path_of(shared.parent, name), name)


def _path_of(folder: Path, name: str) -> Path:
    """The file of a customer, and of no other: no name has a `%` in it."""
    return folder / f"{name.replace(':', '%3A')}.jsonl"


def _shared_name(name: str) -> str:
    return f"{name.replace(':', '_')}.jsonl"


def _set_apart(shared: Path) -> None:
    """Gives a file its customer's own name. Earlier versions had `a:b` and `a_b` share one, so that who came second
    was refused for ever. OSError, or what reading raises, where there is none, or it cannot be."""
    with shared.open("rb") as file:
        owner = msgspec.json.decode(file.readline(), type=_Header).customer
    own = _path_of(shared.parent, owner)
    if own == shared or _shared_name(owner) != shared.name:
        return
    with _locked(shared), _locked(own):  # Whoever uses one of the two has its lock: it stays as it is then.
        if not own.exists():
            shared.rename(own)


def _lock_of(path: Path) -> int:
    """Opens the file that whoever uses a record holds the lock of."""
    return os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = _lock_of(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)
