"""A commit waits a moment for those who bought together before, and for nobody else."""

from __future__ import annotations

from itertools import pairwise

from peers.core.trader.group_commit import HALVED
from tests.unit.core.trader.desk import Desk, asked_for, queued_in
from tests.unit.core.words import offers, rules, wants

GATHER_S = 0.002
GOODS = offers("d1", quantity=100)


def at_work() -> Desk:
    return Desk(
        goods=[GOODS],
        settings=rules(resign_after_sales=0, timing={"queue_after_s": 1.0, "group_commit_delay_s": GATHER_S}),
    )


def crowded() -> Desk:
    """Three customers bought: one at once, two while that was recorded."""
    desk = at_work()
    for name in ("r1", "r2", "r3"):
        desk.buy(wants(name))
    desk.ledger_does()  # The entry of r1 is written.
    return desk


def commits(desk: Desk) -> list[list[str]]:
    return [] if desk.is_idle else [asked_for(desk.entry)]


def test_a_lone_customer_never_waits() -> None:
    desk = at_work()
    for name in ("r1", "r2", "r3"):
        desk.buy(wants(name))
        assert commits(desk) == [[name]]
        desk.ledger_does()


def test_a_commit_waits_for_as_many_as_were_there_last_time() -> None:
    desk = crowded()
    assert commits(desk) == []  # Two of three wait, and the third will be back.
    desk.buy(wants("r4"))
    assert commits(desk) == [["r2", "r3", "r4"]]


def test_it_does_not_wait_for_long() -> None:
    desk = crowded()
    desk.time_passes(GATHER_S)
    assert commits(desk) == [["r2", "r3"]]


def test_after_a_wait_in_vain_the_next_commit_begins_at_once() -> None:
    desk = crowded()
    desk.time_passes(GATHER_S)
    desk.ledger_does()  # The entry has two requests, and the third never came.
    desk.buy(wants("r4"))
    assert commits(desk) == [["r4"]]
    desk.buy(wants("r5"))
    desk.ledger_does()
    assert commits(desk) == []  # The commit tries to wait again.
    desk.buy(wants("r6"))
    assert commits(desk) == [["r5", "r6"]]


def test_very_many_take_turns_in_two_halves() -> None:
    desk = at_work()
    for number in range(HALVED):
        desk.buy(wants(f"r{number}"))
    desk.ledger_does()  # The entry of r0 is written.
    assert [len(batch) for batch in commits(desk)] == [HALVED - 1]
    for number in range(HALVED // 2):
        desk.buy(wants(f"s{number}"))
    desk.ledger_does()
    assert commits(desk) == []  # There are 71 customers, and 24 of them wait.
    for number in range(12):
        desk.buy(wants(f"t{number}"))
    assert [len(batch) for batch in commits(desk)] == [36]  # The others have only just been answered.


def test_waits_in_vain_are_tried_less_and_less_often_but_never_given_up() -> None:
    """Requests come as they please: one during each commit, and never one during a wait."""
    desk = at_work()
    desk.buy(wants("r0"))
    waits: list[int] = []
    for number in range(1, 40):
        desk.buy(wants(f"r{number}"))
        desk.ledger_does()
        if not commits(desk):
            waits.append(number)
            desk.time_passes(GATHER_S)
    apart = [after - before for before, after in pairwise(waits)]
    assert apart[:3] == [2, 4, 5]
    assert set(apart[2:]) == {5}


def test_one_who_leaves_office_waits_for_nobody() -> None:
    desk = crowded()
    desk.is_told_to_leave()
    assert queued_in(desk.entry) == ["r2", "r3"]
    assert desk.ended() is None
    desk.ledger_does_all()
    assert desk.ended() is not None
