"""What a machine remembers of the replica set that its town's books are in."""

from __future__ import annotations

from pathlib import Path

import msgspec

from peers.core.names import WriteLevel
from peers.core.settings import LedgerSettings
from peers.errors import SettingsError
from peers.files import write_json

_WHAT_IS_KEPT = {
    "majority": "a purchase is told once most members have it on disk, and a fail-over loses none",
    "two": "a purchase is told once two members have it on disk; a fail-over may lose the last ones, "
    "though hardly ever with three members, and the audit shows which",
    "one": "a purchase is told once one member has it on disk; a fail-over may lose the last ones, "
    "and the audit shows which",
}


class Replication(msgspec.Struct, frozen=True, kw_only=True):
    """`replication.json`: how many members the set is to have, the addresses of those here, and of all when last
    seen."""

    wanted: int
    own: tuple[str, ...] = ()
    known: tuple[str, ...] = ()


def read_replication(home: Path) -> Replication | None:
    """Returns what the machine whose books are in `home` knows of its set; None if they are no set of several,
    or that cannot be understood (`record_again` mends that before the books are opened)."""
    try:
        return msgspec.json.decode(record_file(home).read_bytes(), type=Replication)
    except (OSError, msgspec.MsgspecError):
        return None


def begin_replication(home: Path, wanted: int) -> None:
    """Notes that the books are to be in so many members, if nothing is known of that yet. OSError if that fails."""
    if read_replication(home) is None:
        record_file(home).parent.mkdir(parents=True, exist_ok=True)
        write_replication(home, Replication(wanted=wanted))


def write_replication(home: Path, record: Replication) -> None:
    """Notes what is known of the set of the books in `home`. OSError if that fails."""
    write_json(record_file(home), record)


def record_file(home: Path) -> Path:
    """Returns where what is known of the set of the books in `home` is kept."""
    # Beside the books: where those are lost, it has to be known that others have them.
    return home.with_name("replication.json")


def members_elsewhere(home: Path) -> list[str]:
    """Returns the addresses of those members of the set in `home` that other machines have."""
    record = read_replication(home)
    return [] if record is None else [each for each in record.known if each not in record.own]


def members_wanted(home: Path, asked: int | None, usual: int) -> int:
    """Returns how many members the books in `home` are to have: as `asked`, else as before, and as is `usual`."""
    before = read_replication(home)
    return asked or max(before.wanted if before is not None else 1, usual)


def check_level(level: WriteLevel, members: int) -> None:
    """Raises SettingsError for a write level that so many members cannot reach."""
    if level == "two" and members < 2:
        raise SettingsError("ledger.write_level two needs two members or more: give --replicas 3, or another level")


def what_is_kept(ledger: LedgerSettings, *, is_several: bool) -> str:
    """Returns one line for people: what may be lost at this write level, and what a search may miss; empty where the
    books are in one member, which has all there is."""
    if not is_several and ledger.write_level == "majority":
        return ""
    line = f"write level {ledger.write_level}: {_WHAT_IS_KEPT[ledger.write_level]}"
    if ledger.read_preference == "nearest":
        line += f"; any peer answers a search, and misses nothing older than {ledger.max_staleness_s:g} s"
    return line
