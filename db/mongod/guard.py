"""What a mongod of ours asks of those who come over the network: a certificate of the town's, and a password.

One on loopback has none of it, for there the machine's own users are the only ones who come.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from urllib.parse import quote, urlencode

import msgspec
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from peers.errors import LedgerError
from peers.files import PRIVATE, write_whole

USER = "bazaar"
"""The one user: whoever may become trader writes the books, so there is nothing to keep from one and not another."""

KEY_FILE = "mongod.key"
"""What the members of a set know each other by."""

_PASSWORD_BYTES = 24
_KEY_BYTES = 96
_USER_EXISTS = 51003  # error code


class Guard(msgspec.Struct, frozen=True):
    """The town's certificates, the password, and the key that a replica set with a password must have."""

    authority: Path
    member: Path
    key: Path
    password: str

    def arguments(self) -> list[str]:
        """Returns what mongod is started with for it; nothing of it is secret."""
        return [
            *("--tlsMode", "requireTLS"),
            *("--tlsCertificateKeyFile", str(self.member), "--tlsCAFile", str(self.authority)),
            *("--keyFile", str(self.key)),
        ]

    def uri(self, address: str) -> str:
        """Returns the whole address of the books at `address` (host and port), with the password."""
        login = f"{USER}:{quote(self.password, safe='')}@"
        return f"mongodb://{login}{address}/?{self._options()}&authSource=admin"

    def anonymous_uri(self, address: str) -> str:
        """The same, as nobody in particular."""
        return f"mongodb://{address}/?{self._options()}"

    def _options(self) -> str:
        options = {"directConnection": "true", "tls": "true"}
        return urlencode(options | {"tlsCAFile": self.authority, "tlsCertificateKeyFile": self.member})

    def make_user(self, client: MongoClient[dict[str, object]]) -> bool:
        """Makes the user, as mongod lets do whoever comes over loopback while there is none; returns True."""
        make_user(client, USER, self.password)
        return True


def make_user(client: MongoClient[dict[str, object]], user: str, password: str) -> None:
    """Has the server know a user who may do all, by this password. PyMongoError if it does not let us."""
    try:
        client.admin.command("createUser", user, pwd=password, roles=["root"])
    except OperationFailure as error:
        if error.code != _USER_EXISTS:
            raise
        client.admin.command("updateUser", user, pwd=password)


def make_guard(directory: Path, authority: Path, member: Path) -> Guard:
    """Returns a guard whose secrets are kept in `directory`, made at first; LedgerError if they cannot be."""
    password, key = directory / "mongod.password", directory / KEY_FILE
    try:
        for path, size in ((password, _PASSWORD_BYTES), (key, _KEY_BYTES)):
            if not path.exists():
                write_whole(path, secrets.token_hex(size).encode(), mode=PRIVATE)
            path.chmod(PRIVATE)  # Or else mongod refuses the key.
        return Guard(authority, member, key, password.read_text(encoding="utf-8").strip())
    except (OSError, UnicodeError) as error:
        raise LedgerError(f"the password of the books cannot be kept in {directory} ({error})") from error
