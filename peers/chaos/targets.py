"""Whom a fault hits: chosen from those who are there when its time has come, and never so many that trade ends."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from peers.chaos.plan import LEAST_ALIVE, Kind
from peers.core.names import Role


class Present(msgspec.Struct, frozen=True, kw_only=True):
    """The peers at one moment; `disturbed` are those that are stopped, slowed or cut off."""

    running: Mapping[str, Role]
    trader: str | None
    disturbed: frozenset[str] = frozenset()
    ended: tuple[str, ...] = ()


class NoTarget(Exception):
    """There is nobody whom this fault may hit just now; says why."""


def choose(kind: Kind, pick: float, present: Present) -> tuple[str, ...]:
    """Returns the peers that a fault of this kind hits, none for one that hits no peer; or raises NoTarget."""
    if kind == "come-back":
        return (_pick(present.ended, pick, "nobody has ended"),)
    if kind in ("kill-trader", "stop-trader", "slow-trader", "cut-trader", "resign"):
        chosen: tuple[str, ...] = (_trader(present),)
    elif kind == "kill-two":
        trader = _trader(present)
        chosen = (trader, _pick(_others(present), pick, "nobody but the trader is there"))
    elif kind in ("kill-peer", "stop-peer", "slow-peer", "cut-peer"):
        chosen = (_pick(_others(present), pick, "nobody but the trader is undisturbed"),)
    elif kind == "leave":
        chosen = (_pick(sorted(present.running.keys() - present.disturbed), pick, "nobody is undisturbed"),)
    else:
        return ()
    if kind != "resign":
        _demand_enough(present, chosen)
    return chosen


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
