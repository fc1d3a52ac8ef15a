"""Faults on the road to the ledger: slow, away, silent, refusing, losing its answers, or its books staying behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from random import Random

from peers.simulator.breaking.targets import Begin, Undo, target_of
from peers.simulator.environment.environment import Environment
from peers.simulator.environment.ledger_road import LedgerRoad
from peers.simulator.faults import Fault


def ledger_faults(environment: Environment) -> dict[str, Begin]:
    """How each kind of fault begins."""
    road, lives, note = environment.road, environment.lives, environment.record.note

    def slow(fault: Fault) -> Undo:
        note(None, f"the ledger is slow, until {fault.until_s:.3f}")
        return _worsen(road, "slow_s", fault.strength)

    def away(fault: Fault) -> Undo:
        rng = Random(fault.key)
        live = lives.live()
        lost = [p.rank for p in live] if rng.random() < 0.5 else [rng.choice(live).rank]
        note(None, f"the ledger is away for {lost}, until {fault.until_s:.3f}")
        return _cut_off(road.away_for, lost)

    def silent(fault: Fault) -> Undo | None:
        process = target_of(fault, environment)
        if process is None:
            return None
        note(process, f"is cut off from the ledger, until {fault.until_s:.3f}")
        return _cut_off(road.silent_for, [process.rank])

    def books_behind(fault: Fault) -> Undo:
        note(None, f"the books stay behind the log, until {fault.until_s:.3f}")
        return _worsen(road, "behind_s", 4 * fault.strength)

    def share(what: str) -> Begin:
        def begin(fault: Fault) -> Undo:
            note(None, f"ledger {what}: {fault.strength:.0%} of its operations, until {fault.until_s:.3f}")
            return _worsen(road, what, fault.strength)

        return begin

    return {
        "ledger_slow": slow,
        "ledger_away": away,
        "books_behind": books_behind,
        "books_cut": silent,
        "ledger_refuses": share("refuses"),
        "ledger_unknown": share("unknown"),
    }


def _worsen(road: LedgerRoad, what: str, value: float) -> Undo:
    setattr(road, what, value)
    return lambda: setattr(road, what, 0.0)


def _cut_off(faults: Counter[int], ranks: Iterable[int]) -> Undo:
    """Counts one fault more for each of these peers, for faults may overlap."""
    hit = Counter(ranks)
    faults.update(hit)
    return lambda: faults.subtract(hit)
