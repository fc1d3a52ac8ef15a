"""What the tests of the trader say of callers and of a term's end."""

from __future__ import annotations

from peers.core.market.records import Post
from peers.errors import BadRequest, PostClosed
from tests.unit.core.trader.desk import Caller, Desk
from tests.unit.core.words import offers

FISH = offers("d1", "fish", 10)
SALT = offers("d2", "salt", 10, seller="seller2", clock=2)


def reason(desk: Desk) -> str:
    ended = desk.ended()
    assert ended is not None
    return ended.reason


def successor_post(desk: Desk) -> Post | None:
    ended = desk.ended()
    assert ended is not None
    return ended.post


def was_turned_away(caller: Caller, field: str) -> None:
    assert isinstance(caller.answer, BadRequest), caller.answer
    assert caller.answer.field == field


def was_told_the_post_is_closed(caller: Caller) -> None:
    assert isinstance(caller.answer, PostClosed), caller.answer
