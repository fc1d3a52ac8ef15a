"""Books as long as one likes, sound ones, in a stream."""

from __future__ import annotations

from collections.abc import Iterator

from tests.helpers.bookkeeping import Clerk, Document, LogBuilder


def long_books(sales: int, customers: int = 8, *, log: bool = False) -> Iterator[tuple[str, Document]]:
    """Gives (collection, document) of sound books with that many sales, a piece at a time; and of their log.

    Deposits of ten, each sold out before the next comes; requests come in bursts of `customers`, highest clock
    first, every third of them queued before it is decided; every thousand sales another trader.
    """
    clerk = LogBuilder("merchant8") if log else Clerk("merchant8")
    for number in range(sales):
        if number % 1000 == 999:
            clerk.elect(f"merchant{8 + clerk.post['term'] % 2}")
        if number % 10 == 0:
            clerk.deposit(f"seller{number % 7}", "fish", 10, f"{1 + number % 9}.{number % 100:02d}", number)
        burst = number // customers * customers
        clerk.ask(f"buyer{number % customers}", "fish", 1, 2 * burst + customers - number % customers)
        if number % customers == customers - 1 or number == sales - 1:
            clerk.wait()
            if isinstance(clerk, LogBuilder) and number % (3 * customers) == customers - 1:
                clerk.queue()
            clerk.decide()
            clerk.wait()
    if isinstance(clerk, LogBuilder):
        yield from (("log", entry) for entry in clerk.log)
    yield from (("deposits", document) for document in clerk.deposits.values())
    yield from (("requests", document) for document in clerk.requests.values())
    yield from (("elections", document) for document in clerk.elections)
    yield from (("journals", entry) for entry in clerk.journals)
    yield "posts", clerk.post
