"""A scene says that something was seen only if all of it was, and only of a market whose books hold."""

from __future__ import annotations

import pytest

from peers.scenes.verdict import Fact, SceneVerdict

SEEN = Fact(claim="wins", saw=5, wanted=5)
UNSEEN = Fact(claim="wins", saw=4, wanted=5)


@pytest.mark.parametrize(
    ("facts", "trouble", "audit", "code"),
    [
        ((SEEN,), "", 0, 0),
        ((SEEN, UNSEEN), "", 0, 2),
        ((SEEN,), "not within 30 s: a trader", 0, 2),
        ((), "", 0, 2),
        ((SEEN,), "", 2, 2),
        ((SEEN,), "", None, 2),
        ((SEEN,), "", 1, 1),
        ((UNSEEN,), "not within 30 s: a trader", 1, 1),
    ],
)
def test_exit_code(facts: tuple[Fact, ...], trouble: str, audit: int | None, code: int) -> None:
    assert SceneVerdict(scene="ours", facts=facts, trouble=trouble, audit=audit).exit_code == code


@pytest.mark.parametrize(
    ("fact", "says"),
    [
        (SEEN, "  seen: wins: 5"),
        (UNSEEN, "  NOT SEEN: wins: 4, where it should be 5"),
        (Fact(claim="it buys", saw=True, wanted=True), "  seen: it buys"),
        (Fact(claim="it buys", saw=False, wanted=True), "  NOT SEEN: it buys"),
        (Fact(claim="stock", saw={"fish": 3}, wanted={"fish": 3}), "  seen: stock: fish: 3"),
        (Fact(claim="in office", saw=[0, 5], wanted=[0, 5]), "  seen: in office: 0, 5"),
        (Fact(claim="in office", saw=[], wanted=[0]), "  NOT SEEN: in office: nothing, where it should be 0"),
    ],
)
def test_sentence(fact: Fact, says: str) -> None:
    assert fact.sentence() == says
