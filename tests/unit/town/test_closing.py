"""Closing a market waits for what is still to be decided, for as long as there is hope for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from peers.core.market.records import Post
from peers.errors import LedgerError
from peers.town.database.books import Books
from peers.town.terminals.closing import drain


class Looks(Books):
    """Books of which each look at the queue and the post sees what `look`, given its number, says."""

    def __init__(self, look: Callable[[int], tuple[int, Post]]) -> None:
        self._look = look
        self.looks = 0

    def queued(self) -> int:
        self.looks += 1
        return self._look(self.looks)[0]

    def post(self) -> Post:
        return self._look(self.looks)[1]


def at(term: int, seq: int) -> Post:
    return Post(term=term, trader="seller1", seq=seq)


def test_nothing_waits_and_nothing_moves() -> None:
    books = Looks(lambda _: (0, at(1, 7)))
    assert asyncio.run(drain(books))
    assert books.looks == 2


def test_a_queue_that_moves_is_waited_for_beyond_the_patience() -> None:
    books = Looks(lambda look: (max(0, 8 - look), at(1, look // 2)))
    began_s = time.monotonic()
    patience_s = 0.2  # The queue takes eight looks, which is twice as long.
    assert asyncio.run(drain(books, patience_s))
    assert time.monotonic() - began_s > patience_s


@pytest.mark.parametrize("moves", [False, True])
def test_no_longer_than_there_is_hope(moves: bool) -> None:
    books = Looks(lambda look: (3, at(look if moves else 1, 7)))
    began_s = time.monotonic()
    assert not asyncio.run(drain(books, 0.1, 0.4))
    assert (time.monotonic() - began_s > 0.4) == moves


def test_books_that_cannot_be_read_are_not_waited_for() -> None:
    def away(look: int) -> tuple[int, Post]:
        raise LedgerError(f"away at look {look}")

    assert asyncio.run(drain(Looks(away)))
