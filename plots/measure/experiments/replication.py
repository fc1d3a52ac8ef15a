"""Write levels: their speed, and what is lost and how long trade stands still when one primary after another falls.

Speed is measured in a town's own three members. For the falls the members stand behind links that can be cut
(`plots.measure.apparatus.members`). Three customers buy all the time meanwhile; each notes what it was told, in
memory and in its journal. What they were told and the log does not have once all members are back is lost.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any

from db.address import database_of
from db.queries import Queries
from peers.core.names import WriteLevel
from peers.errors import TownError
from plots.measure.apparatus.customers import Buying, Spec
from plots.measure.apparatus.members import Members
from plots.measure.apparatus.prober import Prober
from plots.measure.apparatus.towns import BenchTown, wait_for
from plots.measure.experiments.workshop import Workshop
from plots.measure.throughput import crowd_of
from plots.results.experiments.replication import (
    PURCHASES,
    RATES,
    STRIKES,
    Blow,
    Purchase,
    Rate,
    ReplicationPlan,
    Strike,
)
from plots.results.rows import write_rows

_WITNESSES = 3
_WARM_UP = 30
_STEADY = 30  # So many purchases are told before and after a fall, for trade to be going on.
_PATIENCE_S = 60.0
_LOST = "audit: could be lost at this level"
"""How the last words of a town begin in which something was lost as its write level allows."""


class Witness(Prober):
    """A customer that notes when it was told of which purchase."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.told: list[tuple[float, str]] = []

    def _note(self, outcome: dict[str, Any]) -> None:
        self.told.append((time.monotonic(), outcome["request_id"]))
        super()._note(outcome)


def measure(plan: ReplicationPlan, shop: Workshop) -> None:
    """Measures each level in turn."""
    purchases: list[Purchase] = []
    rates: list[Rate] = []
    strikes: list[Strike] = []
    for level in plan.levels:
        with shop.step(plan.speed_title(level)):
            _measure_speed(plan, level, shop, purchases, rates)
        place = shop.out / f"members-{level}"
        with shop.step(plan.blows_title(level)), Members(place) as members:
            _strike(plan, level, shop, members, strikes)
        shutil.rmtree(place, ignore_errors=True)  # Hundreds of megabytes.
    write_rows(shop.out / PURCHASES, Purchase, purchases)
    write_rows(shop.out / RATES, Rate, rates)


@contextmanager
def _town(name: str, plan: ReplicationPlan, level: WriteLevel, shop: Workshop, *options: str) -> Iterator[BenchTown]:
    """A town at that level. A loss that the level allows is what is measured, and no fault of the town."""
    chosen = ("--market", "replicated", "--set", f"ledger.write_level={level}", *options)
    town = BenchTown(shop.out / f"town-{name}-{level}", plan.peers, shop.seed, chosen)
    with town:
        yield town
    said = town.said.read_text(errors="replace").strip().splitlines()[-1:]
    is_expected = level != "majority" and any(line.startswith(_LOST) for line in said)
    code = 0 if is_expected else town.audit_code
    shop.note_audit(f"{name}, level {level}", code)
    shop.discard(town.directory.path, code)


def _measure_speed(
    plan: ReplicationPlan, level: WriteLevel, shop: Workshop, purchases: list[Purchase], rates: list[Rate]
) -> None:
    with _town("speed", plan, level, shop) as town:
        wait_for(lambda: "may be lost, and trade goes on" in town.said.read_text(), "three members", _PATIENCE_S)
        buyer = Buying(Spec(name="one-by-one", nameserver=town.nameserver, directory=str(town.directory.path)))
        for number in range(1 - _WARM_UP, plan.purchases + 1):
            began = time.perf_counter_ns()
            buyer.once()
            took_ms = (time.perf_counter_ns() - began) / 1e6
            if number > 0:
                purchases.append(Purchase(level=level, number=number, latency_ms=took_ms))
        buyer.after_turn()
        buyer.close()
        with crowd_of(town, plan.customers) as crowd:
            turn = crowd.closed(plan.customers, plan.duration_s)
        per_s = turn.latencies_ms.size / max(turn.took_s, plan.duration_s)
        rates.append(Rate(level=level, customers=plan.customers, per_s=per_s))


def _strike(
    plan: ReplicationPlan, level: WriteLevel, shop: Workshop, members: Members, strikes: list[Strike]
) -> None:
    """Has one primary after another fall at that level."""
    uri = members.uri(level)
    times, done = plan.times(level), 0
    with _town("falls", plan, level, shop, "--mongo", uri) as town, _witnesses(town) as witnesses:
        for each in plan.blows:
            for number in range(1, each.times + 1) if each.level == level else ():
                strikes.append(_one(members, uri, witnesses, level, each.blow, number))
                write_rows(shop.out / STRIKES, Strike, strikes)  # All of them take long, and one may fail.
                done += 1
                shop.done(done / times)
        members.wait_whole()


@contextmanager
def _witnesses(town: BenchTown) -> Iterator[list[Witness]]:
    uris = {name: peer.uri for name, peer in town.everybody().items()}
    with ExitStack() as stack:
        witnesses = [Witness(f"witness{number}", uris, town.directory.path) for number in range(_WITNESSES)]
        for witness in witnesses:
            witness.start()
            stack.callback(witness.stop)
        yield witnesses


def _one(
    members: Members, uri: str, witnesses: Sequence[Witness], level: WriteLevel, blow: Blow, number: int
) -> Strike:
    members.wait_whole()
    _wait_for_trade(witnesses)
    fallen = members.primary()
    before = [len(witness.told) for witness in witnesses]
    at_s = time.monotonic()
    members.strike(fallen, blow)
    try:
        members.primary(other_than=fallen)
        # A purchase may be told by a primary that is none any more: those count that are asked for from now on.
        _wait_for_trade(witnesses)
        told = [each for witness in witnesses for each in witness.told]
    finally:
        members.heal()
    members.wait_whole()
    since = sorted([at_s, *(when_s for when_s, _ in told if when_s >= at_s)])
    recent = [
        request_id
        for witness, count in zip(witnesses, before, strict=True)
        for _, request_id in witness.told[max(0, count - _STEADY) :]
    ]
    return Strike(
        level=level,
        blow=blow,
        number=number,
        pause_ms=max(later - earlier for earlier, later in pairwise(since)) * 1000,
        told=len(since) - 1,
        lost=len(recent) - _recorded(uri, recent),
    )


def _wait_for_trade(witnesses: Sequence[Witness]) -> None:
    """Returns once every customer was told of some more purchases. TownError if that takes long."""
    goals = [len(witness.told) + _STEADY // len(witnesses) for witness in witnesses]

    def has_traded() -> bool:
        failed = [error for witness in witnesses for error in witness.errors]
        if failed:
            raise TownError(f"a customer failed: {failed[0]!r}") from failed[0]
        return all(len(witness.told) >= goal for witness, goal in zip(witnesses, goals, strict=True))

    wait_for(has_traded, "trade", _PATIENCE_S)


def _recorded(uri: str, request_ids: list[str]) -> int:
    """How many of these the log has."""
    with Queries(uri, database_of(uri)) as books:
        return len(books.in_log(request_ids))
