"""Who buys and who sells: always somebody for each side of the counter."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from peers.core.membership.roles import draw_roles, role_to_join_as


@given(n=st.integers(2, 300), seed=st.integers(0, 2**32), merchants=st.booleans())
def test_there_are_buyers_and_sellers_even_with_any_one_in_office(n: int, seed: int, merchants: bool) -> None:
    roles = draw_roles(n, Random(seed), merchants=merchants)
    assert len(roles) == n
    least = 2 if n >= 4 else 1
    assert roles.count("buyer") >= least
    assert roles.count("seller") >= least


@given(n=st.integers(2, 60), seed=st.integers(0, 2**32))
def test_there_are_no_merchants_unless_asked_for(n: int, seed: int) -> None:
    assert "merchant" not in draw_roles(n, Random(seed))


def test_about_a_third_are_merchants_when_asked_for() -> None:
    share = draw_roles(3000, Random(1), merchants=True).count("merchant") / 3000
    assert 0.28 < share < 0.39


def test_the_same_seed_draws_the_same_roles() -> None:
    assert draw_roles(30, Random(4)) == draw_roles(30, Random(4)) != draw_roles(30, Random(5))


@given(first=st.integers(0, 1000), n=st.integers(2, 40))
def test_newcomers_that_do_not_see_each_other_are_on_both_sides(first: int, n: int) -> None:
    roles = [role_to_join_as(rank, ["buyer", "seller"]) for rank in range(first, first + n)]
    assert abs(roles.count("buyer") - roles.count("seller")) <= 1


@given(ranks=st.lists(st.integers(0, 1000), min_size=8, max_size=60, unique=True), merchants=st.booleans())
def test_newcomers_that_come_one_by_one_keep_the_sides_even_whatever_ranks_they_get(
    ranks: list[int], merchants: bool
) -> None:
    present: list[str | None] = ["seller", None, "seller", "seller", "seller"]
    for rank in ranks:
        present.append(role_to_join_as(rank, present, merchants=merchants))
    assert abs(present.count("buyer") - present.count("seller")) <= 2
    assert merchants or "merchant" not in present
