"""Mistakes in keeping the log, and in making and folding the books."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import msgspec

from db.ledger.memory import MemoryLedger
from peers.core.ledger.log import NOWHERE, OfficeEntry
from peers.core.ledger.port import Append, Appended, Loaded, MakeBooks, Taken
from peers.core.ledger.post_state import PostState, state_of
from peers.core.market.records import Outcome
from peers.core.trader import taking_office
from peers.core.trader.committer import Committer
from peers.core.trader.taking_office import TakingOffice
from peers.simulator.environment.ledger_road import LedgerRoad
from tests.simulation.planted.mistake import mistake


@mistake(4, 5)
def place_not_checked() -> Iterator[None]:
    """Who tries a place that is taken gets the next one."""
    append = MemoryLedger._append

    def unchecked(self: MemoryLedger, operation: Append) -> Any:
        standing = self.entry_at(operation.place)
        if standing is None or standing.entry_id == operation.entry.entry_id:
            return append(self, operation)
        return append(self, msgspec.structs.replace(operation, place=self.end + 1))

    with patch.object(MemoryLedger, "_append", unchecked):
        yield


@mistake(1, 4)
def ids_not_checked() -> Iterator[None]:
    """An id may come into the log a second time."""
    append = MemoryLedger._append

    def unchecked(self: MemoryLedger, operation: Append) -> Any:
        index = self.index
        requests, deposits = index.requests, index.deposits
        index.requests, index.deposits = {}, {}
        try:
            return append(self, operation)
        finally:
            index.requests, index.deposits = requests | index.requests, deposits | index.deposits

    with patch.object(MemoryLedger, "_append", unchecked):
        yield


@mistake(1, 3)
def retry_at_the_next_place() -> Iterator[None]:
    """An entry whose fate is unknown is tried again one place on."""
    on_timer = Committer.on_timer

    def hasty(self: Committer) -> None:
        if self._under_way is not None:
            self._under_way = msgspec.structs.replace(self._under_way, place=self._under_way.place + 1)
            self._place += 1
        on_timer(self)

    with patch.object(Committer, "on_timer", hasty):
        yield


@mistake(57, 240)
def read_from_the_primary_alone() -> Iterator[None]:
    """A candidate goes past an entry that a majority does not have."""
    apply = LedgerRoad._apply

    def local(self: LedgerRoad, operation: Any) -> Any:
        result = apply(self, operation)
        if isinstance(result, Loaded) and self._on_primary is not None:
            return msgspec.structs.replace(result, entries=(*result.entries, self._on_primary.entry))
        return result

    with patch.object(LedgerRoad, "_apply", local):
        yield


@mistake(32, 7)
def told_what_only_the_primary_has() -> Iterator[None]:
    """An entry counts as written as soon as one member has it."""
    lose_answer = LedgerRoad._lose_answer

    def early(self: LedgerRoad, operation: Append) -> Any:
        result = lose_answer(self, operation)
        return Appended() if self._on_primary is operation else result

    with patch.object(LedgerRoad, "_lose_answer", early):
        yield


@mistake(1, 2)
def term_not_raised() -> Iterator[None]:
    """A candidate does not look whether the term it wants to follow is still the last."""
    on_read = TakingOffice._on_read

    def blind(self: TakingOffice, result: Any) -> Any:
        after = self._after_term
        if isinstance(result, Loaded):
            self._after_term = state_of(result)[0].post.term
        before = on_read(self, result)
        self._after_term = after
        return before

    def same_term(self: PostState, entry: Any) -> MakeBooks:
        self.place += 1
        self.post = msgspec.structs.replace(self.post, term=entry.term, trader=entry.trader)
        return MakeBooks(place=self.place, requests=(), new_requests=(), deposits=(), post=self.post)

    def not_raised(**fields: Any) -> Any:
        return OfficeEntry(**{**fields, "term": max(1, fields["term"] - 1)})

    with (
        patch.object(TakingOffice, "_on_read", blind),
        patch.object(PostState, "_take_in_office", same_term),
        patch.object(taking_office, "OfficeEntry", not_raised),
    ):
        yield


@mistake(7, 16)
def anothers_entry_taken_for_ours() -> Iterator[None]:
    """A place that is taken is taken for our own success."""
    on_ledger = Committer.on_ledger

    def proud(self: Committer, operation: Any, result: Any) -> Any:
        return on_ledger(self, operation, Appended() if isinstance(result, Taken) else result)

    with patch.object(Committer, "on_ledger", proud):
        yield


@mistake(6, 31)
def books_made_without_guard() -> Iterator[None]:
    """What is made late replaces what is newer."""
    make = MemoryLedger.make

    def unguarded(self: MemoryLedger, changes: MakeBooks, *, post: bool = True) -> None:
        ids = {each.request.request_id for each in changes.requests}
        for request_id in ids & self._requests.keys():
            self._requests[request_id] = NOWHERE, self._requests[request_id][1]
        for deposit_id in {each.offer.deposit_id for each in changes.deposits} & self._deposits.keys():
            self._deposits[deposit_id] = NOWHERE, self._deposits[deposit_id][1]
        make(self, changes, post=post)

    with patch.object(MemoryLedger, "make", unguarded):
        yield


@mistake(183)
def made_is_said_too_early() -> Iterator[None]:
    """`posts` says that the books are made when only some documents are."""
    in_part = LedgerRoad._make_in_part

    def boastful(self: LedgerRoad, changes: MakeBooks) -> None:
        in_part(self, changes)
        if self.ledger._made == changes.place - 1:
            self.ledger._made, self.ledger._post = changes.place, changes.post

    with patch.object(LedgerRoad, "_make_in_part", boastful):
        yield


@mistake(3, 6)
def books_not_made_of_what_is_queued() -> Iterator[None]:
    """The trader has the books made of decisions only."""
    take_in = PostState.take_in

    def partly(self: PostState, entry: Any, *, torn: bool = False) -> MakeBooks:
        changes = take_in(self, entry, torn=torn)
        decided = tuple(each for each in changes.requests if isinstance(each, Outcome))
        return msgspec.structs.replace(changes, requests=decided)

    with patch.object(PostState, "take_in", partly):
        yield


@mistake(1, 2)
def fold_forgets_what_was_sold() -> Iterator[None]:
    """The state after an entry still holds the goods that it sold."""

    def forget(self: PostState, *_: Any) -> dict[str, Any]:
        del self
        return {}

    with patch.object(PostState, "_draw", forget):
        yield


@mistake(125)
def fold_draws_twice_from_newer_books() -> Iterator[None]:
    """A successor draws once more what the books have drawn already."""
    begin = PostState.__init__

    def careless(self: PostState, **given: Any) -> None:
        begin(self, **given)
        self._newer = {}

    with patch.object(PostState, "__init__", careless):
        yield


@mistake(3, 5)
def successor_trusts_the_books_alone() -> Iterator[None]:
    """A new trader goes to the end of the log without taking in what the books do not have yet."""

    def hasty(loaded: Loaded) -> Any:
        state, to_make = state_of(loaded)
        stale = PostState(place=state.place, post=state.post, queue=loaded.queue, stock=loaded.stock)
        return stale, to_make

    with patch.object(taking_office, "state_of", hasty):
        yield
