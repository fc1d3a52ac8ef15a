"""What is made of a server that denies having a configuration while it still loads the one it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from db.mongod.set_of_one import configure_set, is_writable

ADDRESS = "127.0.0.1:27017"
CONFIG = {"config": {"_id": "bazaar", "version": 1, "members": [{"_id": 0, "host": ADDRESS}]}}


class Starting:
    """Answers as a server that was stopped before and is just starting: each command by the next answer of it."""

    def __init__(self, **answers: list[Any]) -> None:
        self._answers = answers

    @property
    def admin(self) -> Starting:
        return self

    def command(self, name: str, *_given: object, **_options: object) -> object:
        answer = self._answers[name].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def client(**answers: list[Any]) -> MongoClient[dict[str, object]]:
    return cast("MongoClient[dict[str, object]]", Starting(**answers))


def refused(code: int) -> Callable[[], OperationFailure]:
    return lambda: OperationFailure("refused", code)


NONE_YET, HAS_ONE, FORBIDDEN = refused(94), refused(23), refused(13)


def test_a_set_that_is_still_loading_its_configuration_is_asked_again() -> None:
    starting = client(replSetGetConfig=[NONE_YET(), CONFIG], replSetInitiate=[HAS_ONE()], hello=[{}])
    assert not is_writable(starting, ADDRESS)
    assert configure_set(starting, ADDRESS)


def test_another_refusal_is_not_taken_for_that() -> None:
    with pytest.raises(OperationFailure):
        is_writable(client(replSetGetConfig=[NONE_YET()], replSetInitiate=[FORBIDDEN()]), ADDRESS)
