"""Where the town is, and who the customer is, when a person says neither."""

from __future__ import annotations

import getpass
import re
from pathlib import Path

import msgspec

from nameserver.client import find
from peers.core.names import NO_RANK, rank_of
from peers.endpoints import split_endpoint
from peers.errors import SettingsError, TownError
from peers.rpc.tls import TlsFiles, secure
from peers.town.directory import Directory


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A town: its name server, which town it is, and its directory where that is on this machine."""

    host: str
    port: int
    town: str = ""
    directory: Path | None = None


def find_town(directory: Path, nameserver: str | None) -> Place:
    """Returns the town of that name server, as `host:port`, or where it is None the one that runs in `directory`.

    This process speaks TLS from now on if the town does. TownError if there is none, or it does not answer,
    SettingsError if `nameserver` is no address."""
    here = Directory(directory)
    if nameserver is None:
        state = here.running_town()
        if state is None or not state.nameserver_port:
            raise TownError(
                f"no town runs in {here.path}: start one (bash run.sh localhost 6), name its place with --dir, or "
                "say where a name server is: --nameserver HOST:PORT"
            )
        if state.tls:
            secure(TlsFiles(here.tls))
        return _place(state.nameserver_host, state.nameserver_port, here.path)
    try:
        host, port = split_endpoint(nameserver)
    except ValueError as error:
        raise SettingsError(f"--nameserver: {error}") from error
    if here.tls.is_dir():
        secure(TlsFiles(here.tls))
    return _place(host, port, None)


def _place(host: str, port: int, directory: Path | None) -> Place:
    with find(host, port) as names:
        card = names.card() or {}
    return Place(host=host, port=port, town=card.get("town", ""), directory=directory)


def customer_name(given: str | None) -> str:
    """Returns the name that a customer was given, or that of who is logged in. SettingsError for that of a peer."""
    if given is not None:
        if rank_of(given) != NO_RANK:
            raise SettingsError(f"--name: {given} is the name of a peer; choose another, such as anna")
        return given
    try:
        login = getpass.getuser()
    except (KeyError, OSError):  # Python 3.13 raises the second where nobody of that number is known.
        return "customer"
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", login)[:60]
    return f"customer-{name}" if not name or rank_of(name) != NO_RANK else name
