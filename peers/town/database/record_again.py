"""The record of a set whose `replication.json` is lost or illegible, made again from what the books themselves say.

Without it the books would be opened as a set of one, which they are not: they would wait for members that nobody
starts. A member knows all others from its own configuration, and further ones on this machine have a folder each.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from db.mongod.process import MongodProcess
from db.mongod.replica_set import PARAMETERS, members_known_to
from db.uri import option_of
from peers.endpoints import split_endpoint, try_to_bind
from peers.errors import LedgerError, TownError
from peers.town.database.replication import Replication, read_replication, record_file, write_replication

_LEAST = 3
"""Where there is a record at all, the books are to be in so many members or more."""


def restore_replication(home: Path, warn: Callable[[str], None], before_at: str = "") -> None:
    """Makes the record of the books in `home` again if it should be there and cannot be read, and warns of that.
    `before_at`: the address that they had last, empty if that is not known.

    TownError where the books do not say in which members they are."""
    file = record_file(home)
    if read_replication(home) is not None or not (home / "data").is_dir():
        return
    has_further = any((folder / "data").is_dir() for folder in home.glob("[0-9]*"))
    if not (file.exists() or has_further or (before_at and option_of(before_at, "replicaSet"))):
        return
    try:
        with MongodProcess(home, founds=False, parameters=PARAMETERS) as member:
            known = members_known_to(member.uri)
        own = tuple(each for each in known if _is_here(each))
        # Of an even number no more may be lost than of one fewer, so none is ever asked for.
        write_replication(home, Replication(wanted=max(_LEAST, len(known) | 1), own=own, known=known))
    except (OSError, LedgerError, ValueError) as error:
        raise TownError(
            f"{file} is lost or illegible, and the books in {home} do not say in which members they are ({error}): "
            "put it back from a copy, or choose another --dir"
        ) from error
    warn(f"{file} was lost or illegible; it was made again from the books, which are in {', '.join(known)}")


def _is_here(address: str) -> bool:
    """Whether a member that is called so runs on this machine."""
    try:
        return try_to_bind(split_endpoint(address)[0], 0) > 0
    except OSError:
        return False
