"""Who buys and who sells, drawn at random."""

from __future__ import annotations

from collections.abc import Iterable
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


def role_to_join_as(rank: int, present: Iterable[str | None], *, merchants: bool = False) -> Role:
    """Returns the role of a newcomer that comes alone, given the roles of those who are there.

    It takes the side of the counter that has two fewer or more; else the rank says, so that newcomers that come at
    the same time and do not see each other yet are not all on one side. With `merchants`, every third does both.
    """
    there = list(present)
    surplus = there.count("buyer") - there.count("seller")
    if abs(surplus) >= 2:
        return "seller" if surplus > 0 else "buyer"
    choices: tuple[Role, ...] = ("buyer", "seller", "merchant") if merchants else ("buyer", "seller")
    return choices[rank % len(choices)]
