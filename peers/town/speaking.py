"""How a program that looks at a town from beside it, such as `bazaar status`, speaks to it, and who may end it."""

from __future__ import annotations

from nameserver.names import FOUNDER
from peers.rpc.security.tls import TlsFiles, is_secured, secure
from peers.rpc.shortcuts import call_directly
from peers.town.files.directory import Directory, TownState


def speak_to(state: TownState, directory: Directory, *, is_client: bool = False) -> tuple[str, int]:
    """Has this process speak to the town that runs in `directory` as its own programs do, over TLS if they do, unless
    it shows a client's certificate (`is_client`); returns what the name server of this machine is called, and its
    port. TownError if the certificates are missing
    or cannot be used."""
    if state.tls and not is_client:
        secure(TlsFiles(directory.tls))
    # A certificate says what a machine is called, which need not be where it listens.
    called = state.advertised or state.nameserver_host
    call_directly(called, state.nameserver_host)
    return called, state.nameserver_port


def tags_of_founder(directory: Directory) -> dict[str, str]:
    """Returns what the card of the town that is opened in `directory` says of who opened it, and may close it."""
    if not is_secured():
        return {}
    from peers.rpc.security.certificates import validity_of  # It takes a while to import.

    machine = validity_of(TlsFiles(directory.tls)).identity
    return {} if machine is None else {FOUNDER: machine.name}
