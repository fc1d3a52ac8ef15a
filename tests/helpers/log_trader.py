"""A trader without a peer around it: it obeys the protocol of the log, and writes what it is told to.

It reads to the end, takes office there, has one entry under way at a time, writes the same entry at the same place
again as long as it does not know what became of it, and has the books made of what stands.
"""

from __future__ import annotations

import time
from typing import Any

from bson.decimal128 import Decimal128
from pymongo.database import Database

from db.ledger.memory import MemoryLedger
from db.schema.documents import entry_from
from db.schema.forms import Document
from peers.core.ledger.log import Entry, TradeEntry
from peers.core.ledger.port import Append, Appended, Ledger, LedgerAway, Load, Loaded, Result, Taken, Unknown
from peers.core.ledger.post_state import PostState, state_of
from peers.core.market.records import Accepted, Deposit, Outcome
from tests.helpers.deals import TRADER, accepted, office, sold, stock, trade, unavailable
from tests.helpers.waiting import wait_until

COLLECTIONS = ("log", "requests", "deposits", "posts", "elections")


class LogTrader:
    """One trader and its ledger. `makes_books`: whether it has the books made of its entries."""

    def __init__(self, ledger: Ledger, name: str = TRADER, *, makes_books: bool = True) -> None:
        self.ledger = ledger
        self.name = name
        self.makes_books = makes_books
        self.state = PostState()
        self.surprises: list[Result] = []
        """Answers that did not say what became of an entry."""

    @property
    def term(self) -> int:
        """The term it is in office for, if it is."""
        return self.state.post.term

    @property
    def next_seq(self) -> int:
        """The number of the next decision."""
        return self.state.post.seq + 1

    def load(self, timeout_s: float = 30.0) -> Loaded:
        """Reads the end of the log, until that succeeds."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            loaded = self.ledger.perform(Load())
            if isinstance(loaded, Loaded):
                self.state, to_make = state_of(loaded)
                if self.makes_books:
                    for changes in to_make:
                        self.ledger.perform(changes)
                return loaded
            assert isinstance(loaded, LedgerAway | Unknown), loaded
            assert time.monotonic() < deadline_s, loaded

    def take_office(self, timeout_s: float = 30.0) -> LogTrader:
        """Reads to the end and takes office there, however often somebody else is faster."""
        while True:
            self.load(timeout_s)
            result = self.append(office(self.state.post.term + 1, self.name), timeout_s)
            if isinstance(result, Appended):
                return self
            assert isinstance(result, Taken), result

    def append(self, entry: Entry, timeout_s: float = 30.0) -> Result:
        """Writes an entry at the next place, until its fate is known, which is returned."""
        deadline_s = time.monotonic() + timeout_s
        operation = Append(place=self.state.place + 1, entry=entry)
        while True:
            result = self.ledger.perform(operation)
            if not isinstance(result, Unknown | LedgerAway):
                break
            self.surprises.append(result)
            assert time.monotonic() < deadline_s, result
        if isinstance(result, Appended):
            changes = self.state.take_in(entry)
            if self.makes_books:
                self.ledger.perform(changes)
        return result

    def entry(
        self, *outcomes: Outcome, deposits: tuple[Deposit, ...] = (), queued: tuple[Accepted, ...] = ()
    ) -> TradeEntry:
        """An entry of its own; what waits in its queue is not new."""
        return trade(
            *outcomes,
            deposits=deposits,
            queued=queued,
            known=tuple(self.state.queue),
            term=self.term,
            trader=self.name,
        )

    def write(
        self, *outcomes: Outcome, deposits: tuple[Deposit, ...] = (), queued: tuple[Accepted, ...] = ()
    ) -> None:
        """Writes an entry of its own, and expects it to stand."""
        result = self.append(self.entry(*outcomes, deposits=deposits, queued=queued))
        assert isinstance(result, Appended), result

    def sell(self, number: int, deposit: Deposit, *, quantity: int = 1) -> Outcome:
        """Sells what request `r<number>` wants out of `deposit`."""
        outcome = self.sale(number, self.next_seq, deposit, quantity=quantity)
        self.write(outcome)
        return outcome

    def sale(self, number: int, seq: int, deposit: Deposit, *, quantity: int = 1) -> Outcome:
        """A decision of this trader, not written yet."""
        queued = self.state.queue.get(f"r{number}")
        request = queued or accepted(number, term=self.term, quantity=quantity)
        return sold(request, seq, deposit, term=self.term, trader=self.name)

    def decline(self, number: int, seq: int | None = None) -> Outcome:
        """The decision of this trader, not written yet, that nobody has what request `r<number>` wants."""
        request = self.state.queue.get(f"r{number}") or accepted(number, term=self.term)
        return unavailable(request, seq or self.next_seq, term=self.term, trader=self.name)


def trade_a_while(trader: LogTrader, entries: int, first: int = 1) -> int:
    """Has a trader in office write some of everything; returns the first number that no request has yet."""
    number = first
    plenty = stock(f"plenty{trader.term}", 1000, term=trader.term)
    trader.write(deposits=(plenty,))
    for i in range(entries - 1):
        match i % 5:
            case 0:
                trader.write(queued=tuple(accepted(number + j, term=trader.term) for j in range(3)))
                number += 3
            case 1:  # The request comes out of the queue.
                trader.sell(number - 2, plenty)
            case 2:
                small = stock(f"small{number}", 2, seller="seller2", term=trader.term)
                trader.write(trader.sale(number, trader.next_seq, small, quantity=2), deposits=(small,))
                number += 1
            case 3:
                trader.write(trader.decline(number), trader.sale(number + 1, trader.next_seq + 1, plenty, quantity=2))
                number += 2
            case _:
                trader.write(deposits=(stock(f"left{number}", 4, seller="seller3", term=trader.term),))
    return number


def written(books: Database[Document]) -> dict[str, list[Document]]:
    """All that stands in the database, as `MemoryLedger.documents` gives it, sorted by id."""
    return by_id({name: [_plain(each) for each in books[name].find()] for name in COLLECTIONS})


def folded(books: Database[Document]) -> dict[str, list[Document]]:
    """What should stand in the database according to its log, which is sound and whole; sorted by id."""
    memory, state = MemoryLedger(), PostState()
    for place, document in enumerate(books.log.find().sort("_id", 1)):
        assert document["_id"] == place
        entry = entry_from(document)
        assert entry is not None
        assert memory.perform(Append(place=place, entry=entry)) == Appended()
        memory.make(state.take_in(entry))
    documents = memory.documents()
    documents["elections"] = written(books)["elections"]  # Elections are not made from the log.
    return by_id(documents)


def by_id(collections: dict[str, list[Document]]) -> dict[str, list[Document]]:
    """The same, with the documents in one order."""
    return {name: sorted(documents, key=lambda each: each["_id"]) for name, documents in collections.items()}


def made(books: Database[Document]) -> int:
    """Up to which entry the books say they are made."""
    post = books.posts.find_one()
    return -1 if post is None else int(post["made"])


def load(ledger: Ledger) -> Loaded:
    """What a new trader would read; it asks again where the ledger is away, as a trader does."""

    def asked() -> Loaded | None:
        loaded = ledger.perform(Load())
        assert isinstance(loaded, Loaded | LedgerAway), loaded
        return loaded if isinstance(loaded, Loaded) else None

    return wait_until(asked, "the ledger is read")


def assert_books_follow(books: Database[Document]) -> None:
    """The books are what the log adds up to, all of it."""
    assert written(books) == folded(books)


def state_in(loaded: Loaded) -> dict[str, Any]:
    """The state at the end of what was loaded, to be compared."""
    state, _ = state_of(loaded)
    return summary(state)


def summary(state: PostState) -> dict[str, Any]:
    """A state, to be compared."""
    queue = sorted(state.queue.values(), key=lambda each: each.request.sort_key)
    return {"place": state.place, "post": state.post, "queue": queue, "stock": state.stock.on_offer()}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal128):
        return value.to_decimal()
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value
