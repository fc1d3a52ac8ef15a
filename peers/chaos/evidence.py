"""Whether a fault made a difference: a run whose faults nobody noticed has proved nothing about them.

What counts is what can be put down to the fault: a caller that ended a connection on which the switch was holding
something up; a pause or another trader while no other fault was at work; what peers said of those that were hit, or
that these had hardly a part in sales, while no other fault was at work on them; a sale in which somebody had a part
who had just come; a new customer that the name server did not answer.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from peers.chaos.events import Events, Heard, Injected, times_of
from peers.chaos.gaps import COUNTS_FROM_S, EFFECT_S, Gap
from peers.chaos.kinds import FAMILIES, SERVICES, Kind

_NEWCOMERS = ("join", "come-back")
_BOOKS = "the books"
_OF_BOOKS = frozenset[Kind]([*SERVICES["mongod"], "cut-database"])
_HARDSHIPS = frozenset[Kind]([*FAMILIES["disk"], *FAMILIES["memory"], "slow-peer"])
# By chance a peer has so few sales instead of so many once in a hundred times.
_BEFORE_S, _EXPECTED, _FEW = 10.0, 10.0, 0.35
_OF_A_PEER = (
    "that {} is gone",
    "{} had been taken for gone",
    "{} leaves office",
    "{}: my commit",
    "{} cannot write its journal",
)


def with_evidence(found: Iterable[Gap], events: Events) -> list[Gap]:
    """Returns the gaps with what shows that their faults mattered."""
    faults = {fault.number: fault for fault in events.carried_out()}
    parts = _parts(events)
    return [msgspec.structs.replace(gap, mattered=_evidence(faults[gap.number], gap, events, parts)) for gap in found]


def _evidence(fault: Injected, gap: Gap, events: Events, parts: Mapping[str, Sequence[float]]) -> str:
    """Returns what shows that a fault mattered; "" if nothing does."""
    if fault.seen:
        return fault.seen
    if fault.given_up:
        return f"callers gave up on {fault.given_up} connections"
    if gap.alone and gap.failover:
        return "another trader took over"
    if gap.alone and gap.gap_s >= COUNTS_FROM_S:
        return f"no trade for {gap.gap_s:.2f} s"
    if fault.kind in _NEWCOMERS:
        return _first_part(fault, events)
    if fault.kind in ("kill-nameserver", "cut-nameserver"):
        return _who_waited(fault, events)
    others = [other for other in events.carried_out() if other.number != fault.number]
    start_s, until_s = fault.start_s, fault.over_s + EFFECT_S
    meanwhile = (each for each in events.heard if start_s <= each.at_s <= until_s)
    said = next((each.said for each in meanwhile if _is_about(each, fault, others)), "")
    return said or (_went_without(fault, parts, others) if fault.kind in _HARDSHIPS else "")


def _is_about(heard: Heard, fault: Injected, others: Sequence[Injected]) -> bool:
    """Whether that is about what this fault hit, and no other was at work on the same just then."""
    for subject in _subjects(fault):
        words = ("books",) if subject == _BOOKS else [word.format(subject) for word in _OF_A_PEER]
        if any(word in heard.said for word in words):
            then = (other for other in others if _at_work(other, heard.at_s, heard.at_s))
            return not any(subject in _subjects(other) for other in then)
    return False


def _subjects(fault: Injected) -> tuple[str, ...]:
    """Whom, and what, peers may speak of because of it."""
    return (*fault.peers, _BOOKS) if fault.kind in _OF_BOOKS else fault.peers


def _at_work(fault: Injected, start_s: float, end_s: float) -> bool:
    """Whether that fault did something in that time, or what it had done may still have been felt."""
    return fault.start_s <= end_s and start_s <= fault.over_s + EFFECT_S


def _parts(events: Events) -> dict[str, list[float]]:
    """When each peer had a part in a sale, in order; under "" when there was one at all."""
    parts: dict[str, list[float]] = {"": times_of(events.sales)}
    for sale in events.sales:
        for name in {sale.buyer, sale.seller}:
            parts.setdefault(name, []).append(sale.at_s)
    for times in parts.values():
        times.sort()
    return parts


def _went_without(fault: Injected, parts: Mapping[str, Sequence[float]], others: Sequence[Injected]) -> str:
    """Whether a peer had a part in far fewer sales than before, of those that there were meanwhile."""
    start_s, end_s = fault.start_s, fault.over_s
    hit_by_others = {name for other in others if _at_work(other, start_s, end_s) for name in other.peers}
    for name in fault.peers:
        if name in hit_by_others:
            continue
        before = _between(parts.get(name, ()), start_s - _BEFORE_S, start_s)
        all_before = _between(parts[""], start_s - _BEFORE_S, start_s)
        expected = before / max(all_before, 1) * _between(parts[""], start_s, end_s)
        had = _between(parts.get(name, ()), start_s, end_s)
        if expected >= _EXPECTED and had <= _FEW * expected:
            return f"{name} had a part in {had} sales, where about {expected:.0f} were to be expected"
    return ""


def _between(times: Sequence[float], start_s: float, end_s: float) -> int:
    return bisect_left(times, end_s) - bisect_left(times, start_s)


def _who_waited(fault: Injected, events: Events) -> str:
    until_s = fault.over_s + EFFECT_S
    for each in events.newcomers:
        if each.at_s < until_s and each.at_s + each.waited_s > fault.start_s:
            return f"a new customer waited for the name server for {each.waited_s:.1f} s"
    return ""


def _first_part(fault: Injected, events: Events) -> str:
    begun_s = fault.start_s
    for sale in events.sales:
        if sale.at_s <= begun_s:
            continue
        name = next((each for each in (sale.buyer, sale.seller, sale.trader) if each in fault.peers), None)
        if name is not None:
            return f"{name} had a part in a sale"
    return ""


def never_mattered(found: Iterable[Gap]) -> list[str]:
    """Returns the kinds that were carried out, and of which nothing shows that they ever mattered."""
    mattered: dict[str, bool] = {}
    for gap in found:
        mattered[gap.kind] = mattered.get(gap.kind, False) or bool(gap.mattered)
    return sorted(kind for kind, has in mattered.items() if not has)
