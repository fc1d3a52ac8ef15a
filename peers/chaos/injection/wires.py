"""A town's wires: who is where on its switch, and what a planned fault of the network means there."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

import msgspec

from peers.chaos.injection.strength import between
from peers.chaos.kinds import FAMILIES
from peers.chaos.plan import Planned
from peers.chaos.switch.faults import CUSTOMERS, MONGOD, NAMESERVER, TOWN, Places, Way, WireFault
from peers.endpoints import split_endpoint
from peers.town.terminals.town import Town

# What a strength of 0 and of 1 mean. None of these is an option: they are what a seed stands for.
_DELAY_S = (0.003, 0.12)  # Each way, and as much again of jitter.
_APART_S = (0.02, 0.4)
_LOSS = (0.01, 0.2)
# What happens at once is watched for so long: do callers lose their patience with connections that are half open?
_WATCHED_S = 6.0
_BYTES_A_SECOND = (60_000.0, 3_000.0)


class Parties(msgspec.Struct, frozen=True, kw_only=True):
    """Who is on the switch just now, besides the name server and the customers. `mongods`: the primary first."""

    peers: Collection[str]
    mongods: Sequence[str] = (MONGOD,)

    @property
    def everybody(self) -> tuple[str, ...]:
        """All names."""
        return (*self.peers, *self.mongods, NAMESERVER, CUSTOMERS)


def wire_fault(planned: Planned, hit: Sequence[str], neighbours: Sequence[str], parties: Parties) -> WireFault:
    """Returns what the switch is to do for a planned fault that hits these peers; `neighbours` are those of the first
    of them."""
    ones, others = _sides(planned, tuple(hit), tuple(neighbours), parties)
    way: Way = planned.way or "both"
    if planned.kind in ("half-open", "jam") and way == "in" and others:
        ones, others, way = others, ones, "out"
    strength = planned.strength or 0.0
    return WireFault(
        number=planned.number,
        ones=ones,
        others=others,
        way=way,
        seconds=planned.lasts_s or _WATCHED_S,
        delay_s=between(_DELAY_S, strength) if planned.kind == "delay" else 0.0,
        jitter_s=between(_DELAY_S, strength) if planned.kind == "delay" else 0.0,
        apart_s=between(_APART_S, strength) if planned.kind == "reorder" else 0.0,
        loss=between(_LOSS, strength) if planned.kind == "loss" else 0.0,
        bytes_a_second=between(_BYTES_A_SECOND, strength) if planned.kind == "slow-wire" else 0.0,
        cut=planned.kind.startswith("cut-") or planned.kind == "split",
        jam=planned.kind == "jam",
        once=planned.kind if planned.kind in ("reset", "half-open") else "",
    )


def _sides(
    planned: Planned, hit: tuple[str, ...], neighbours: tuple[str, ...], parties: Parties
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    rest = tuple(name for name in parties.peers if name not in hit)
    if planned.kind in ("cut-trader", "cut-peer"):
        return hit, () if planned.everyone else neighbours
    if planned.kind == "cut-database":
        return hit, tuple(parties.mongods) if planned.everyone else tuple(parties.mongods[:1])
    if planned.kind in FAMILIES["members"]:
        return _member_sides(planned, parties.mongods)
    if planned.kind == "cut-customers" or planned.between == "trader and customers":
        return hit, (CUSTOMERS,)
    if planned.kind == "cut-nameserver" and planned.everyone:
        return (*parties.peers, CUSTOMERS), (NAMESERVER,)
    if planned.kind == "cut-nameserver" or planned.between == "peer and name server":
        return hit, (NAMESERVER,)
    if planned.between == "trader and database":
        return hit, tuple(parties.mongods)
    if planned.between == "all":
        return parties.everybody, ()
    return hit, rest


def _member_sides(planned: Planned, mongods: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The members that are cut off, and from whom; the first of them takes the writes."""
    if planned.kind == "cut-members":
        return tuple(mongods), tuple(mongods)
    number = 0 if planned.kind == "cut-primary" else 1 + min(int(planned.pick * (len(mongods) - 1)), len(mongods) - 2)
    cut_off = mongods[number]
    return (cut_off,), () if planned.everyone else tuple(name for name in mongods if name != cut_off)


def parties_of(town: Town) -> Parties:
    """Returns who is on the switch of this town."""
    return Parties(peers=[member.name for member in town.processes.members()], mongods=_mongods(town) or (MONGOD,))


def places_of(town: Town) -> Places:
    """Returns who listens at which port, and which processes the members of the books are, for the switch."""
    places = {town.registry.nameserver.port: NAMESERVER}
    pids = {os.getpid(): TOWN}
    replicas = town.services.replicas
    if replicas is not None:
        for name, process in zip(_names(len(replicas.processes)), replicas.processes, strict=True):
            places[process.port] = name
            if process.pid is not None and process.alive():
                pids[process.pid] = name
    for member in town.processes.members():
        places[split_endpoint(member.uri.rpartition("@")[2])[1]] = member.name
    return Places(names=places, pids=pids if len(pids) > 2 else {})


def _names(members: int) -> list[str]:
    return [MONGOD if not number else f"{MONGOD}{number + 1}" for number in range(members)]


def _mongods(town: Town) -> tuple[str, ...]:
    """The members by name, the primary first."""
    replicas = town.services.replicas
    if replicas is None:
        return ()
    primary = replicas.primary
    named = zip(_names(len(replicas.processes)), replicas.processes, strict=True)
    return tuple(name for name, _ in sorted(named, key=lambda each: each[1] is not primary))
