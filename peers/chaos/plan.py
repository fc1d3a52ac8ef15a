"""Which faults a chaos run injects, and when: drawn from a seed, so that the same seed is the same plan.

A plan names nobody. Who is trader at second 23 depends on the race between the peers, so a planned fault says
`trader` or draws a number, and the target is chosen when its time has come (`peers.chaos.injection`). What the
plan answers for is that every kind of fault gets its turn, that some overlap, and that enough peers are left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Literal

import msgspec

from peers.chaos.kinds import ALL_KINDS, BETWEEN, FAMILIES, TAKES, WIRE_KINDS, Between, Kind, possible, service_of
from peers.chaos.tuning import draw_tuning
from peers.core.names import Role
from peers.points import Point

PLAN = "plan.json"

# None of these is an option: a seed and a duration are the whole plan, and are printed to have it again.
LEAST_ALIVE = 3
LEAST_PEERS = 5  # A town of so many can lose two peers and still has `LEAST_ALIVE`.
SPLIT_OFF = 2  # So many peers are on the smaller side of a split.
MOST_MORE = 3  # There are never more newcomers than this beyond the peers it began with.

_QUIET_START_S = 2.5  # At the beginning, no fault begins for this long.
_QUIET_END_S = 3.0  # At the end, no fault begins for this long.
_STEP_S = (1.5, 4.5)  # From one fault to the next, at the usual pace.
_OVERLAP_STEP_S = (0.05, 0.7)  # From one fault to another that is meant to overlap with it.
_OVERLAPS = (0.1, 0.4)  # Of the faults, such a share comes right after another,
_PACES = (0.58, 1.12)  # and from one to the next it takes so much of the usual time:
_PHASE_S = 60.0  # both are drawn anew for each minute, so that an hour has 1,700 to 2,000 faults whatever the seed.
_APART_S = 6.0  # From one fault of a service to its next, so that the service is back first.

COMMIT_POINTS: tuple[Point, ...] = (
    "before the entry is sent",
    "while it is written",
    "after the answer",
    "before callers are told",
    "making the books",
)
_HANG_POINTS: tuple[Point, ...] = (
    "before the entry is sent",
    "after the answer",
    "before callers are told",
    "in the core",
)

_LASTS_S: dict[Kind, tuple[float, float]] = {
    # Longer than the silence after which a peer is suspected: it is voted out, and learns of that when it wakes up.
    "stop-trader": (1.6, 4.0),
    "stop-peer": (1.6, 4.0),
    "slow-trader": (2.0, 4.0),
    "slow-peer": (2.0, 4.0),
    "cut-trader": (1.6, 5.0),
    "cut-peer": (1.6, 5.0),
    "cut-database": (0.5, 4.0),
    "cut-customers": (0.5, 4.0),
    "cut-nameserver": (1.0, 4.0),
    "split": (1.6, 5.0),
    "delay": (1.5, 5.0),
    "loss": (1.5, 5.0),
    "reorder": (1.5, 5.0),
    "slow-wire": (1.5, 5.0),
    "jam": (0.5, 4.0),
    "hang-trader": (0.5, 4.0),
    "hang-peer": (0.5, 4.0),
    "set-clock": (2.0, 6.0),
    "full-disk": (1.0, 5.0),
    "bad-disk": (1.0, 5.0),
    "slow-disk": (1.5, 4.0),
    "mongod-full-disk": (0.5, 3.0),
    "mongod-bad-disk": (0.5, 2.0),
    "mongod-slow-disk": (0.5, 4.0),
    "squeeze-trader": (1.5, 5.0),
    "squeeze-peer": (1.5, 5.0),
    "stop-mongod": (0.5, 3.0),
    "step-down": (1.0, 3.0),
    "stop-member": (1.0, 6.0),
    "cut-primary": (1.5, 5.0),
    "cut-member": (1.5, 6.0),
    "cut-members": (0.5, 4.0),
}
_PRIMARY_STOPS_S = (6.0, 9.0)  # Of several members, the others must have the time to elect another primary.
_ROLES: tuple[Role, ...] = ("buyer", "seller", "merchant")
_OF_STRENGTH = frozenset[Kind](
    kind for family in ("wire", "slow", "clock", "disk", "memory") for kind in FAMILIES[family]
)
_EVERYONE = frozenset[Kind](["cut-trader", "cut-peer", "cut-database", "cut-nameserver", "cut-primary", "cut-member"])
_WAYS: tuple[Literal["out", "in", "both"], ...] = ("out", "in", "both")


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """One fault to come. `pick`, from 0 to 1, stands for the target; what does not apply to its kind is None."""

    number: int
    at_s: float  # In seconds after the chaos has begun.
    kind: Kind
    pick: float
    lasts_s: float = 0.0
    way: Literal["out", "in", "both"] | None = None  # The direction, seen from the peer that is cut off.
    # Whether a cut is from all there are, and not only from its neighbours of that moment; of the database, from all
    # members, and not only from the primary; of a member, from all peers and customers too, and not only from the
    # other members; from the name server, everybody is, and not only a peer that is born again meanwhile.
    everyone: bool | None = None
    between: Between | None = None  # The wires that are hit.
    strength: float | None = None  # How bad it is, from 0 to 1.
    point: Point | None = None  # Where a peer dies or is held.
    role: Role | None = None  # The role of a newcomer.


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`plan.json`."""

    seed: int
    duration_s: float
    peers: int
    kinds: tuple[Kind, ...]
    faults: tuple[Planned, ...]
    tuning: tuple[str, ...] = ()  # The changes of the town's settings, as `--set` takes them.


def draw_plan(
    seed: int, duration_s: float, peers: int, kinds: Sequence[Kind] = ALL_KINDS, *, replicas: int = 1
) -> Plan:
    """Draws the plan of a run, of a town whose database has so many members."""
    kinds = possible(kinds, replicas)
    faults = tuple(_Drawing(Random(f"chaos/{seed}"), peers, kinds, replicas).faults(duration_s))
    tuning = draw_tuning(seed)
    return Plan(seed=seed, duration_s=duration_s, peers=peers, kinds=kinds, faults=faults, tuning=tuning)


class _Drawing:
    """A plan being drawn, with a count of who will be left.

    Kinds are dealt from a shuffled deck, so that each comes up about equally often and none is missing from a run of
    a minute; one that is out of the question just now goes back to the deck.
    """

    def __init__(self, rng: Random, peers: int, kinds: Sequence[Kind], replicas: int) -> None:
        self._lasts_s = _LASTS_S if replicas == 1 else {**_LASTS_S, "stop-mongod": _PRIMARY_STOPS_S}
        self._rng = rng
        self._peers = peers
        self._kinds = kinds
        self._deck: list[Kind] = []
        self._alive = peers
        self._gone = 0
        self._disturbed_until_s: list[float] = []
        self._service_s: dict[str, float] = {}

    def faults(self, duration_s: float) -> Iterable[Planned]:
        at_s, number, phase_ends_s = _QUIET_START_S, 0, 0.0
        while at_s <= duration_s - _QUIET_END_S:
            if at_s >= phase_ends_s:
                overlap, pace = self._rng.uniform(*_OVERLAPS), self._rng.uniform(*_PACES)
                phase_ends_s = at_s + _PHASE_S
            kind = self._deal(at_s)
            if kind is not None:
                number += 1
                yield self._fault(number, round(at_s, 3), kind)
            overlaps = self._rng.random() < overlap
            at_s += self._rng.uniform(*_OVERLAP_STEP_S) if overlaps else self._rng.uniform(*_STEP_S) * pace

    def _deal(self, at_s: float) -> Kind | None:
        if self._alive <= LEAST_ALIVE + 1 and self._gone and "come-back" in self._kinds:
            return "come-back"
        if len(self._deck) < len(self._kinds):
            fresh = list(self._kinds)
            self._rng.shuffle(fresh)
            self._deck += fresh
        for place, kind in enumerate(self._deck):
            if self._can_be(kind, at_s):
                return self._deck.pop(place)
        return None

    def _can_be(self, kind: Kind, at_s: float) -> bool:
        if kind == "join":
            return self._alive < self._peers + MOST_MORE
        if kind == "come-back":
            return self._gone > 0
        service = service_of(kind)
        if service is not None:
            return at_s - self._service_s.get(service, -_APART_S) >= _APART_S
        disturbed = sum(until_s > at_s for until_s in self._disturbed_until_s)
        out = TAKES.get(kind, disturbs(kind))
        return self._alive - disturbed - out >= LEAST_ALIVE

    def _fault(self, number: int, at_s: float, kind: Kind) -> Planned:
        rng = self._rng
        lasts_s = round(rng.uniform(*self._lasts_s[kind]), 3) if kind in self._lasts_s else 0.0
        service = service_of(kind)
        if service is not None:
            self._service_s[service] = at_s + lasts_s
        else:
            self._disturbed_until_s += [at_s + lasts_s] * disturbs(kind)
        taken = TAKES.get(kind, 0)
        self._alive += (kind in ("join", "come-back")) - taken
        self._gone += taken - (kind == "come-back")
        wire = kind in WIRE_KINDS
        return Planned(
            number=number,
            at_s=at_s,
            kind=kind,
            pick=round(rng.random(), 6),
            lasts_s=lasts_s,
            way=rng.choice(_WAYS) if (wire or kind == "set-clock") and kind != "cut-members" else None,
            everyone=rng.random() < 0.5 if kind in _EVERYONE else None,
            between=rng.choice(BETWEEN) if kind in FAMILIES["wire"] else None,
            strength=round(rng.random(), 3) if kind in _OF_STRENGTH else None,
            point=_point(rng, kind),
            role=rng.choice(_ROLES) if kind == "join" else None,
        )


def _point(rng: Random, kind: Kind) -> Point | None:
    if kind == "crash-at":
        return rng.choice(COMMIT_POINTS)
    if kind == "hang-trader":
        return rng.choice(_HANG_POINTS)
    return {"crash-taking-office": "taking office", "hang-peer": "in the core"}.get(kind)  # type: ignore[return-value]


def disturbs(kind: Kind) -> int:
    """How many peers may be of no use to the others while it lasts."""
    if kind == "split":
        return SPLIT_OFF
    if kind in WIRE_KINDS:
        return int(kind in ("cut-trader", "cut-peer", "cut-database", "cut-nameserver"))
    return int(kind in _LASTS_S and kind != "set-clock")
