"""Turns the `<host>` of the command line into the address the town listens on, or says in one line why it cannot.

A town serves addresses of this machine only, loopback by default. What others can reach asks who calls: there peers
and name server speak TLS and show certificates, unless `--insecure` says not to (see `peers.rpc.security.tls`).
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable

import psutil

from peers.endpoints import split_endpoint, try_to_bind
from peers.errors import TownError

DEFAULT_PORTS = (9090, 9189)
"""Of a terminal that others can reach, where none are given: a firewall cannot let through what nobody can name."""


def resolve_host(host: str, *, advertised: str | None = None) -> str:
    """Returns the address of this machine that `host` stands for; TownError if it is none.

    All of this machine's (`0.0.0.0`) will do only where what others call is said apart from it (`advertised`)."""
    address = look_up(host)
    ip = ipaddress.ip_address(address)
    if ip.is_unspecified and advertised is not None:
        return address
    if ip.is_unspecified:
        raise TownError(
            f"{host} is no address others can call: name one address of this machine, e.g. 127.0.0.1, "
            "or say with --advertise which one they call"
        )
    if ip.is_loopback:
        check_loopback(host, address)
        return address
    named = host if host == address else f"{host} ({address})"
    if not is_own(address):
        raise TownError(
            f"{named} is not an address of this machine. To open a town here, give an address of this one "
            f"({_choice()}). To join the town of {host}, run there: bazaar invite "
            f"{_outside() or '<address of this one>'} --out FILE, bring FILE here, then: bash run.sh {host} <n> "
            f"--invite FILE. Behind NAT, give the private address of this machine and --advertise {host}"
        )
    return address


def check_loopback(host: str, address: str) -> None:
    """Raises TownError for a name that looks like one of the network but means loopback, as Debian has it for a
    machine's own name: nobody else could join, and nothing would say why."""
    if _is_address(host) or host.lower().removesuffix(".") in ("localhost", "ip6-localhost", "localhost.localdomain"):
        return
    raise TownError(
        f"{host} resolves to {address} here, which is loopback, so no other machine could call it: give the address "
        f"itself ({_outside() or 'this machine has none but loopback'}), mend {host} in /etc/hosts, "
        "or say localhost for a town of this machine alone"
    )


def can_be_reached(address: str) -> bool:
    """Whether other machines may be able to call `address`."""
    return not ipaddress.ip_address(address).is_loopback


def is_own(address: str) -> bool:
    """Whether this machine can listen on `address`."""
    return ipaddress.ip_address(address).is_loopback or address in _own_addresses()


def names_of_machine(host: str, advertised: str | None) -> list[str]:
    """Returns what a machine that listens at `host` is called by others, what it is to be called first: where that is
    all of its addresses, each of them."""
    here = [host]
    if ipaddress.ip_address(host).is_unspecified:
        here = sorted(each for each in _own_addresses() if _is_address(each) and _is_for_others(each))
    return list(dict.fromkeys([advertised, *here] if advertised is not None else here))


def _is_for_others(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    return not (ip.is_loopback or ip.is_link_local)


def check_advertised(address: str) -> None:
    """Raises TownError if others cannot be told to call `address`, an address or a name."""
    found = ipaddress.ip_address(look_up(address))
    if found.is_unspecified or found.is_loopback:
        raise TownError(
            f"--advertise {address}: means {found} here, which others cannot call; give the address they do"
        )


def address_towards(host: str) -> str:
    """Returns the address of this machine that calls to `host` come from; TownError if there is no way there."""
    target = look_up(host)
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((target, 9))  # Nothing is sent; the kernel only picks the way.
        except OSError as error:
            raise TownError(f"there is no way from here to {host} ({error.strerror or error})") from error
        address: str = probe.getsockname()[0]
        return address


def pick_port(host: str, ports: tuple[int, int], *, preferred: int = 0, without: Iterable[int] = ()) -> int:
    """Returns a port of these that nobody listens on just now, `preferred` if it is one; TownError if all are taken.

    `without`: those that are somebody's already, though nobody listens there yet."""
    first, last = ports
    taken = set(without)
    candidates: list[int] = [*range(first, last + 1)]
    if preferred in candidates:
        candidates.insert(0, preferred)
    for port in candidates:
        if port not in taken and _is_free(host, port):
            return port
    raise TownError(f"all ports from {first} to {last} are taken on {host}: give others with --peer-ports")


def _is_free(host: str, port: int) -> bool:
    try:
        try_to_bind(host, port)
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            return False
        raise TownError(f"{host} cannot be listened on ({error.strerror or error})") from error
    return True


def look_up(host: str) -> str:
    """Returns the address `host` stands for, of IPv4 where there is one: all else here is told one address, not a
    list. TownError if it cannot be found."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise TownError(f"{host!r} is not a host that can be found ({why}); localhost is the usual choice") from error
    addresses = [str(entry[4][0]) for entry in sorted(found, key=lambda entry: entry[0] != socket.AF_INET)]
    return addresses[0].split("%")[0]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _own_addresses() -> set[str]:
    return {entry.address.split("%")[0] for entries in psutil.net_if_addrs().values() for entry in entries}


def _outside() -> str:
    """An address of this machine that others may be able to call, if it has one; those of IPv4 first."""
    own = (text for text in _own_addresses() if _is_address(text) and _is_for_others(text))
    found = [ipaddress.ip_address(text) for text in own]
    return str(min(found, key=lambda ip: (ip.version, int(ip)))) if found else ""


def _choice() -> str:
    outside = _outside()
    return f"{outside}, or localhost for itself alone" if outside else "localhost is the usual choice"


def parse_endpoint(text: str) -> tuple[str, int]:
    """Takes `--nameserver` apart: `host:port` (`[address]:port` for IPv6); TownError if it is none."""
    try:
        return split_endpoint(text)
    except ValueError as error:
        raise TownError(f"--nameserver {text}: expected host:port, such as 127.0.0.1:9090") from error
