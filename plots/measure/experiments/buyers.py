"""Closed loops of more and more buyers, the numbers in turns."""

from __future__ import annotations

from plots.measure.experiments.workshop import Workshop
from plots.measure.throughput import crowd_of
from plots.results.experiments.buyers import LATENCIES, TURNS, BuyersPlan, Turn, Waited
from plots.results.rows import write_rows


def measure(plan: BuyersPlan, shop: Workshop) -> None:
    """Measures one town."""
    turns: list[Turn] = []
    waited: list[Waited] = []
    title = plan.steps()[0].title
    with (
        shop.step(title),
        shop.town(title, plan.peers, market=plan.market) as town,
        crowd_of(town, max(plan.buyers)) as crowd,
    ):
        for number in range(plan.turns):
            # Once upwards and once downwards, so that a drifting machine hits all alike.
            for buyers in plan.buyers if number % 2 == 0 else plan.buyers[::-1]:
                shop.done(len(turns) / (plan.turns * len(plan.buyers)))
                turn = crowd.closed(buyers, plan.turn_s)
                answered = int(turn.latencies_ms.size)
                turns.append(Turn(buyers=buyers, turn=number, answered=answered, took_s=turn.took_s))
                waited += [Waited(buyers=buyers, turn=number, latency_ms=float(ms)) for ms in turn.latencies_ms]
    write_rows(shop.out / TURNS, Turn, turns)
    write_rows(shop.out / LATENCIES, Waited, waited)
