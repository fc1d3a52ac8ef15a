"""The certificate of a client, by which a customer from outside is known in a town that speaks TLS."""

from __future__ import annotations

from pathlib import Path

from peers.rpc.security.tls import ClientFile, secure


def show_certificate(file: str | Path) -> str:
    """Has this process speak TLS as the client whose file that is, as `bazaar invite --client` wrote it; returns the
    name that this client trades under. To be called before the first customer is made, for TLS is set for the whole
    process. TownError if the file cannot be read, or is none."""
    from peers.rpc.security.certificates import client_in  # It takes a while to import.

    path = Path(file)
    client = client_in(path)
    secure(ClientFile(path))
    return client.customer
