"""Has a machine's name server list what its peers believe: those here, those of all other machines, and the trader.

The peers here register themselves. Those elsewhere do so with the name servers of their machines, and are copied from
the belief of the peers here; who is gone by that belief is taken away. So any name server of the town will do to look
somebody up or to join, none is special, and what is dead disappears by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from nameserver.client import NameServerClient, Registered
from peers.core.membership.members import Member
from peers.core.names import ROLES


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


def copy_area(names: NameServerClient, area: str, source: NameServerClient) -> None:
    """Lists an area that no peer here is of as another machine does, which has peers of it. So any name server will
    do to look up whoever it is, and to search all areas. TownError if one of the two does not answer."""
    there = {peer.name: peer for peer in source.peers() if peer.area == area}
    listed = {peer.name: peer for peer in names.peers() if peer.area == area}
    for name, peer in there.items():
        if name not in listed or listed[name].uri != peer.uri:
            names.register(_member_of(peer))
    for name in listed.keys() - there.keys():
        names.unregister(listed[name])
    trader, known = source.trader(area), names.trader(area)
    holder = next((peer for peer in there.values() if trader is not None and peer.uri == trader.uri), None)
    if trader is not None and holder is not None:
        names.register_trader(_member_of(holder), trader.term)
    elif known is not None:
        names.unregister_trader(Member(rank=0, name="", role="buyer", uri=known.uri, incarnation=0, area=area))


def _member_of(peer: Registered) -> Member:
    """A peer that is only known by name, for its entry."""
    role = next((role for role in ROLES if role == peer.role), ROLES[0])
    return Member(rank=peer.rank or 0, name=peer.name, role=role, uri=peer.uri, incarnation=0, area=peer.area)


def _list_trader(names: NameServerClient, wanted: Wanted) -> None:
    listed = names.trader(wanted.area)
    if wanted.trader is not None:
        names.register_trader(wanted.trader, wanted.term)
    elif listed is not None:
        for member in (*wanted.elsewhere, *wanted.gone):
            if member.uri == listed.uri:
                names.unregister_trader(member)
