"""Output that may fail without anything else failing: a reader that has gone, a full disk, a character unknown there.

What a program has found out is true whether or not somebody could be told, so its exit code must not depend on it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import Any, TextIO, cast

_FOR_GOOD = {errno.EPIPE, errno.EIO, errno.EBADF}
"""Nobody reads any more: a closed pipe, a terminal hung up. All else, such as a full disk, may pass."""


class ForgivingStream:
    """A text stream whose writing never fails. `failure` is the last error there was, None if there was none."""

    def __init__(self, out: TextIO) -> None:
        self.failure: OSError | None = None
        self._out = out
        # Whether the reader has gone for good; what is still written is thrown away then.
        self._gone = False
        with contextlib.suppress(AttributeError):  # A stream in memory lacks this, and takes every character.
            out.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)

    @property
    def is_reader_gone(self) -> bool:
        """Whether nobody reads any more, and so nobody misses anything."""
        return self.failure is not None and _is_for_good(self.failure)

    def write(self, text: str) -> int:
        """Writes `text`, or not; returns its length either way."""
        if not self._gone:
            try:
                return self._out.write(text)
            except OSError as error:
                self._note(error)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Writes one after the other."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Sends what was written on, if it can."""
        if not self._gone:
            try:
                self._out.flush()
            except OSError as error:
                self._note(error)

    def settle(self) -> None:
        """Throws away what still cannot be written; to be called at the end.

        Otherwise Python would try once more at its exit, complain, and change the exit code.
        """
        if not self._gone:
            try:
                self._out.flush()
            except OSError as error:
                self.failure = error
                self._let_go()

    def _note(self, error: OSError) -> None:
        self.failure = error
        if _is_for_good(error):
            self._let_go()

    def _let_go(self) -> None:
        self._gone = True
        # What is left to be written goes nowhere, or whoever closes the stream would meet the same failure again.
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._out.fileno())
            os.close(nowhere)


def _is_for_good(error: OSError) -> bool:
    return isinstance(error, ConnectionError) or error.errno in _FOR_GOOD


def forgiving(out: TextIO) -> ForgivingStream:
    """Returns `out` as a stream whose writing never fails."""
    return out if isinstance(out, ForgivingStream) else ForgivingStream(out)


def forgive_output() -> tuple[ForgivingStream, ForgivingStream]:
    """Has this process's standard output and standard error never fail; returns the two.

    Where one of the three standard streams was closed, it leads nowhere from now on: what is opened next would get
    its number otherwise, and be written to in its place.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)  # It gets the lowest number that is free, which is this one.
            os.set_inheritable(nowhere, True)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    out, err = forgiving(sys.stdout), forgiving(sys.stderr)
    sys.stdout, sys.stderr = cast("TextIO", out), cast("TextIO", err)
    return out, err
