"""A stream whose next document is seen before it is taken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from db.audit.rows import Document


class Ahead:
    """A stream of documents of which the next one can be seen before it is taken."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._documents = iter(documents)
        self.head: Document | None = next(self._documents, None)

    @property
    def over(self) -> bool:
        return self.head is None

    def take(self) -> Document:
        """Gives the head; only while there is one."""
        assert self.head is not None
        taken, self.head = self.head, next(self._documents, None)
        return taken

    def put_back(self, documents: list[Document]) -> None:
        """Has these come again, before all others."""
        if documents:
            rest = () if self.head is None else (self.head,)
            self._documents = chain(documents[1:], rest, self._documents)
            self.head = documents[0]

    def __iter__(self) -> Iterator[Document]:
        while self.head is not None:
            yield self.take()
