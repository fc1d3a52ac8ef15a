"""Has a machine's name server list what its peers believe: those here, those of all other machines, and the trader.

The peers here register themselves. Those elsewhere do so with the name servers of their machines, and are copied from
the belief of the peers here; who is gone by that belief is taken away. So any name server of the town will do to look
somebody up or to join, none is special, and what is dead disappears by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from nameserver.client import NameServerClient
from peers.core.membership.members import Member


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a name server is to list of an area: peers of this machine and of others, who is gone, and the trader of
    `term` if it is elsewhere (the one here registers itself). `nameserver` is the process it is to be listed in."""

    nameserver: int | None
    here: tuple[Member, ...]
    elsewhere: tuple[Member, ...]
    gone: tuple[Member, ...]
    trader: Member | None
    term: int
    card: Mapping[str, str]
    area: str = ""


def bring_up_to_date(names: NameServerClient, wanted: Wanted, ours: Collection[str]) -> None:
    """Registers who is missing, and takes away who is gone. `ours`: the names of all peers that were ever here.

    Entries of strangers are left alone. TownError if the name server does not answer."""
    listed = {peer.name: peer for peer in names.peers()}
    # Those here know best themselves where they are: one that has just come back has a newer address than we know of.
    missing = [m for m in wanted.here if m.name not in listed]
    missing += [m for m in wanted.elsewhere if m.name not in listed or listed[m.name].uri != m.uri]
    for member in missing:
        names.register(member)
    known = {member.name for member in (*wanted.here, *wanted.elsewhere)}
    for member in wanted.gone:
        if member.name in listed and member.name not in known and member.name not in ours:
            names.unregister(listed[member.name])
    _list_trader(names, wanted)
    if names.card() is None:
        names.leave_card(wanted.card)


def _list_trader(names: NameServerClient, wanted: Wanted) -> None:
    listed = names.trader(wanted.area)
    if wanted.trader is not None:
        names.register_trader(wanted.trader, wanted.term)
    elif listed is not None:
        for member in (*wanted.elsewhere, *wanted.gone):
            if member.uri == listed.uri:
                names.unregister_trader(member)
