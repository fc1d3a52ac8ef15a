"""Who is at the other end of a connection: what its certificate says, which the town's authority has signed.

A certificate names one machine of the town, or one client, by a URI among its alternative names. A machine's also
says at which names and addresses it is called; a client is called by nobody. Certificates of versions that named
nobody are refused, for nobody could say what their holders may do.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec
from Pyro5.errors import SecurityError

Kind = Literal["machine", "client"]
KINDS: tuple[Kind, ...] = ("machine", "client")

MAX_NAME_LENGTH = 57
"""Of the name in a certificate: a customer's may have 64 letters, and a client's is `client-` and this."""

CLIENT_PREFIX = "client-"
"""A client trades under this and the name in its certificate; nobody else trades under such a name."""

CLIENT_NAME = re.compile(rf"[A-Za-z0-9_]{{1,{MAX_NAME_LENGTH}}}")
"""What a client may be called. No separator is in it, so that it can be told where its name ends in an id."""

_URI = re.compile(rf"bazaar://(machine|client)/([A-Za-z0-9_.:-]{{1,{MAX_NAME_LENGTH}}})")
_SCHEME = "bazaar:"


class Identity(msgspec.Struct, frozen=True):
    """Who holds a certificate. `hosts`: the names and addresses that a machine is called by, none for a client."""

    kind: Kind
    name: str
    hosts: frozenset[str] = frozenset()

    @property
    def uri(self) -> str:
        """The alternative name in the certificate that says so."""
        return f"bazaar://{self.kind}/{self.name}"

    @property
    def customer(self) -> str:
        """The name that a client trades under."""
        return f"{CLIENT_PREFIX}{self.name}"

    def is_called(self, host: str) -> bool:
        """Whether the certificate names this host, an address or a name."""
        return plain_host(host) in self.hosts


def plain_host(host: str) -> str:
    """Returns a name or address in the one form in which they are compared."""
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return host.lower()


def identity_named(uris: Iterable[str], hosts: Iterable[str]) -> Identity | None:
    """Returns who the alternative names of a certificate say its holder is; None if they name nobody, or several."""
    ours = [uri for uri in uris if uri.startswith(_SCHEME)]
    match = _URI.fullmatch(ours[0]) if len(ours) == 1 else None
    if match is None:
        return None
    kind: Kind = "machine" if match[1] == "machine" else "client"
    return Identity(kind, match[2], frozenset(map(plain_host, hosts)) if kind == "machine" else frozenset())


def identity_in(certificate: Mapping[str, Any]) -> Identity:
    """Returns who a certificate, as `ssl` gives it, names; SecurityError if it names nobody."""
    names = certificate.get("subjectAltName", ())
    uris = [value for kind, value in names if kind == "URI"]
    identity = identity_named(uris, [value for kind, value in names if kind in ("DNS", "IP Address")])
    if identity is None:
        raise SecurityError(
            "the certificate shown names no machine and no client, as of an older version: have the machine invited "
            "again (bazaar invite <its address> --out FILE on a machine of the town)"
        )
    return identity


def identity_of(sock: Any) -> Identity | None:
    """Returns who is at the other end of a socket that has shaken hands, None where it does not speak TLS.

    SecurityError if no certificate was shown, or one that names nobody."""
    if not isinstance(sock, ssl.SSLSocket):
        return None
    certificate = sock.getpeercert()
    if not certificate:
        raise SecurityError("this town speaks to its members only: no certificate was shown")
    return identity_in(certificate)
