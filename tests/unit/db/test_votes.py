"""Who of a replica set is given a vote, one change at a time, and what people are told may be lost."""

from __future__ import annotations

import pytest

from db.mongod.votes import (
    MOST_LAG_S,
    HandOver,
    Replica,
    SetView,
    Vote,
    next_step_to_leave,
    next_vote,
    what_may_be_lost,
)


def member(number: int, votes: int, state: str = "SECONDARY", lag_s: float | None = 0.0) -> Replica:
    return Replica(number=number, address=f"m{number}:1", votes=votes, state=state, lag_s=lag_s)


def seen(*replicas: Replica) -> SetView:
    return SetView(replicas)


PRIMARY = member(0, 1, "PRIMARY")


def settled(view: SetView) -> list[Vote]:
    """The changes until nothing is left to be changed."""
    changes = []
    while (vote := next_vote(view)) is not None:
        changes.append(vote)
        assert len(changes) < 10
        view = SetView(
            tuple(
                member(each.number, vote.votes, each.state, each.lag_s) if each.number == vote.number else each
                for each in view.replicas
            )
        )
    return changes


@pytest.mark.parametrize(
    ("view", "changes"),
    [
        pytest.param(seen(PRIMARY), [], id="alone"),
        pytest.param(seen(PRIMARY, member(1, 0)), [], id="two: the loss of either would stop trade"),
        pytest.param(seen(PRIMARY, member(1, 0), member(2, 0)), [Vote(1, 1), Vote(2, 1)], id="three"),
        pytest.param(seen(PRIMARY, member(1, 1), member(2, 0)), [Vote(2, 1)], id="left between two steps"),
        pytest.param(seen(PRIMARY, member(1, 1)), [Vote(1, 0)], id="two that vote: one is enough"),
        pytest.param(seen(PRIMARY, member(1, 0), member(2, 0, "STARTUP2")), [], id="one still copies"),
        pytest.param(
            seen(PRIMARY, member(1, 0), member(2, 0, lag_s=2 * MOST_LAG_S)), [], id="one is behind by too much"
        ),
        pytest.param(seen(PRIMARY, member(1, 0), member(2, 0, lag_s=None)), [], id="how far behind is not known"),
        pytest.param(
            seen(PRIMARY, member(1, 1, "DOWN", None), member(2, 1)), [], id="who is away keeps its vote in three"
        ),
        pytest.param(seen(PRIMARY, member(1, 1), member(2, 1), member(3, 0)), [], id="a fourth has none"),
        pytest.param(
            seen(PRIMARY, member(1, 1, "DOWN", None), member(2, 1), member(3, 1)),
            [Vote(1, 0)],
            id="of four, who is away gives up its own",
        ),
        pytest.param(
            seen(PRIMARY, member(1, 1), member(2, 1), member(3, 0), member(4, 0)),
            [Vote(3, 1), Vote(4, 1)],
            id="five",
        ),
        pytest.param(seen(member(0, 1), member(1, 0), member(2, 0)), [], id="no primary: nobody can change anything"),
    ],
)
def test_votes_are_of_an_odd_number_and_of_those_who_have_the_books(view: SetView, changes: list[Vote]) -> None:
    assert settled(view) == changes


DOWN = member(1, 1, "DOWN", None)


@pytest.mark.parametrize(
    ("view", "step"),
    [
        pytest.param(seen(PRIMARY, member(1, 1), member(2, 1)), Vote(2, 0), id="three"),
        pytest.param(seen(member(0, 1), member(1, 1), member(2, 1, "PRIMARY")), HandOver(), id="the primary goes"),
        pytest.param(
            seen(PRIMARY, DOWN, member(2, 1)), Vote(1, 0), id="first who is away, or one would be left of two"
        ),
        pytest.param(seen(PRIMARY, member(1, 0), member(2, 1)), Vote(2, 0), id="then ours"),
        pytest.param(seen(PRIMARY, member(1, 1), member(2, 0)), None, id="it is gone"),
        pytest.param(seen(member(0, 0), member(2, 1, "PRIMARY")), Vote(0, 1), id="a copy inherits the only vote"),
        pytest.param(seen(member(2, 1, "PRIMARY")), None, id="nobody stays"),
        pytest.param(seen(member(0, 1), member(1, 1), member(2, 1)), None, id="no primary: nothing can be changed"),
    ],
)
def test_who_leaves_leaves_a_majority_behind(view: SetView, step: Vote | HandOver | None) -> None:
    assert next_step_to_leave(view, ["m2:1"]) == step


def test_who_leaves_gets_no_vote_back_before_it_is_let_in_again() -> None:
    leaving = Replica(number=2, address="m2:1", votes=0, state="SECONDARY", lag_s=0.0, is_leaving=True)
    view = seen(PRIMARY, member(1, 0), leaving)
    assert next_vote(view) is None
    assert not view.has("m2:1")


@pytest.mark.parametrize(
    ("view", "told"),
    [
        (seen(PRIMARY), "until 2 more have joined, trade stops if m0:1 is lost"),
        (seen(PRIMARY, member(1, 0)), "until 1 more has joined, trade stops if m0:1 is lost"),
        (seen(PRIMARY, member(1, 0), member(2, 0)), "until all have caught up, trade stops if m0:1 is lost"),
        (seen(PRIMARY, member(1, 1), member(2, 1)), "any one of them may be lost, and trade goes on"),
        (
            seen(PRIMARY, member(1, 1, "DOWN"), member(2, 1)),
            "if one more is lost, trade stops until m1:1 is back",
        ),
        (
            seen(PRIMARY, member(1, 1, "DOWN"), member(2, 1, "DOWN")),
            "they are no majority, and trade waits until m1:1 or m2:1 is back",
        ),
        (seen(member(0, 1), member(1, 1), member(2, 1, "DOWN")), "their members elect one"),
        (seen(member(0, 1), member(1, 1, "DOWN"), member(2, 1, "DOWN")), "trade waits until m1:1 or m2:1 is back"),
    ],
)
def test_people_are_told_what_may_be_lost(view: SetView, told: str) -> None:
    assert told in what_may_be_lost(view, 3)
