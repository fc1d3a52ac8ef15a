"""Text that came from outside: arguments, what is typed, what comes through a pipe.

Bytes that are no UTF-8 Python hands on as halves of surrogate pairs. Those look like text and are none: they can be
neither sent nor stored, so they are refused where they come in.
"""

from __future__ import annotations

from pathlib import Path

from peers.errors import SettingsError

_MOST_DIGITS = 18
"""No number of ours has more; one that has could be larger than the machine counts, or than Python reads."""


def is_text(given: str) -> bool:
    """Returns whether that is text, which can be written as UTF-8."""
    try:
        given.encode()
    except UnicodeEncodeError:
        return False
    return True


def escaped(given: str) -> str:
    """Returns `given` with each byte that is no UTF-8 as `\\xff`, to be shown to people."""
    try:
        return given.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # Half a pair that stands for no byte: a program has made it.
        return given.encode("utf-8", "backslashreplace").decode()


def whole_number(given: str) -> int | None:
    """Returns the number that these digits are, None if they are none, or more than any number of ours has."""
    is_number = given.isascii() and given.isdecimal() and len(given.lstrip("0")) <= _MOST_DIGITS
    return int(given.lstrip("0") or "0") if is_number else None


def check_named_in_text(option: str, path: Path) -> None:
    """Raises SettingsError for a directory that is, by way of where we are, in one whose name is no text: no word of
    it could be kept in a town's files, nor said to others."""
    there = str(path.absolute())
    if not is_text(there):
        raise SettingsError(f"{option}: the name of {escaped(there)} is not UTF-8; choose another directory")
