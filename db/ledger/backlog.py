"""The changes that entries make in the books, in order, as far as they are still to be written; taken in rounds."""

from __future__ import annotations

from collections import deque

import msgspec
from bson import encode
from bson.raw_bson import RawBSONDocument

from db.schema.documents import request_document
from peers.core.ledger.port import MakeBooks
from peers.core.ledger.sizes import size_of
from peers.core.market.records import Accepted, Deposit, Outcome, Post

MOST_BYTES = 8 * 2**20
"""The most bytes in a round, unless one entry has more. A server takes six times as much in one message, and is to
have them written while somebody waits for it."""


class Changes(msgspec.Struct, frozen=True):
    """What one entry changed. `encoded` are its requests, in their order, as the books hold them."""

    made: MakeBooks
    encoded: tuple[RawBSONDocument, ...]

    @property
    def size(self) -> int:
        """How many documents it is about."""
        return len(self.encoded) + len(self.made.deposits)

    def bytes(self) -> int:
        """Returns how many bytes these have at most."""
        return sum(len(each.raw) for each in self.encoded) + sum(
            size_of(deposit.offer.clock) for deposit in self.made.deposits
        )


class Round(msgspec.Struct, kw_only=True):
    """The changes of the entries `first` to `last`, gathered: of each deposit only what became of it in the end."""

    first: int
    last: int
    post: Post
    # The id of the last entry.
    entry_id: str = ""
    # Requests that no entry had before.
    inserts: list[RawBSONDocument] = msgspec.field(default_factory=list)
    # Requests that replace an older document: id, place of the entry, document.
    replacements: list[tuple[str, int, RawBSONDocument]] = msgspec.field(default_factory=list)
    # By id, the deposits after the last entry that changed them, and its place.
    deposits: dict[str, tuple[int, Deposit]] = msgspec.field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many documents there are to write."""
        return len(self.inserts) + len(self.replacements) + len(self.deposits)

    def add(self, changes: Changes) -> None:
        """Takes in what the next entry changed."""
        made = changes.made
        new = frozenset(made.new_requests)
        for record, document in zip(made.requests, changes.encoded, strict=True):
            request_id = record.request.request_id
            if request_id in new:  # There is no older document of it, and a plain insert is half the work.
                self.inserts.append(document)
            else:
                self.replacements.append((request_id, made.place, document))
        for deposit in made.deposits:
            self.deposits[deposit.offer.deposit_id] = made.place, deposit
        self.last, self.post, self.entry_id = made.place, made.post, made.entry_id


def encode_requests(made: MakeBooks) -> tuple[RawBSONDocument, ...]:
    """The requests of an entry as the books hold them."""
    return tuple(encode_request(record, made.place) for record in made.requests)


def encode_request(record: Accepted | Outcome, at: int) -> RawBSONDocument:
    """One request as log and books hold it."""
    return RawBSONDocument(encode(request_document(record, at)))


class Backlog:
    """Changes that wait to be made, oldest first. Not thread-safe.

    With `by_term` each round is of one term. Below a majority the end of a term may be lost, so whether all of a
    round stands is seen by its last entry; that stands for those before it in its own term, and for no others.
    """

    def __init__(self, *, by_term: bool = False) -> None:
        self._by_term = by_term
        # Changes, and how many bytes their documents have at most: those of all are gone through only once.
        self._waiting: deque[tuple[Changes, int]] = deque()
        self.documents = 0
        """How many documents wait to be written."""
        self.bytes = 0
        """How many bytes these have at most."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, changes: Changes) -> None:
        """Adds what an entry changed: the one after the entry added last, or one that was added before."""
        in_bytes = changes.bytes()
        self._waiting.append((changes, in_bytes))
        self.documents += changes.size
        self.bytes += in_bytes

    def take(self, most: int, most_bytes: int = MOST_BYTES) -> Round:
        """Takes off the oldest changes: up to `most` documents of so many bytes, unless one entry has more. There
        must be some."""
        first, taken_bytes = self._waiting[0][0].made, 0
        gathered = Round(first=first.place, last=first.place, post=first.post)
        while self._waiting and gathered.size < most:
            changes, in_bytes = self._waiting[0]
            following = changes.made
            if following.place not in (gathered.last, gathered.last + 1):
                break  # A new term of the same peer begins again where the books were.
            if self._by_term and following.post.term != gathered.post.term:
                break
            if taken_bytes and taken_bytes + in_bytes > most_bytes:
                break
            self._waiting.popleft()
            taken_bytes += in_bytes
            self.documents -= changes.size
            self.bytes -= in_bytes
            gathered.add(changes)
        return gathered
