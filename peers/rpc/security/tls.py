"""Two-way TLS for a town that others can reach: who holds a certificate of the town's own authority may speak.

A town has an authority of its own, and no other counts. It has signed one certificate for each machine, which says
what that machine is called and which it shows as a server and as a caller; whoever calls it looks whether it is the
one that was meant. A client's names nobody to be called. What either may do is asked later (`identity`).

Pyro5 keeps such settings for the whole process, and so do we: after `secure`, this process speaks TLS only. The
files are made by `peers.rpc.security.certificates`.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import msgspec
from Pyro5 import config, socketutil
from Pyro5.errors import SecurityError

from peers.errors import TownError
from peers.rpc.security.identity import Identity, identity_of

HANDSHAKE_S = 2.0
"""How long a caller may take over the handshake, TLS or Pyro's, before its connection is closed."""


_expected: ContextVar[str] = ContextVar("expected", default="")


class TlsFiles(msgspec.Struct, frozen=True):
    """The files of one town in `directory`. Members need all but the authority's key."""

    directory: Path

    @property
    def authority(self) -> Path:
        """The authority's certificate: what the others' are checked against."""
        return self.directory / "ca.pem"

    @property
    def authority_key(self) -> Path:
        """For making further certificates; best kept away from the members."""
        return self.directory / "ca.key"

    @property
    def member(self) -> Path:
        """The key and certificate of this machine, in one file, as MongoDB wants them too."""
        return self.directory / "member.pem"

    def check(self) -> None:
        """Raises TownError if one of the files that a member needs cannot be read."""
        for path in (self.authority, self.member):
            try:
                path.open("rb").close()
            except OSError as error:
                raise TownError(
                    f"{path} cannot be read ({error.strerror or error}): whoever joins a town is given it by an "
                    "invitation; run on a machine of that town: bazaar invite <address of this one> --out FILE, "
                    "and here: bash run.sh <address of that machine> <n> --invite FILE"
                ) from error


class ClientFile(msgspec.Struct, frozen=True):
    """The one file of a client, at `path`: its key and certificate, and that of the authority. Pyro5's own settings
    take it as it is, for both `SSL_CLIENTCERT` and `SSL_CACERTS`."""

    path: Path

    @property
    def authority(self) -> Path:
        return self.path

    @property
    def member(self) -> Path:
        return self.path

    def check(self) -> None:
        """Raises TownError if it cannot be read."""
        try:
            self.path.open("rb").close()
        except OSError as error:
            raise TownError(
                f"{self.path} cannot be read ({error.strerror or error}): give the file that a machine of the town "
                "wrote: bazaar invite --client NAME --out FILE"
            ) from error


def secure(files: TlsFiles | ClientFile) -> None:
    """Has this process speak TLS only, as who these files are of. Before any daemon or proxy.

    TownError if they are missing or cannot be used.
    """
    files.check()
    try:
        server, client = _server_context(files), _client_context(files)
    except (ssl.SSLError, OSError) as error:
        raise TownError(f"the certificate in {files.member} cannot be used: {error}") from error

    def context_for(*, servercert: str = "", **_others: object) -> ssl.SSLContext:
        return server if servercert else client

    # Pyro5's own contexts also trust every authority the system knows.
    socketutil.get_ssl_context = context_for
    config.SSL = True
    config.SSL_REQUIRECLIENTCERT = True
    config.SSL_SERVERCERT = config.SSL_CLIENTCERT = str(files.member)
    config.SSL_CACERTS = str(files.authority)
    # Pyro's multiplexing server would wait for a caller that connects and then says nothing, and serve nobody else.
    config.SERVERTYPE = "thread"


def is_secured() -> bool:
    """Whether this process speaks TLS."""
    return bool(config.SSL)


def check_member(connection: Any) -> Identity | None:
    """Returns who is at the other end of a connection, None where this process speaks no TLS; for
    `Daemon.validateHandshake`.

    SecurityError for one that has shown no certificate, or one that names nobody. The handshake itself has refused
    what is not of the town's authority; that some was shown is looked at again for a daemon made before `secure` was
    called, or with other contexts.
    """
    if not is_secured():
        return None
    identity = identity_of(connection.sock)
    if identity is None:
        raise SecurityError("this town speaks to its members only, over TLS")
    return identity


def _server_context(files: TlsFiles | ClientFile) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # No session is resumed, and a caller that waits for news should not be woken by tickets for that.
    context.num_tickets = 0
    return _members_only(context, files)


@contextlib.contextmanager
def expecting(host: str) -> Iterator[None]:
    """Within, who is connected to is to be called `host`, whatever address is dialled (`peers.rpc.shortcuts`)."""
    token = _expected.set(host)
    try:
        yield
    finally:
        _expected.reset(token)


class _ClientContext(ssl.SSLContext):
    def wrap_socket(self, *arguments: Any, **named: Any) -> ssl.SSLSocket:
        expected = _expected.get()
        return super().wrap_socket(*arguments, **(named | {"server_hostname": expected} if expected else named))


def _client_context(files: TlsFiles | ClientFile) -> ssl.SSLContext:
    context = _ClientContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = True
    return _members_only(context, files)


def _members_only(context: ssl.SSLContext, files: TlsFiles | ClientFile) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(files.member)
    context.load_verify_locations(files.authority)
    return context
