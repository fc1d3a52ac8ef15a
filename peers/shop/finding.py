"""Where the town is, at whose post, and who the customer is, when a person says none of it."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from nameserver.client import find
from peers.core.bounds import NO_RANK
from peers.core.market.limits import checked
from peers.core.names import rank_of
from peers.endpoints import split_endpoint
from peers.errors import BadRequest, SettingsError, TownError
from peers.rpc.rpc_connection import NobodyListens
from peers.rpc.security.tls import TlsFiles, is_secured, secure
from peers.town.files.directory import Directory
from peers.town.plan.areas import read_areas
from peers.town.speaking import speak_to


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A town: its name server, which town it is, and its areas in their order, "" being that of a town with one post;
    each with the directory that its journals are in, None where that is not on this machine."""

    host: str
    port: int
    town: str = ""
    areas: dict[str, Path | None]


def find_town(directory: Path, nameserver: str | None, *, is_client: bool = False) -> Place:
    """Returns the town of that name server, as `host:port`, or where it is None the one that runs in `directory`.

    This process speaks TLS from now on if the town does; `is_client`: it does so already, as a client. TownError if
    there is none, or it does not answer, SettingsError if `nameserver` is no address, or the town is of another
    version."""
    here = Directory(directory)
    where: tuple[str, int]
    journals: Directory | None
    if nameserver is None:
        state = here.running_town()
        if state is None or not state.nameserver_port:
            raise TownError(
                f"no town runs in {here.path}: start one (bash run.sh localhost 6), name its place with --dir, or "
                "say where a name server is: --nameserver HOST:PORT"
            )
        where, journals = speak_to(state, here, is_client=is_client), here
    else:
        where, journals = _endpoint(nameserver), None
        if here.tls.is_dir() and not is_client:
            secure(TlsFiles(here.tls))
    try:
        return _place(*where, journals)
    except TownError as error:
        is_known = nameserver is None and not is_client  # The town's own file says what it speaks.
        if is_known or isinstance(error.__cause__, NobodyListens):
            raise
        raise TownError(f"{error}; {_spoken(here, is_client=is_client)}") from error


def _endpoint(nameserver: str) -> tuple[str, int]:
    try:
        return split_endpoint(nameserver)
    except ValueError as error:
        raise SettingsError(f"--nameserver: {error}") from error


def _spoken(here: Directory, *, is_client: bool) -> str:
    """Says whether TLS was spoken, and why, to whoever was not understood: whether the town does, only it knows."""
    if is_client:
        return "TLS was spoken, by the file of --client: if that town has no certificates, leave it out"
    if is_secured():
        return (
            f"TLS was spoken, for {here.tls} has certificates: if that town has none, or others, name another --dir, "
            "or come with --client FILE"
        )
    return (
        "TLS was not spoken: if that town has certificates, come with --client FILE (bazaar invite --client), or "
        "name the --dir of one of its machines"
    )


def _place(host: str, port: int, directory: Directory | None) -> Place:
    with find(host, port) as names:
        card = names.card() or {}
    areas = [each.name for each in read_areas(card)] or [""]
    return Place(
        host=host, port=port, town=card.get("town", ""), areas={each: _journals(directory, each) for each in areas}
    )


def _journals(directory: Directory | None, area: str) -> Path | None:
    """The directory for the journals of an area, None where it has none here: its peers are on other machines."""
    path = directory.area(area).path if directory is not None else None
    return path if path is not None and path.is_dir() else None


def check_area(wanted: str | None, areas: Iterable[str]) -> None:
    """Raises SettingsError if the town with these areas ("" for one post) has none of the name that is `wanted`."""
    names = [name for name in areas if name]
    if wanted is not None and not names:
        raise SettingsError(f"the town has one post, and no area {wanted}: leave out --area")
    if wanted is not None and wanted not in names:
        raise SettingsError(f"the town has no area {wanted}: it has {', '.join(names)}")


def customer_name(given: str | None) -> str:
    """Returns the name that a customer was given, or that of who is logged in. SettingsError for that of a peer,
    and for what no customer may be called, which no file is to be made of."""
    if given is not None:
        if not given:
            raise SettingsError("--name: it is empty; leave it out, or say who you are, such as anna")
        try:
            checked("buyer", given)
        except BadRequest as error:
            raise SettingsError(f"--name: {error.why}") from error
        if rank_of(given) != NO_RANK:
            raise SettingsError(f"--name: {given} is the name of a peer; choose another, such as anna")
        return given
    try:
        login = getpass.getuser()
    except (KeyError, OSError):  # Python 3.13 raises the second where nobody of that number is known.
        return "customer"
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", login)[:60]
    return f"customer-{name}" if not name or rank_of(name) != NO_RANK else name
