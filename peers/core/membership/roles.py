"""Who buys and who sells, drawn at random."""

from __future__ import annotations

from random import Random

from peers.core.names import Role


def draw_roles(n: int, rng: Random, *, merchants: bool = False) -> tuple[Role, ...]:
    """Returns the role of each rank 0 … n-1 (n >= 2).

    At least one buyer and one seller; from four peers on at least two of each, so that with any one of them in
    office somebody is left to buy and somebody to sell. With `merchants`, about a third does both.
    """
    least = 2 if n >= 4 else 1
    pair: tuple[Role, ...] = ("buyer", "seller")
    roles = list(pair * least)
    choices: tuple[Role, ...] = ("buyer", "seller", "merchant") if merchants else ("buyer", "seller")
    roles += [rng.choice(choices) for _ in range(n - len(roles))]
    rng.shuffle(roles)
    return tuple(roles)
