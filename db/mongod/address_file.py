"""The secrets of a database that others run, such as that of docker-compose.yml, and the file that holds its address.

`python -m db.mongod.address_file DIRECTORY AUTHORITY MEMBER HOST:PORT DATABASE` makes, once, a password, the key by
which the database's members know each other (for `mongod --keyFile`; a copy is put beside the certificate MEMBER),
and `books.address`, which `--mongo @FILE` and BAZAAR_MONGO take. Each can be read by its owner only, and nothing of
it is shown.
"""

from __future__ import annotations

import sys
from pathlib import Path

from db.mongod.guard import KEY_FILE, make_guard
from db.mongod.set_of_one import SET_NAME
from db.uri import with_database, with_options
from peers.errors import LedgerError
from peers.files import PRIVATE, write_whole

FILE = "books.address"


def write_address(directory: Path, authority: Path, member: Path, address: str, database: str) -> Path:
    """Returns the file in `directory` with the address of `database` at `address` (a host and a port), that of a set
    whose members are called by their names. It names these two certificates. LedgerError if it cannot be written."""
    path = directory / FILE
    guard = make_guard(directory, authority, member)
    as_a_set = {"directConnection": None, "tlsAllowInvalidHostnames": None, "replicaSet": SET_NAME}
    uri = with_database(with_options(guard.uri(address), as_a_set), database)
    try:
        write_whole(member.with_name(KEY_FILE), guard.key.read_bytes(), mode=PRIVATE)
        write_whole(path, uri.encode() + b"\n", mode=PRIVATE)
    except OSError as error:
        raise LedgerError(f"the address of the books cannot be kept in {directory} ({error})") from error
    return path


def main(directory: str, authority: str, member: str, address: str, database: str) -> int:
    """Returns the exit code: 0 once all is there, 2 where it cannot be kept."""
    try:
        path = write_address(Path(directory), Path(authority), Path(member), address, database)
        print(f"the address of the books is in {path}")
    except LedgerError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
