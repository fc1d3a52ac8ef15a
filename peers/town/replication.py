"""What a machine remembers of the replica set that its town's books are in."""

from __future__ import annotations

from pathlib import Path

import msgspec

from peers.files import write_json


class Replication(msgspec.Struct, frozen=True, kw_only=True):
    """`replication.json`: how many members the set is to have, the addresses of those here, and of all when last
    seen."""

    wanted: int
    own: tuple[str, ...] = ()
    known: tuple[str, ...] = ()


def read_replication(home: Path) -> Replication | None:
    """Returns what the machine whose books are in `home` knows of its set; None if they are no set of several."""
    try:
        return msgspec.json.decode(_file(home).read_bytes(), type=Replication)
    except (OSError, msgspec.MsgspecError):
        return None


def begin_replication(home: Path, wanted: int) -> None:
    """Notes that the books are to be in so many members, if nothing is known of that yet. OSError if that fails."""
    if read_replication(home) is None:
        _file(home).parent.mkdir(parents=True, exist_ok=True)
        write_replication(home, Replication(wanted=wanted))


def write_replication(home: Path, record: Replication) -> None:
    """Notes what is known of the set of the books in `home`. OSError if that fails."""
    write_json(_file(home), record)


def _file(home: Path) -> Path:
    # Beside the books: where those are lost, it has to be known that others have them.
    return home.with_name("replication.json")


def members_elsewhere(home: Path) -> list[str]:
    """Returns the addresses of those members of the set in `home` that other machines have."""
    record = read_replication(home)
    return [] if record is None else [each for each in record.known if each not in record.own]
