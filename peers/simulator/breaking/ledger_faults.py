"""Faults on the road to the ledger: it is slow, away, refuses, loses its answers, or its books stay behind."""

from __future__ import annotations

from random import Random

from peers.simulator.breaking.targets import Begin, Undo, target_of
from peers.simulator.environment.environment import Environment
from peers.simulator.faults import Fault


def ledger_faults(environment: Environment) -> dict[str, Begin]:
    """How each kind of fault begins."""
    road, lives, note = environment.road, environment.lives, environment.record.note

    def slow(fault: Fault) -> Undo:
        road.slow_s = fault.strength
        note(None, f"the ledger is slow, until {fault.until_s:.3f}")

        def undo() -> None:
            road.slow_s = 0.0

        return undo

    def away(fault: Fault) -> Undo:
        rng = Random(fault.key)
        live = lives.live()
        lost = [p.rank for p in live] if rng.random() < 0.5 else [rng.choice(live).rank]
        note(None, f"the ledger is away for {lost}, until {fault.until_s:.3f}")
        for rank in lost:
            road.away_for[rank] = road.away_for.get(rank, 0) + 1

        def undo() -> None:
            for rank in lost:
                road.away_for[rank] -= 1

        return undo

    def cut(fault: Fault) -> Undo | None:
        process = target_of(fault, environment)
        if process is None:
            return None
        rank = process.rank
        road.cut_off[rank] = road.cut_off.get(rank, 0) + 1
        note(process, f"is cut off from the ledger, until {fault.until_s:.3f}")

        def undo() -> None:
            road.cut_off[rank] -= 1

        return undo

    def books_behind(fault: Fault) -> Undo:
        road.behind_s = 4 * fault.strength
        note(None, f"the books stay behind the log, until {fault.until_s:.3f}")

        def undo() -> None:
            road.behind_s = 0.0

        return undo

    def share(what: str) -> Begin:
        def begin(fault: Fault) -> Undo:
            setattr(road, what, fault.strength)
            note(None, f"ledger {what}: {fault.strength:.0%} of its operations, until {fault.until_s:.3f}")

            def undo() -> None:
                setattr(road, what, 0.0)

            return undo

        return begin

    return {
        "ledger_slow": slow,
        "ledger_away": away,
        "books_behind": books_behind,
        "books_cut": cut,
        "ledger_refuses": share("refuses"),
        "ledger_unknown": share("unknown"),
    }
