"""The way to oneself, where a machine is called at an address that is not its own.

Behind NAT, as on EC2, a machine is called at a public address and listens at a private one. Its own programs may be
unable to call the public one, for not every router sends back what came from where it is to go: so they call the
private one instead. One process is on one machine, so this holds for all of it.
"""

from __future__ import annotations

from peers.endpoints import endpoint, split_endpoint

_bound: dict[str, str] = {}


def call_directly(advertised: str, bound: str) -> None:
    """Has this process call `bound` wherever it is told to call `advertised`."""
    if advertised and advertised != bound:
        _bound[advertised] = bound


def nearest(uri: str) -> str:
    """Returns a Pyro5 address that leads to the same object, by the shortest way known here."""
    if not _bound:
        return uri
    start, at, place = uri.rpartition("@")
    try:
        host, port = split_endpoint(place)
    except ValueError:
        return uri
    return f"{start}{at}{endpoint(_bound.get(host, host), port)}"
