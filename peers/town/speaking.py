"""How a program that looks at a town from beside it, such as `bazaar status`, speaks to it."""

from __future__ import annotations

from peers.rpc.shortcuts import call_directly
from peers.rpc.tls import TlsFiles, secure
from peers.town.directory import Directory, TownState


def speak_to(state: TownState, directory: Directory) -> tuple[str, int]:
    """Has this process speak to the town that runs in `directory` as its own programs do, over TLS if they do;
    returns what the name server of this machine is called, and its port. TownError if the certificates are missing
    or cannot be used."""
    if state.tls:
        secure(TlsFiles(directory.tls))
    # A certificate says what a machine is called, which need not be where it listens.
    called = state.advertised or state.nameserver_host
    call_directly(called, state.nameserver_host)
    return called, state.nameserver_port
