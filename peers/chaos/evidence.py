"""Whether a fault made a difference: a run whose faults nobody noticed has proved nothing about them.

What counts is what can be put down to the fault: a caller that ended a connection on which the switch was holding
something up; a pause or another trader while no other fault was at work; what peers said of those that were hit; a
sale in which somebody had a part who had just come;
a new customer that the name server did not answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from peers.chaos.events import Events, Heard, Injected
from peers.chaos.gaps import COUNTS_FROM_S, EFFECT_S, Gap
from peers.chaos.kinds import SERVICES

_NEWCOMERS = ("join", "come-back")
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
    return [msgspec.structs.replace(gap, mattered=evidence(faults[gap.number], gap, events)) for gap in found]


def evidence(fault: Injected, gap: Gap, events: Events) -> str:
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
    until_s = (fault.end_s or fault.start_s) + EFFECT_S
    words = [word.format(name) for name in fault.peers for word in _OF_A_PEER]
    if fault.kind in SERVICES["mongod"] or fault.kind == "cut-database":
        words.append("books")
    return next((each.said for each in events.heard if _is_about(each, words, fault.start_s, until_s)), "")


def _is_about(heard: Heard, words: Sequence[str], start_s: float, end_s: float) -> bool:
    return start_s <= heard.at_s <= end_s and any(word in heard.said for word in words)


def _who_waited(fault: Injected, events: Events) -> str:
    until_s = (fault.end_s or fault.start_s) + EFFECT_S
    for each in events.newcomers:
        if each.at_s < until_s and each.at_s + each.waited_s > fault.start_s:
            return f"a new customer waited for the name server for {each.waited_s:.1f} s"
    return ""


def _first_part(fault: Injected, events: Events) -> str:
    begun_s = fault.start_s
    for sale in events.sales:
        name = next((each for each in (sale.buyer, sale.seller, sale.trader) if each in fault.peers), None)
        if name is not None and sale.at_s > begun_s:
            return f"{name} had a part in a sale"
    return ""


def never_mattered(found: Iterable[Gap]) -> list[str]:
    """Returns the kinds that were carried out, and of which nothing shows that they ever mattered."""
    mattered: dict[str, bool] = {}
    for gap in found:
        mattered[gap.kind] = mattered.get(gap.kind, False) or bool(gap.mattered)
    return sorted(kind for kind, has in mattered.items() if not has)
