"""What one customer has asked for and not heard of, so that to ask again is to ask for the same and not for more."""

from __future__ import annotations

from typing import Literal

from peers.customer.record import AskedFor, AskedRecord
from peers.errors import BadRequest
from peers.rpc.forms.public_form import Document


class Unheard:
    """With a `record` it survives the process. Without one it is in memory, and only what has an id that the user
    chose: nobody can ask again for what has an id that nobody knows."""

    def __init__(self, record: AskedRecord | None) -> None:
        self._record = record
        self._chosen: dict[str, AskedFor] = {}

    @property
    def kept(self) -> list[AskedFor]:
        """All that is in the record, the oldest first; nothing without one."""
        return self._record.unanswered if self._record is not None else []

    def same(
        self, method: Literal["buy", "deposit"], argument: Document, *, town: str, area: str, chosen: bool
    ) -> AskedFor | None:
        """Returns the request of this id as it was first sent, if it was and is unheard of. Its clock is not
        compared: each new request has a later one, and with that it would be another. An id not `chosen` is new.

        BadRequest if the id stands for something else; what it stands for stays as it is."""
        if not chosen:
            return None
        field = "request_id" if method == "buy" else "deposit_id"
        known = self._chosen if self._record is None else {each.id: each for each in self.kept}
        found = known.get(argument[field])
        if found is None:
            return None
        if (found.method, found.town, found.area) != (method, town, area):
            raise BadRequest(field=field, why="stands for something else that was asked for and not answered")
        if {**found.argument, "clock": None} != {**argument, "clock": None}:
            raise BadRequest(field=field, why="was used before with other contents, and not answered")
        return found

    def begin(self, asked: AskedFor, *, chosen: bool) -> None:
        """Keeps what is about to be sent. TownError if it cannot be kept where it should be: it must not be sent."""
        if self._record is not None:
            self._record.asked(asked)
        elif chosen:
            self._chosen[asked.id] = asked

    def settled(self, asked: AskedFor, outcome: Document | None = None) -> None:
        """Nobody waits for that any more; `outcome`: what was told of a purchase. That is so though it may be written
        down later."""
        self._chosen.pop(asked.id, None)
        if self._record is not None:
            self._record.settled(asked.id, outcome)
