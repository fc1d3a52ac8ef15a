"""Faults of the network: what travels is lost, late, doubled or out of order, and some do not reach others."""

from __future__ import annotations

from random import Random

from peers.simulator.breaking.targets import Begin, Undo, target_of
from peers.simulator.environment.environment import Environment
from peers.simulator.faults import Fault


class NetworkFaults:
    """`kinds`: how each kind of fault begins."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._weather = environment.network.weather
        self.kinds: dict[str, Begin] = {
            "loss": self._share("loss"),
            "duplicates": self._share("duplicates"),
            "delay": self._share("delay"),
            "reorder": self._share("reorder"),
            "lost_calls": self._share("lost_calls"),
            "split": self._split,
            "one_way": self._one_way,
        }

    def _share(self, what: str) -> Begin:
        weather, note = self._weather, self._environment.record.note

        def begin(fault: Fault) -> Undo:
            before = getattr(weather, what)
            setattr(weather, what, max(before, fault.strength))
            weather.look()
            note(None, f"{what}: {fault.strength:.0%} of what travels, until {fault.until_s:.3f}")

            def undo() -> None:
                setattr(weather, what, 0.0)
                weather.look()

            return undo

        return begin

    def _split(self, fault: Fault) -> Undo:
        record = self._environment.record
        rng = Random(fault.key)
        live = self._environment.lives.live()
        ranks = sorted(p.rank for p in live)
        rng.shuffle(ranks)
        middle = rng.randint(1, max(1, len(ranks) - 1))
        here, there = ranks[:middle], ranks[middle:]
        record.note(None, f"the network splits: {sorted(here)} and {sorted(there)}, until {fault.until_s:.3f}")
        undo = self._cut([(a, b) for a in here for b in there] + [(b, a) for a in here for b in there])

        def join() -> None:
            undo()
            if any(not p.view.is_up(b) for p in live if p.up and p.rank in here for b in there):
                record.saw("a split graph had to be joined again")

        return join

    def _one_way(self, fault: Fault) -> Undo | None:
        process = target_of(fault, self._environment)
        if process is None:
            return None
        rng = Random(fault.key)
        live = self._environment.lives.live()
        deaf = [p.rank for p in live if p is not process and rng.random() < 0.7]
        self._environment.record.note(process, f"is not heard by {deaf} any more, until {fault.until_s:.3f}")
        return self._cut([(process.rank, rank) for rank in deaf])

    def _cut(self, pairs: list[tuple[int, int]]) -> Undo:
        weather = self._weather
        for pair in pairs:
            weather.cuts[pair] = weather.cuts.get(pair, 0) + 1
        weather.look()

        def undo() -> None:
            for pair in pairs:
                weather.cuts[pair] -= 1
                if not weather.cuts[pair]:
                    del weather.cuts[pair]
            weather.look()
            self._environment.record.note(None, "the network is whole again")

        return undo
