"""What a customer has asked for and not heard of yet, kept on disk so that it is not asked for twice.

A request is written down, and the disk has it, before it is sent. So whoever was killed between asking and hearing
finds, when it is started again, the id and the contents of what it asked for, and can look for the outcome, or ask
again with the same id. That the answer came is written down too, but need not survive a loss of power: at worst a
question that was answered is asked once more, and gets the same answer.

The file has one JSON object a line; the first says of which version it is and whose. A last line that is torn was
never finished, so what it was to announce was never sent: it is cut off. Any other line that cannot be read is no
such thing, and nothing is guessed: the file is refused.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections import deque
from contextlib import suppress
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
        return str(self.argument["request_id" if self.method == "buy" else "deposit_id"])

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
    or cannot be read, or if it cannot be written."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._name = name
        self._unanswered: dict[str, AskedFor] = {}
        self._told: deque[Told] = deque(maxlen=MOST_KEPT)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
        except OSError as error:
            raise TownError(f"{path} cannot be written ({error.strerror or error}): choose another --dir") from error
        try:
            self._claim()
            self._read()
            self._rewrite()
            self._file = self._open()
            # Where the last whole line ends.
            self._end = os.fstat(self._file).st_size
            self._is_doubtful = False
        except BaseException as error:
            os.close(self._lock)
            if isinstance(error, OSError):
                why = error.strerror or error
                raise TownError(f"{path} cannot be used ({why}): choose another --dir") from error
            raise

    def __enter__(self) -> AskedRecord:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets another process have it."""
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
        if request.id in self._unanswered:
            return
        self._make_sure()
        # First, for a Ctrl-C may come while it is written: it is kept then, whether or not it was sent.
        self._unanswered[request.id] = request
        try:
            self._append(_Line(asked=request), durable=True)
        except TownError:
            del self._unanswered[request.id]
            raise

    def settled(self, request_id: str, outcome: dict[str, Any] | None = None) -> None:
        """Writes down that nobody waits for this any more: it was answered, refused for good, or let go. TownError
        if it cannot be written."""
        asked = self._unanswered.pop(request_id, None)
        if asked is None:
            return
        if outcome is None:
            self._append(_Line(settled=request_id), durable=False)
            return
        told = Told(outcome=outcome, town=asked.town, area=asked.area)
        self._append(_line_of(told), durable=False)
        self._told.append(told)

    def _append(self, line: _Line, *, durable: bool) -> None:
        self._make_sure()
        try:
            whole = msgspec.json.encode(line) + b"\n"
            if os.write(self._file, whole) < len(whole):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # The disk took a part of it.
            if durable:
                os.fsync(self._file)
            self._end += len(whole)
        except OSError as error:
            self._take_back()
            raise self._not_written(error) from error

    def _make_sure(self) -> None:
        """Has the file be known to be right before more is written to it. TownError if it cannot be written."""
        if self._is_doubtful:
            try:
                self._begin_anew()
            except OSError as error:
                raise self._not_written(error) from error

    def _not_written(self, error: OSError) -> TownError:
        return TownError(
            f"{self.path} cannot be written ({error.strerror or error}), so nothing is asked: what is not kept "
            "could be bought twice"
        )

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def _take_back(self) -> None:
        """Takes out what could not be written: it is not asked, so whoever opens this next must not ask it.

        After a sync that failed nobody knows what the disk has of the file, and the next sync would not say: what the
        kernel could not write it may have dropped. So all of it is written anew before anything else is."""
        self._is_doubtful = True
        with suppress(OSError):
            os.ftruncate(self._file, self._end)

    def _begin_anew(self) -> None:
        """Writes all that is of use into a new file in place of the doubtful one. OSError if that cannot be done."""
        self._rewrite()
        fresh = self._open()
        os.close(self._file)
        self._file, self._end, self._is_doubtful = fresh, os.fstat(fresh).st_size, False

    # -- opening it ----------------------------------------------------------------------------------------

    def _claim(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TownError(
                f"another shop of the customer {self._name} is open here: end it, or choose another --name"
            ) from None

    def _read(self) -> None:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return
        *lines, rest = content.split(b"\n")
        if rest:
            self.warnings.append(
                f"{self.path} ends in the middle of a line: what that was to announce was never sent, and is dropped"
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
    return AskedRecord(directory / "customers" / f"{name.replace(':', '_')}.jsonl", name)
