"""Invitations: what one machine of a town writes, and another brings, so that nothing else need be copied or said.

An invitation is one file. It says where the town is (the name servers of its machines), holds a certificate for the
new machine with the authority that has signed it, and the address of the books, with their password and certificates
where they have any. It is for one machine, for some hours, and only its owner can read it. By default it holds the
authority's key too, so that the new machine may invite in its turn; the first machine always may.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from db.mongod.guard import KEY_FILE
from db.uri import hosts_of, option_of, with_hosts, with_options
from peers.books_address import is_hidden
from peers.endpoints import endpoint
from peers.errors import SettingsError, TownError
from peers.files import PRIVATE, write_whole
from peers.rpc.security.certificates import issue_client, issue_member
from peers.rpc.security.identity import CLIENT_PREFIX
from peers.rpc.security.tls import TlsFiles
from peers.town.database.replication import begin_replication, read_replication
from peers.town.files.directory import Directory, TownState
from peers.town.machines.addresses import can_be_reached, look_up, names_of_machine

ENVIRONMENT = "BAZAAR_INVITE"
"""The variable that holds an invitation, or `@FILE`, where no option does."""

_FORM = 1
_FILE_OPTIONS = {"tlsCAFile": "books-ca.pem", "tlsCertificateKeyFile": "books.pem"}
"""Those parts of the books' address that name a file, and what that is called in the new machine's directory."""


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """One invitation. `town`: name servers, each `host:port`. `books_files`: what the address of the books names as
    files, by the option that does; an option without contents means the new machine's own certificate, or the town's
    authority. `replicas`: in how many members the books are to be, if they are the town's own; `books_key`: what
    these know each other by."""

    form: int
    address: str
    town: tuple[str, ...]
    expires_at_s: int
    authority: str
    member: str
    authority_key: str | None
    books: str
    books_files: dict[str, str | None]
    replicas: int = 1
    books_key: str | None = None


def make_invitation(
    directory: Directory, address: str, *, hours: float, may_invite: bool, now_s: float
) -> Invitation:
    """Returns an invitation for the machine that others call at `address`; TownError if none can be made here."""
    if not can_be_reached(look_up(address)):
        raise TownError(
            f"{address} is loopback, where no other machine is: name the address of the one to be invited"
        )
    state = directory.running_town()
    if state is None or state.phase != "open":
        raise TownError(f"no town is open in {directory.path}: invite from a machine where it runs, or name --dir")
    check_shared(state)
    files = TlsFiles(directory.tls)
    # By whichever of its names the new machine is then called.
    member = issue_member(files, [address, look_up(address)])
    try:
        authority = files.authority.read_text(encoding="ascii")
        key = files.authority_key.read_text(encoding="ascii") if may_invite else None
        books, books_files = _portable_books(state, files)
        replication = read_replication(directory.mongo)
        books_key = None if replication is None else _key_of_books(files).read_text(encoding="ascii")
    except OSError as error:
        raise TownError(f"{error.filename} cannot be read ({error.strerror or error})") from error
    return Invitation(
        form=_FORM,
        address=address,
        town=tuple(_name_servers(directory, state)),
        expires_at_s=int(now_s + hours * 3600),
        authority=authority,
        member=member.decode("ascii"),
        authority_key=key,
        books=books,
        books_files=books_files,
        replicas=1 if replication is None else replication.wanted,
        books_key=books_key,
    )


def check_shared(state: TownState) -> None:
    """Raises TownError if this town is none that other machines could join, with what to do."""
    if not state.tls:
        raise TownError(
            f"the town here is for this machine alone (it is open on {state.host}): end it, open it on an address "
            "that others can call: bash run.sh <that address> <n>; its books are kept"
        )
    if not can_be_reached(look_up(state.advertised or state.host)):
        raise TownError(
            f"the town here is open on {state.host}, which others cannot call: open it on another address"
        )
    if not state.mongo_uri or is_hidden(state.mongo_uri):
        raise TownError("the address of the books may not be read here: only who runs the town can invite")
    for host, _port in hosts_of(state.mongo_uri):
        if not can_be_reached(look_up(host)):
            raise TownError(
                f"the books are at {host}, where no other machine can reach them: open the town without --mongo, or "
                "with the address of a database that all its machines reach"
            )


def _portable_books(state: TownState, files: TlsFiles) -> tuple[str, dict[str, str | None]]:
    """The address of the books as it is right elsewhere, and the files it names."""
    contents: dict[str, str | None] = {}
    for option in _FILE_OPTIONS:
        named = option_of(state.mongo_uri, option)
        if named is not None:
            path = Path(named)
            is_ours = path in (files.authority, files.member)
            contents[option] = None if is_ours else path.read_text(encoding="ascii")
    outside = dict.fromkeys(names_of_machine(state.host, None), state.advertised) if state.advertised else {}
    return with_options(with_hosts(state.mongo_uri, outside), dict.fromkeys(contents)), contents


def _name_servers(directory: Directory, state: TownState) -> list[str]:
    """Of all the machines known here, this one first."""
    ours = endpoint(state.advertised or state.host, state.nameserver_port)
    return list(dict.fromkeys([ours, *known_machines(directory)]))


def known_machines(directory: Directory) -> list[str]:
    """Returns the name servers, each `host:port`, of the other machines that the terminal in this directory knows."""
    machines = directory.read_machines()
    return [] if machines is None else list(machines.nameservers)


def write_invitation(invitation: Invitation, path: Path) -> None:
    """Writes it to a file that only its owner can read; TownError if that cannot be."""
    _write_private(path, msgspec.json.format(msgspec.json.encode(invitation), indent=1) + b"\n")


def _write_private(path: Path, contents: bytes) -> None:
    try:
        write_whole(path, contents, mode=PRIVATE)
    except OSError as error:
        raise TownError(f"{path} cannot be written ({error.strerror or error}): choose another --out") from error


def write_client_file(directory: Directory, name: str, path: Path) -> str:
    """Writes what a client of that name needs to trade with the town of `directory`, for its owner only; returns the
    name that it trades under. TownError if nobody can be let in here, SettingsError for a name that will not do."""
    files = TlsFiles(directory.tls)
    if not files.authority.exists():
        raise TownError(
            f"no town that asks for certificates was opened in {directory.path}: one on loopback takes anybody of "
            "this machine; else name the directory of the town with --dir"
        )
    _write_private(path, issue_client(files, name))
    return f"{CLIENT_PREFIX}{name}"


def read_invitation(given: str) -> Invitation:
    """Returns the invitation in a file, `given` as its path; SettingsError if there is none in it."""
    path = Path(given.removeprefix("@"))
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"--invite {given}: cannot be read ({error.strerror or error}); bring the file that `bazaar invite` wrote"
        ) from error
    return _decoded(text, f"--invite {given}")


def invitation_from_environment() -> Invitation | None:
    """Returns the invitation that the environment holds or names, None if it does not; SettingsError if it is no
    invitation."""
    held = os.environ.get(ENVIRONMENT)
    if not held:
        return None
    return read_invitation(held) if held.startswith("@") else _decoded(held.encode(), ENVIRONMENT)


def _decoded(text: bytes, by: str) -> Invitation:
    try:
        invitation = msgspec.json.decode(text, type=Invitation)
    except msgspec.MsgspecError as error:
        # The text may hold secrets, so nothing of it is shown.
        raise SettingsError(f"{by}: is no invitation, or not whole: make another with `bazaar invite`") from error
    if invitation.form != _FORM:
        raise SettingsError(f"{by}: is of another version of this program: use the same one on all machines")
    return invitation


def accept(invitation: Invitation, directory: Directory, *, now_s: float) -> str:
    """Puts what the invitation holds where it belongs in `directory`; returns the address of the books.

    TownError if it has expired before it was first used, or the directory is of another town."""
    files = TlsFiles(directory.tls)
    try:
        known = files.authority.read_text(encoding="ascii") if files.authority.exists() else None
        if known is not None and known != invitation.authority:
            raise TownError(
                f"{directory.path} belongs to another town than the one that invites: choose another --dir, "
                f"or remove {files.directory} to leave that town for good"
            )
        was_accepted = known is not None and files.member.exists()
        if now_s > invitation.expires_at_s and not was_accepted:
            ago = (now_s - invitation.expires_at_s) / 3600
            raise TownError(
                f"the invitation has expired {ago:.1f} hours ago (or the clock here is wrong: it says "
                f"{time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(now_s))}); have another made: "
                f"bazaar invite {invitation.address} --out FILE"
            )
        files.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        if invitation.authority_key is not None:
            write_whole(files.authority_key, invitation.authority_key.encode(), mode=PRIVATE)
        if now_s <= invitation.expires_at_s:
            write_whole(files.member, invitation.member.encode(), mode=PRIVATE)
        if invitation.books_key is not None:
            write_whole(_key_of_books(files), invitation.books_key.encode(), mode=PRIVATE)
            begin_replication(directory.mongo, invitation.replicas)
        write_whole(files.authority, invitation.authority.encode())
        return with_options(invitation.books, _placed(invitation, files))
    except OSError as error:
        raise TownError(f"{files.directory} cannot be written to ({error.strerror or error})") from error


def _key_of_books(files: TlsFiles) -> Path:
    return files.directory / KEY_FILE


def _placed(invitation: Invitation, files: TlsFiles) -> dict[str, str]:
    """Where the files are, by the option of the books' address that is to name them."""
    placed = {}
    for option, contents in invitation.books_files.items():
        if contents is None:
            path = files.authority if option == "tlsCAFile" else files.member
        else:
            path = files.directory / _FILE_OPTIONS[option]
            write_whole(path, contents.encode(), mode=PRIVATE)
        placed[option] = str(path)
    return placed


def how_to_invite(state: TownState) -> Iterable[str]:
    """Returns the lines that say how the next machine joins; none where no other can."""
    try:
        check_shared(state)
    except TownError:
        return []
    return [
        "another machine joins: here, bazaar invite <its address> --out invitation.json; there, with that file:",
        f"bash run.sh {state.advertised or state.host} <n> --invite invitation.json",
    ]
