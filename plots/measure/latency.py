"""Purchases one after another by one customer, in turns with the two halves of their floor."""

from __future__ import annotations

from plots.measure.apparatus.customers import Buying, Echo, Spec
from plots.measure.apparatus.floor import BareInserts, EchoServer, timed_ms
from plots.measure.apparatus.stats import floor_of
from plots.measure.apparatus.towns import BenchTown
from plots.measure.plan import Plan
from plots.results.latency import summarize
from plots.results.speed import Course, Latency

_WARM_UP = 30  # Calls of each side that open connections and fill caches, and are not recorded.


def measure(town: BenchTown, echo: EchoServer, plan: Plan) -> tuple[Latency, Course]:
    """Echoes, inserts and purchases in turns."""
    inserts = BareInserts(town.mongo_uri)
    buyer = Buying(Spec(name="one-by-one", nameserver=town.nameserver, directory=str(town.directory.path)))
    echoes = Echo(Spec(name="one-by-one", uri=echo.uri))
    took: tuple[list[float], list[float], list[float]] = ([], [], [])
    actions = (echoes.once, inserts.once, buyer.once)
    try:
        for once in actions:
            timed_ms(once, _WARM_UP)
        for _ in range(plan.turns):
            for once, series in zip(actions, took, strict=True):
                series.extend(timed_ms(once, plan.turn))
            buyer.after_turn()
    finally:
        inserts.close()
        buyer.close()
        echoes.close()
    echo_ms, insert_ms, purchase_ms = took
    floor_ms = floor_of(echo_ms, insert_ms)
    floor, purchase = summarize(floor_ms), summarize(purchase_ms)
    found = Latency(
        peers=town.peers,
        echo_ms=summarize(echo_ms),
        insert_ms=summarize(insert_ms),
        floor_ms=floor,
        purchase_ms=purchase,
        p50_over_floor=purchase.p50 / floor.p50,
        p99_over_floor_p50=purchase.p99 / floor.p50,
    )
    return found, Course(peers=town.peers, floor_ms=floor_ms.tolist(), purchase_ms=purchase_ms)
