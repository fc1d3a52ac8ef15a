"""Whom a fault hits: chosen from those who are there when its time has come, and never so many that trade ends."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from peers.chaos.kinds import FAMILIES, Between, Kind
from peers.chaos.plan import LEAST_ALIVE, SPLIT_OFF
from peers.core.names import Role

_OF_TRADER = frozenset[Kind](
    [
        "kill-trader",
        "stop-trader",
        "slow-trader",
        "cut-trader",
        "cut-database",
        "cut-customers",
        "resign",
        "crash-at",
        "hang-trader",
        "squeeze-trader",
    ]
)
_OF_OTHERS = frozenset[Kind](
    ["kill-peer", "stop-peer", "slow-peer", "cut-peer", "cut-nameserver", "hang-peer", "squeeze-peer"]
)
_OF_ANYBODY = frozenset[Kind](["leave", "set-clock", "full-disk", "bad-disk", "slow-disk"])


class Present(msgspec.Struct, frozen=True, kw_only=True):
    """The peers at one moment; `disturbed` are those that are stopped, slowed or cut off."""

    running: Mapping[str, Role]
    trader: str | None
    disturbed: frozenset[str] = frozenset()
    ended: tuple[str, ...] = ()


class NoTarget(Exception):
    """There is nobody whom this fault may hit just now; says why."""


def choose(kind: Kind, pick: float, present: Present, between: Between | None = None) -> tuple[str, ...]:
    """Returns the peers that a fault of this kind hits, or whose wires `between` names it does; none for one that
    hits no peer. Or raises NoTarget."""
    if kind in FAMILIES["wire"]:
        return _choose_wires(between, pick, present)
    if kind == "come-back":
        return (_pick(present.ended, pick, "nobody has ended"),)
    if kind in _OF_TRADER:
        chosen: tuple[str, ...] = (_trader(present),)
    elif kind == "kill-two":
        trader = _trader(present)
        chosen = (trader, _pick(_others(present), pick, "nobody but the trader is there"))
    elif kind == "crash-taking-office":
        # Who takes office after the trader nobody knows yet; but one more will be gone.
        chosen = (_trader(present),)
        _demand_enough(present, (*chosen, _pick(_others(present), pick, "nobody but the trader is there")))
    elif kind == "split":
        chosen = _pick_two(sorted(present.running.keys() - present.disturbed), pick)
    elif kind in _OF_OTHERS:
        chosen = (_pick(_others(present), pick, "nobody but the trader is undisturbed"),)
    elif kind in _OF_ANYBODY:
        chosen = (_pick(sorted(present.running.keys() - present.disturbed), pick, "nobody is undisturbed"),)
    else:
        return ()
    if kind not in ("resign", "cut-customers", "set-clock"):
        _demand_enough(present, chosen)
    return chosen


def _choose_wires(between: Between | None, pick: float, present: Present) -> tuple[str, ...]:
    if between in ("trader and database", "trader and customers", "trader and peers"):
        return (_trader(present),)
    if between in ("peer and peers", "peer and name server"):
        return (_pick(_others(present), pick, "nobody but the trader is undisturbed"),)
    return ()


def _pick_two(names: list[str], pick: float) -> tuple[str, ...]:
    if len(names) < SPLIT_OFF:
        raise NoTarget("hardly anybody is undisturbed")
    first = min(int(pick * len(names)), len(names) - 1)
    return tuple((names * 2)[first : first + SPLIT_OFF])


def _trader(present: Present) -> str:
    if present.trader is None or present.trader not in present.running:
        raise NoTarget("nobody is in office")
    if present.trader in present.disturbed:
        raise NoTarget(f"{present.trader} is disturbed already")
    return present.trader


def _others(present: Present) -> list[str]:
    return sorted(present.running.keys() - present.disturbed - {present.trader})


def _pick(names: list[str] | tuple[str, ...], pick: float, why: str) -> str:
    if not names:
        raise NoTarget(why)
    return names[min(int(pick * len(names)), len(names) - 1)]


def _demand_enough(present: Present, hit: tuple[str, ...]) -> None:
    """Enough are left, and among them somebody to buy and somebody to sell."""
    left = {name: role for name, role in present.running.items() if name not in present.disturbed.union(hit)}
    if len(left) < LEAST_ALIVE:
        raise NoTarget(f"only {len(left)} peers would be left")
    for role in ("buyer", "seller"):
        if not {role, "merchant"} & set(left.values()):
            raise NoTarget(f"no {role} would be left")
