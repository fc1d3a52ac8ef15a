"""The same customers at more and more posts, every kind of town in turns."""

from __future__ import annotations

from plots.measure.experiments.workshop import Workshop
from plots.measure.posts import PEERS_A_POST, areas_of, crowd_at, options_of, take_turns
from plots.results.experiments.posts import TURNS, PostsPlan
from plots.results.posts import PostsTurn
from plots.results.rows import write_rows


def measure(plan: PostsPlan, shop: Workshop) -> None:
    """Measures all kinds of town, each in a town of its own every time."""
    turns: list[PostsTurn] = []
    for round_, posts, own in plan.towns():
        title, setup = plan.title(posts, own, round_), (posts, own)
        with (
            shop.step(title),
            shop.town(
                title, PEERS_A_POST * posts, market=plan.market, options=options_of(setup), areas=areas_of(posts)
            ) as town,
            crowd_at(town, plan.customers) as crowd,
        ):
            turns += take_turns(town, crowd, setup, plan.turns, plan.turn_s)
    write_rows(shop.out / TURNS, PostsTurn, turns)
