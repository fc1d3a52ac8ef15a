"""Files that are whole or not there: written beside their place, and moved there once they are complete.

A reader never meets half of one, whatever happens to the writer. After a loss of power it meets the one before or the
new one too: without `fsync` between writing and moving, a file system may keep the new name and lose what was in it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from peers.errors import SettingsError

PUBLIC = 0o644
PRIVATE = 0o600

_number = itertools.count()


@contextlib.contextmanager
def written_whole(path: Path, *, mode: int = PUBLIC, durable: bool = True) -> Iterator[BinaryIO]:
    """Gives a file to write to, which becomes `path` at the end; where that fails, `path` remains what it was.

    The file is never readable by more than `mode` says. With `durable` it survives a loss of power, which costs some
    milliseconds. OSError if it cannot be written.
    """
    # Several threads may write the same file, and a killed process of the same number may have left one behind.
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{next(_number)}")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
            out.flush()
            if durable:
                os.fsync(out.fileno())
        fresh.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
    if durable:
        _keep_name(path)


def write_whole(path: Path, content: bytes, *, mode: int = PUBLIC, durable: bool = True) -> None:
    """Has `path` contain just this; see `written_whole`."""
    with written_whole(path, mode=mode, durable=durable) as out:
        out.write(content)


def write_json(path: Path, value: object, *, mode: int = PUBLIC, durable: bool = True) -> None:
    """Has `path` contain `value` as JSON that a person can read; see `written_whole`."""
    write_whole(path, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n", mode=mode, durable=durable)


def check_place(option: str, path: Path | None, *, is_folder: bool = False) -> None:
    """Makes the folder that the `path` given by an option is, or is to be in; no path is as good as any.

    SettingsError if nothing can be written there: what takes long is not begun for nothing."""
    if path is None:
        return
    folder = path if is_folder else path.parent
    if not is_folder and path.is_dir():
        raise SettingsError(f"{option} {path} is a folder: name a file")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        why = error.strerror or error
        raise SettingsError(f"{option} {path} cannot be written to ({why}): choose another") from error


def _keep_name(path: Path) -> None:
    """Has the new name survive a loss of power, as far as the file system lets its folder be synced."""
    with contextlib.suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
