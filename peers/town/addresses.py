"""Turns the `<host>` of the command line into the address the town listens on, or says in one line why it cannot.

A town serves addresses of this machine only, loopback by default. What others can reach asks who calls: there peers
and name server speak TLS and show certificates, unless `--insecure` says not to (see `peers.rpc.tls`).
"""

from __future__ import annotations

import ipaddress
import socket

import psutil

from peers.endpoints import split_endpoint
from peers.errors import TownError


def resolve_host(host: str) -> str:
    """Returns the address of this machine that `host` stands for; TownError if it is none."""
    address = _lookup(host)
    ip = ipaddress.ip_address(address)
    if ip.is_unspecified:
        raise TownError(f"{host} is no address others can call: name one address of this machine, e.g. 127.0.0.1")
    if ip.is_loopback:
        return address
    named = host if host == address else f"{host} ({address})"
    if address not in _own_addresses():
        raise TownError(
            f"{named} is not an address of this machine: a town is started on the machine it runs on; "
            "localhost is the usual choice"
        )
    return address


def can_be_reached(address: str) -> bool:
    """Whether other machines may be able to call `address`."""
    return not ipaddress.ip_address(address).is_loopback


def _lookup(host: str) -> str:
    """An IPv4 address where there is one: everything else here is told one address, not a list."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise TownError(f"{host!r} is not a host that can be found ({why}); localhost is the usual choice") from error
    addresses = [str(entry[4][0]) for entry in sorted(found, key=lambda entry: entry[0] != socket.AF_INET)]
    return addresses[0].split("%")[0]


def _own_addresses() -> set[str]:
    return {entry.address.split("%")[0] for entries in psutil.net_if_addrs().values() for entry in entries}


def parse_endpoint(text: str) -> tuple[str, int]:
    """Takes `--nameserver` apart: `host:port` (`[address]:port` for IPv6); TownError if it is none."""
    try:
        return split_endpoint(text)
    except ValueError as error:
        raise TownError(f"--nameserver {text}: expected host:port, such as 127.0.0.1:9090") from error
