"""Below a majority: whatever is lost, and whenever, the log stays whole, and what is missing could be lost.

Traders write and take office, a majority catches up or the primary falls with what it has not given away, in any
order. The same is played with a mistake planted, which has to be found: a ledger that does not look at the place
before, and one that makes books of entries that may be lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

from db.audit.findings import LOST, Verdict
from db.audit.invariants import check_books
from db.audit.rows import JournalEntry
from db.ledger.memory import MemoryLedger
from peers.core.journal import journal_line
from peers.core.ledger.port import Append, Appended, EndLost, MakeBooks, Result, Taken
from peers.core.market.records import Outcome
from peers.core.reports import Answered
from tests.helpers.deals import office, stock
from tests.helpers.log_trader import LogTrader

SEEDS = range(60)
_TRADERS = ("merchant7", "merchant8")


class Play:
    """One seed's worth of trade at level one."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        self.ledger = MemoryLedger("one")
        self._traders = [LogTrader(self.ledger, name) for name in _TRADERS]
        self._sold = 0
        self.refused = 0
        self.lost = 0
        self.journals: list[JournalEntry] = []

    def run(self) -> Verdict:
        """Plays, and judges what is left at rest."""
        self._take_office(self._traders[0])
        for _ in range(60):
            self._step()
        self.ledger.settle()
        self._take_office(self._traders[0])  # Whoever comes next makes what is still to be made.
        self.ledger.settle()
        documents = self.ledger.documents()
        return check_books(
            documents["requests"],
            documents["deposits"],
            documents["posts"],
            log=documents["log"],
            journals=self.journals,
        )

    def _step(self) -> None:
        draw = self._rng.random()
        if draw < 0.1:
            self._take_office(self._rng.choice(self._traders))
        elif draw < 0.25:
            self.ledger.settle()
        elif draw < 0.35:
            self.lost += self.ledger.lose_end()
        else:
            self._sell(self._rng.choice(self._traders))

    def _take_office(self, trader: LogTrader) -> None:
        while True:
            trader.load()
            entry = office(trader.state.post.term + 1, trader.name)
            if isinstance(trader.append(msgspec.structs.replace(entry, write_level="one")), Appended):
                return

    def _sell(self, trader: LogTrader) -> None:
        """A trader that was deposed, or whose end is lost, does not know that yet, and writes all the same."""
        if not trader.term:
            return
        self._sold += 1
        goods = stock(f"d{self._sold}", 1, term=trader.term)
        outcome = trader.sale(self._sold, trader.next_seq, goods)
        result = trader.append(trader.entry(outcome, deposits=(goods,)))
        if isinstance(result, Appended):
            self._tell(outcome)
        else:
            assert isinstance(result, Taken | EndLost)
            self.refused += isinstance(result, EndLost)
            self._take_office(trader)

    def _tell(self, outcome: Outcome) -> None:
        line: Any = journal_line(Answered(peer=outcome.request.buyer, outcome=outcome))
        told = {"at_ms": 1, "peer": outcome.request.buyer, **line}
        self.journals.append(msgspec.convert(told, JournalEntry))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_log_stays_whole_and_the_books_follow_it(seed: int) -> None:
    play = Play(seed)
    verdict = play.run()
    assert verdict.violated == (), str(verdict)
    found = verdict.of("acknowledged_is_recorded")
    assert (found.state, found.found) == ((LOST, play.lost) if play.lost else ("holds", 0))


def test_there_was_something_to_be_seen() -> None:
    plays = [Play(seed) for seed in SEEDS]
    for play in plays:
        play.run()
    assert any(play.lost for play in plays)
    assert any(play.refused for play in plays)
    assert any(not play.lost for play in plays)


@contextmanager
def place_before_not_checked() -> Iterator[None]:
    """Who writes on after its end was lost gets the next free place."""
    append = MemoryLedger._append

    def unchecked(self: MemoryLedger, operation: Append) -> Result:
        result = append(self, operation)
        if isinstance(result, EndLost):
            with patch.object(self, "_write_level", "majority"):
                return append(self, msgspec.structs.replace(operation, place=self.end + 1))
        return result

    with patch.object(MemoryLedger, "_append", unchecked):
        yield


@contextmanager
def books_made_of_what_may_be_lost() -> Iterator[None]:
    """The books are made of entries that a majority does not have."""
    perform = MemoryLedger.perform

    def hasty(self: MemoryLedger, operation: Any) -> Result:
        if isinstance(operation, MakeBooks):
            self.make(operation)
        return perform(self, operation)

    with patch.object(MemoryLedger, "perform", hasty):
        yield


@pytest.mark.parametrize("mistake", [place_before_not_checked, books_made_of_what_may_be_lost])
def test_a_planted_mistake_is_found(mistake: Any) -> None:
    def finds(seed: int) -> bool:
        try:
            return bool(Play(seed).run().violated)
        except (ValueError, AssertionError):  # A log that does not add up cannot even be read.
            return True

    with mistake():
        assert any(finds(seed) for seed in SEEDS)
