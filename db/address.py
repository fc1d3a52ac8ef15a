"""What an address of MongoDB says, and whether anybody listens there: asked before anything is started."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from typing import Any

from db.schema.collections import DATABASE
from db.uri import hosts_of, parsed
from peers.endpoints import endpoint
from peers.errors import LedgerError, SettingsError


def database_of(uri: str) -> str:
    """Returns the database a MongoDB address names, else the usual one; LedgerError if it is no such address."""
    return database_in(uri) or DATABASE


def database_in(uri: str) -> str | None:
    """Returns the database a MongoDB address names, None if it names none; LedgerError if it is no such address."""
    database: str | None = parsed(uri)["database"]
    return database


def check_reachable(uri: str, timeout_s: float = 2.0) -> None:
    """Raises LedgerError if nobody listens at any of its hosts: said at once, before anything is started."""
    hosts = hosts_of(uri)
    for host, port in hosts:
        with suppress(OSError), socket.create_connection((host, port), timeout_s):
            return
    listed = ", ".join(f"{host}:{port}" for host, port in hosts)
    raise LedgerError(f"no database answers at {listed}: start one, or mend --mongo")


def check_closed(uri: str, *, insecure: bool) -> str | None:
    """Returns what is to be said of a database that others on the network can read or change, where `insecure` allows
    for that; None for one on loopback or a unix socket, or behind TLS and a password (or a certificate as user).

    SettingsError where that was not asked for, with what to do. LedgerError if it is no address."""
    far = [endpoint(*each) for each in hosts_of(uri) if not _is_here(each[0])]
    lacks = _lacking(parsed(uri))
    if not far or not lacks:
        return None
    where, what = ", ".join(far), " and ".join(lacks)
    if insecure:
        return f"the database at {where} is used without {what} (--insecure): others can read or change the books"
    raise SettingsError(
        f"the database at {where} would be used without {what}, so others could read or change the books: have it "
        "ask for both, and give an address that says so by --mongo @FILE "
        "(mongodb://USER:PASSWORD@…/?tls=true&tlsCAFile=…&authSource=admin), or give --insecure besides, where "
        "everybody on that network may"
    )


def _lacking(given: Any) -> list[str]:
    options = given["options"]
    is_checked = not (options.get("tlsInsecure") or options.get("tlsAllowInvalidCertificates"))
    lacks = [] if options.get("tls") and is_checked else ["TLS"]
    if not given["username"] and options.get("authMechanism") != "MONGODB-X509":
        lacks.append("a password")
    return lacks


def _is_here(host: str) -> bool:
    """Whether only this machine is meant by `host`, a name, an address, or the path of a socket."""
    if host.startswith("/") or host.lower() == "localhost":
        return True
    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError:
        return False  # Nobody knows it here, so it is another machine's.
    return all(ipaddress.ip_address(each.partition("%")[0]).is_loopback for each in found)
