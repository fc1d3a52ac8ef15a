"""The name that the terminal of a directory has among those of a town, from run to run.

The books know by it whose journals lie here. Under another name these would be said to be missing, by every audit
from then on. So it is kept twice, beside the journals and among them, and each is made again from the other.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from db.audit.journals import FOLDER
from nameserver.journal_names import is_terminal
from peers.files import write_whole

_FILE = "terminal"
_AMONG = Path(FOLDER) / ".terminal"


def kept_name(directory: Path) -> str:
    """Returns the name that is kept in a town's directory, "" if none is there."""
    return _read(directory / _FILE) or _read(directory / _AMONG)


def keep_name(directory: Path, proposed: str) -> str:
    """Returns the name that is kept in a town's directory, after it has been put there: the one it had, else
    `proposed`, or what another has put there just now."""
    name = _put(directory / _FILE, kept_name(directory) or proposed)
    if _read(directory / _AMONG) != name:
        with contextlib.suppress(OSError):
            write_whole(directory / _AMONG, name.encode())
    return name


def _read(path: Path) -> str:
    with contextlib.suppress(OSError, UnicodeError):
        found = path.read_text(encoding="ascii").strip()
        return found if is_terminal(found) else ""
    return ""


def _put(path: Path, proposed: str) -> str:
    found = _read(path)
    if found:
        return found
    with contextlib.suppress(OSError), path.open("a+b") as file:
        # Several may make one at the same moment, in threads and in processes, and all must come to the same.
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        name = file.read().decode("ascii", "replace").strip()
        if is_terminal(name):
            return name
        file.truncate(0)
        file.write(proposed.encode())
        file.flush()
        os.fsync(file.fileno())
    return proposed
