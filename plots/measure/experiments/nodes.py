"""Requests one after another by one customer, in towns of several sizes."""

from __future__ import annotations

from plots.measure.apparatus.customers import ITEM
from plots.measure.apparatus.floor import timed_ms
from plots.measure.experiments.workshop import Workshop
from plots.results.experiments.nodes import DATA, Answered, NodesPlan
from plots.results.rows import write_rows

_WARM_UP = 20  # Purchases that open connections and fill caches, and are not recorded.
_PARTS = 20  # Progress is told so often in a town.


def measure(plan: NodesPlan, shop: Workshop) -> None:
    """Measures all sizes, each in a town of its own."""
    rows: list[Answered] = []
    for peers in plan.sizes:
        title = plan.title(peers)
        with (
            shop.step(title),
            shop.town(title, peers, market=plan.market) as town,
            town.customer("customer") as customer,
        ):
            timed_ms(lambda: customer.buy(ITEM), _WARM_UP)
            took_ms: list[float] = []
            while len(took_ms) < plan.requests:
                at_most = max(1, plan.requests // _PARTS)
                took_ms += timed_ms(lambda: customer.buy(ITEM), min(at_most, plan.requests - len(took_ms)))
                shop.done(len(took_ms) / plan.requests)
        rows += [Answered(peers=peers, number=number, latency_ms=ms) for number, ms in enumerate(took_ms, start=1)]
    write_rows(shop.out / DATA, Answered, rows)
