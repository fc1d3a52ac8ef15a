"""A toy post that keeps sound books: the simplest thing that obeys the rules, for tests to start from and to spoil.

It shares no code with the trader, the ledgers or the invariants, so that a mistake would have to be made twice.
Its documents have the form of the database, its journals that of the peers'. Money is Decimal; `to_bson` turns a
document into one that MongoDB stores.

`Clerk` keeps books alone; `LogBuilder` writes a log, and can say what books made from it look like: as they are at
its end, as they were at any place before, or torn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, TypeVar

from bson.decimal128 import Decimal128

Document = dict[str, Any]

RATE = Decimal("0.2")
_MORNING = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
_MONEY = ("price", "amount", "commission", "earned")


def sort_key(time: int, owner: str, record_id: str) -> str:
    rank = re.sub(r"\D", "", owner) if re.match(r"(buyer|seller|merchant)\d", owner) else "999999"
    return f"{time:016d}.{int(rank):06d}.{owner}.{record_id}"


def to_bson(document: Document) -> Document:
    return {key: _to_bson(value) for key, value in document.items()}


def _to_bson(value: Any) -> Any:
    if isinstance(value, Decimal):
        return Decimal128(value)
    if isinstance(value, list):
        return [_to_bson(each) for each in value]
    return to_bson(value) if isinstance(value, dict) else value


def to_wire(document: Document) -> Document:
    """As it travels and is written to journals: money as text, and no times of day."""
    return {
        key: str(value) if isinstance(value, Decimal) else value
        for key, value in document.items()
        if not isinstance(value, datetime)
    }


class Clerk:
    """Keeps the books by hand. `requests` and `deposits` are by id, in order of acceptance."""

    def __init__(self, trader: str = "merchant8") -> None:
        self.requests: dict[str, Document] = {}
        self.deposits: dict[str, Document] = {}
        self.elections: list[Document] = []
        self.journals: list[Document] = []
        self.post: Document = {"_id": "main", "term": 0, "trader": None, "since": _MORNING, "seq": 0}
        self._waiting: list[Document] = []
        self._shelf: list[Document] = []
        self._last_id = 0
        self._ms = 0
        self.elect(trader)

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    @property
    def posts(self) -> list[Document]:
        return [self.post]

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def wait(self, ms: int = 1) -> None:
        self._ms += ms

    def elect(self, trader: str) -> None:
        self.wait()
        term = self.post["term"] + 1
        self.post |= {"term": term, "trader": trader, "since": self._now()}
        self.elections.append(
            {
                "_id": term,
                "term": term,
                "algorithm": "bully",
                "reason": "crashed" if term > 1 else "start",
                "started_by": trader,
                "trader": trader,
                "messages": 6,
                "started_at": self._now(),
                "took_ms": 1.5,
            }
        )

    def deposit(self, seller: str, item: str, quantity: int, price: str, time: int) -> str:
        deposit_id = f"{seller}.d{self._next_id()}"
        document = {
            "_id": deposit_id,
            "seller": seller,
            "item": item,
            "price": Decimal(price),
            "quantity": quantity,
            "remaining": quantity,
            "clock": {"lamport": time},
            "order": sort_key(time, seller, deposit_id),
            "deposited_at": self._now(),
            "term": self.post["term"],
        }
        self.deposits[deposit_id] = document
        self._shelf.append(document)
        self._shelf.sort(key=lambda each: each["order"])
        self._journal(seller, "deposited", deposit=to_wire(document))
        return deposit_id

    def ask(self, buyer: str, item: str, quantity: int, time: int, vector: dict[str, int] | None = None) -> str:
        request_id = f"{buyer}.r{self._next_id()}"
        clock = {"vector": vector} if vector else {"lamport": time}
        document = {
            "_id": request_id,
            "buyer": buyer,
            "item": item,
            "quantity": quantity,
            "clock": clock,
            "order": sort_key(sum(vector.values()) if vector else time, buyer, request_id),
            "status": "queued",
            "queued_at": self._now(),
            "queued_term": self.post["term"],
            "arrival": len(self.requests) + 1,
        }
        asked = {"request_id": request_id, "buyer": buyer, "item": item, "quantity": quantity, "clock": clock}
        self._journal(buyer, "asked", request=asked)
        self.requests[request_id] = document
        self._waiting.append(document)
        return request_id

    def decide(self, most: int = 1000) -> None:
        """Decides what waits, lowest order first, all at one moment."""
        self._waiting.sort(key=lambda each: each["order"])
        batch, self._waiting = self._waiting[:most], self._waiting[most:]
        for request in batch:
            self._decide(request)

    def _decide(self, request: Document) -> None:
        trader = self.post["trader"]
        self.post["seq"] += 1
        request |= {
            "seq": self.post["seq"],
            "term": self.post["term"],
            "trader": trader,
            "decided_at": self._now(),
        }
        source = self._find(request, trader)
        if source is None:
            request |= {"status": "unavailable", "reason": "nobody has enough of it"}
        else:
            self._sell(request, source)
        self._journal(request["buyer"], "told", outcome=to_wire(request))

    def _find(self, request: Document, trader: str) -> Document | None:
        for source in self._shelf:
            if source["item"] != request["item"] or source["remaining"] < request["quantity"]:
                continue
            if trader != request["buyer"] and source["seller"] not in (trader, request["buyer"]):
                return source
        return None

    def _sell(self, request: Document, source: Document) -> None:
        source["remaining"] -= request["quantity"]
        if not source["remaining"]:
            self._shelf.remove(source)
        amount = source["price"] * request["quantity"]
        commission = (amount * RATE).quantize(Decimal("0.01"), ROUND_HALF_UP)
        request |= {
            "status": "sold",
            "seller": source["seller"],
            "deposit": source["_id"],
            "price": source["price"],
            "amount": amount,
            "commission": commission,
            "earned": amount - commission,
        }
        sale = {key: to_wire(request)[key] for key in ("seq", "term", "item", "quantity", "buyer", "price", "earned")}
        self._journal(source["seller"], "earned", sale={"request_id": request["_id"], **sale})

    def _journal(self, peer: str, kind: str, **payload: Document) -> None:
        self.journals.append({"at_ms": self._ms, "peer": peer, "kind": kind, **payload})

    def _now(self) -> datetime:
        return _MORNING + timedelta(milliseconds=self._ms)


class LogBuilder(Clerk):
    """A clerk that writes a log: what comes waits to be written until the next entry.

    `decide` writes an entry with the outcomes, the deposits that came, and the requests it had no room for; `queue`
    one with the requests that came; `flush` whatever is left to write; a trader takes office only after that. The
    documents in `requests` and `deposits` are the books at the end of the log; `books` gives those at other times.
    """

    def __init__(self, trader: str = "merchant8") -> None:
        self.log: list[Document] = []
        self._unwritten: dict[str, Document] = {}  # Requests that came in and are not in the log yet.
        self._came_in: dict[str, Document] = {}  # Deposits that came in and are not in the log yet.
        self._versions: dict[str, dict[str, list[Document]]] = {"requests": {}, "deposits": {}}
        self._posts: list[Document] = []
        super().__init__(trader)

    def elect(self, trader: str) -> None:
        self.flush()
        super().elect(trader)
        self._append("office", reason=self.elections[-1]["reason"])

    def deposit(self, seller: str, item: str, quantity: int, price: str, time: int) -> str:
        deposit_id = super().deposit(seller, item, quantity, price, time)
        self._came_in[deposit_id] = self.deposits[deposit_id]
        return deposit_id

    def ask(self, buyer: str, item: str, quantity: int, time: int, vector: dict[str, int] | None = None) -> str:
        request_id = super().ask(buyer, item, quantity, time, vector)
        self._unwritten[request_id] = self.requests[request_id]
        return request_id

    def queue(self) -> None:
        """Writes the requests that came since the last entry."""
        if self._unwritten:
            self._append("queue", queued=list(self._unwritten.values()))

    def decide(self, most: int = 1000) -> None:
        """Decides what waits, lowest order first, in one entry."""
        seq = self.post["seq"]
        super().decide(most)
        decided = [each for each in self.requests.values() if each.get("seq", 0) > seq]
        decided.sort(key=lambda each: each["seq"])
        gone = {each["_id"] for each in decided}
        queued = [each for each in self._unwritten.values() if each["_id"] not in gone]
        if decided or self._came_in:
            self._append("decide", decided=decided, deposits=list(self._came_in.values()), queued=queued)

    def flush(self) -> None:
        """Writes what came since the last entry, undecided."""
        if self._came_in:
            self._append("decide", deposits=list(self._came_in.values()), queued=list(self._unwritten.values()))
        self.queue()

    def books(
        self, made: int | None = None, pick: Callable[[Sequence[Document | None]], Document | None] | None = None
    ) -> dict[str, list[Document]]:
        """Gives books that are made up to the place `made` (by default the end; -1 for none at all).

        `pick` chooses, for each document, among its versions that may stand in such books, the oldest first; None
        among them says that it may not be there yet. By default the oldest is taken: making stopped at `made`.
        """
        self.flush()
        made = len(self.log) - 1 if made is None else made
        books: dict[str, list[Document]] = {"posts": [self._posts[made]] if made >= 0 else []}
        for name, records in self._versions.items():
            found = []
            for versions in records.values():
                due = [version for version in versions if version["at"] <= made]
                allowed = [due[-1] if due else None, *versions[len(due) :]]
                found.append(pick(allowed) if pick else allowed[0])
            books[name] = [each for each in found if each is not None]
        return deepcopy(books)

    def cut(self, places: int) -> None:
        """Takes the bodies of the first entries away."""
        for entry in self.log[:places]:
            for field in entry.keys() - {"_id", "new_requests", "new_deposits"}:
                del entry[field]
            entry["cut"] = True

    def versions(self, record_id: str) -> list[Document]:
        """Gives what that request or deposit was, after each entry that touched it."""
        kept = self._versions["deposits" if record_id in self.deposits else "requests"]
        return deepcopy(kept[record_id])

    def written(self, record_id: str) -> list[Document]:
        """Gives the documents of that request or deposit that stand in the log."""
        arrays = ("queued", "deposits", "decided")
        everything = (each for entry in self.log for array in arrays for each in entry.get(array, ()))
        return [each for each in everything if each["_id"] == record_id]

    def rewrite(self) -> None:
        """Brings faults that were planted in `requests` and `deposits` into the log, as if it had been so."""
        for record_id, record in (*self.requests.items(), *self.deposits.items()):
            for place, entry in enumerate(self.log):
                for array in ("queued", "deposits", "decided"):
                    if array != "deposits" and place != record["at"]:
                        continue
                    for number, each in enumerate(entry.get(array, ())):
                        if each["_id"] == record_id:
                            entry[array][number] = deepcopy(record)
                            if array == "deposits":
                                entry[array][number] |= {"remaining": record["quantity"], "at": place}

    def _append(self, kind: str, reason: str | None = None, **arrays: list[Document]) -> None:
        place = len(self.log)
        entry = {"_id": place, "entry": f"e{place}", "kind": kind, "term": self.post["term"]}
        entry |= {"trader": self.post["trader"], "written_at": self._now()}
        entry |= {"reason": reason} if reason else {}
        new_requests = [each["_id"] for array in ("decided", "queued") for each in arrays.get(array, ())]
        new = {"new_requests": [each for each in new_requests if each in self._unwritten]}
        new["new_deposits"] = [each["_id"] for each in arrays.get("deposits", ())]
        entry |= {field: ids for field, ids in new.items() if ids}
        changed = {each["_id"]: each for array in arrays.values() for each in array}
        for each in arrays.get("decided", ()):
            source = self.deposits.get(each.get("deposit", ""))
            changed |= {source["_id"]: source} if source else {}
        for each in changed.values():
            each["at"] = place
        entry |= {array: deepcopy(documents) for array, documents in arrays.items() if documents}
        for each in entry.get("deposits", ()):
            each["remaining"] = each["quantity"]
        for record_id, each in changed.items():
            kept = self._versions["deposits" if record_id in self.deposits else "requests"]
            kept.setdefault(record_id, []).append(deepcopy(each))
        arrivals = [each["arrival"] for record_id, each in changed.items() if record_id in self.requests]
        self.post |= {"arrival": max([self.post.get("arrival", 0), *arrivals]), "made": place}
        self._posts.append(deepcopy(self.post))
        self.log.append(entry)
        for record_id in changed:
            self._unwritten.pop(record_id, None)
            self._came_in.pop(record_id, None)


def small_books() -> Clerk:
    """Two terms, three sellers' goods, sales at once and out of the queue, and one request in vain.

    The requests: 1 and 2 decided at once in term 1; 3, 4, 5 wait together, come in against the order of their
    clocks, and see the trader fall; 6 comes later in term 2, in vain. Ids are given out in one
    series: `d1 … d4`, `r5 … r10`.
    """
    return _play_small(Clerk("merchant8"))


def small_log() -> LogBuilder:
    """The same with a log. Its places:

    0 office (term 1) · 1 the deposits, 1 decided · 2 2 decided · 3 3, 4, 5 queued · 4 office (term 2) · 5 5, 4, 3
    decided · 6 6 decided.
    """
    return _play_small(LogBuilder("merchant8"))


_Kind = TypeVar("_Kind", bound=Clerk)


def _play_small(clerk: _Kind) -> _Kind:
    clerk.deposit("seller3", "fish", 10, "7.20", 1)
    clerk.deposit("seller4", "fish", 9, "3.15", 2)
    clerk.deposit("seller4", "salt", 4, "1.13", 3)
    clerk.deposit("merchant9", "boar", 2, "99.99", 4)
    for time, buyer in ((5, "buyer0"), (6, "buyer1")):
        clerk.wait()
        clerk.ask(buyer, "fish", 2, time)
        clerk.decide()
    clerk.wait()
    clerk.ask("buyer0", "fish", 3, 12)
    clerk.wait()
    clerk.ask("buyer1", "salt", 3, 11)
    clerk.ask("buyer2", "fish", 4, 10)
    clerk.wait()
    clerk.elect("merchant9")
    clerk.wait()
    clerk.decide()
    clerk.wait()
    clerk.ask("buyer2", "boar", 1, 20)
    clerk.decide()
    return clerk
