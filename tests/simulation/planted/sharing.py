"""Mistakes of traders who share the log with those of other areas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from unittest.mock import patch

import msgspec

from peers.core.customers.buyer import Buyer
from peers.core.leadership.fellows import Fellows
from peers.core.ledger.log import Entry, OfficeEntry
from peers.core.ledger.port import Appended, Taken
from peers.core.ledger.post_state import PostState
from peers.core.market import rules
from peers.core.market.records import Holder, Post
from peers.core.market.stock import Draft
from peers.core.trader import drafting
from peers.core.trader.committer import Committer
from peers.core.trader.others import OthersEntries
from peers.core.trader.seat import Seat
from peers.core.trader.taking_office import Won
from tests.simulation.planted.mistake import mistake

AREAS = ("north", "south")


@mistake(1, 2, areas=AREAS)
def others_entries_ignored() -> Iterator[None]:
    """A trader goes past the entries of other areas without taking them in."""

    def blind(self: OthersEntries, entries: Iterable[Entry]) -> int:
        for entry in entries:
            self._state.place += 1
            if isinstance(entry, OfficeEntry):
                self._state.place -= 1
                self._state.take_in(entry)
        return self._state.post.arrival

    with patch.object(OthersEntries, "take_in", blind):
        yield


@mistake(1, 2, areas=AREAS)
def arrival_not_numbered_on() -> Iterator[None]:
    """What is pending keeps the numbers that another trader has given out meanwhile."""
    take_in = OthersEntries.take_in

    def stubborn(self: OthersEntries, entries: Iterable[Entry]) -> int:
        before = [(pending, pending.accepted) for pending in self._pending.not_queued()]
        latest = take_in(self, entries)
        for pending, accepted in before:
            pending.accepted = accepted
        return latest - len(before)

    with patch.object(OthersEntries, "take_in", stubborn):
        yield


@mistake(1, 2, areas=AREAS)
def anothers_entry_taken_for_ours_over_areas() -> Iterator[None]:
    """A place that another area has taken is taken for our own success."""
    on_ledger = Committer.on_ledger

    def proud(self: Committer, operation: Any, result: Any) -> Any:
        others = isinstance(result, Taken) and result.entry is not None and result.entry.area != self._seat.area
        return on_ledger(self, operation, Appended() if others else result)

    with patch.object(Committer, "on_ledger", proud):
        yield


@mistake(1, 2, areas=AREAS)
def takeover_without_office_entry() -> Iterator[None]:
    """A fellow serves the area of one who is gone at once, without taking office for it in the log."""

    def at_once(self: Fellows, holder: Holder, reason: Any) -> None:
        del reason
        own = self._incumbency._term
        if own is None or self._term is not None or not self._known_as(holder).contacts:
            return
        self._seat = Seat(holder.area, stands_in=True)
        before = own._state
        state = PostState(place=before.place, post=before.post, queue=before.queue.values())
        state.stock = before.stock
        held = msgspec.structs.replace(holder, term=holder.term + 1, trader=self._ctx.name)
        state.post = state.post.held(held)
        self._begin(Won(state, (), state.post.of(holder.area), 0.0))

    with patch.object(Fellows, "_take_over", at_once):
        yield


@mistake(2, 1, areas=AREAS)
def fellows_goods_are_sold() -> Iterator[None]:
    """A trader sells what the trader of another area has deposited, and sells to it."""
    decide = rules.decide

    def partial(*given: Any, **fields: Any) -> Any:
        return decide(*given, **{**fields, "fellows": ()})

    with patch.object(drafting, "decide", partial):
        yield


@mistake(1, 2, areas=AREAS)
def one_post_for_all_areas() -> Iterator[None]:
    """Who takes office in one area counts as trader of all: terms are counted over the whole log."""
    of = Post.of

    def common(self: Post, area: str) -> Post:
        latest = max(self.areas, key=lambda holder: holder.term, default=None)
        if not area or latest is None:
            return of(self, area)
        return msgspec.structs.replace(self, term=latest.term, trader=latest.trader, since_ms=latest.since_ms)

    with patch.object(Post, "of", common):
        yield


@mistake(1, 2, areas=AREAS, changes=("market.cache=ttl",))
def early_refusal_unmarked() -> Iterator[None]:
    """What a cache refused is recorded as if the warehouse had been asked."""
    decide = rules.decide

    def silent(*given: Any, **fields: Any) -> Any:
        outcome = decide(*given, **fields)
        return msgspec.structs.replace(outcome, foretold=None) if outcome.foretold == "refused" else outcome

    with patch.object(drafting, "decide", silent):
        yield


@mistake(1, 2, areas=AREAS, changes=("market.cache=ttl",))
def broken_promise_not_told() -> Iterator[None]:
    """A buyer takes what it was promised for sold, and says nothing when it is not."""
    on_outcome = Buyer._on_outcome

    def trusting(self: Buyer, outcome: Any) -> None:
        promised, self._promised = self._promised, ""
        on_outcome(self, outcome)
        self._promised = promised

    with patch.object(Buyer, "_on_outcome", trusting):
        yield


@mistake(1, 2, areas=AREAS, changes=("market.cache=ttl",))
def promise_taken_for_a_sale() -> Iterator[None]:
    """What a cache promises is sold, whatever the warehouse says."""
    find = Draft.find

    def generous(self: Draft, item: str, quantity: int, excluded: tuple[str, ...], *more: Any) -> Any:
        del more
        return find(self, item, quantity, excluded) or find(self, item, 0, excluded)

    with patch.object(Draft, "find", generous):
        yield


@mistake(1, 2, areas=AREAS, changes=("market.cache=lease",))
def lease_spent_twice() -> Iterator[None]:
    """What is set aside for the trader of one area is sold by that of another as well."""

    def whole(*_: Any) -> int:
        return 0

    def allowed(self: PostState, *_: Any) -> None:
        del self

    with patch.object(Draft, "_reserved", whole), patch.object(PostState, "_lease_to_draw_on", allowed):
        yield


@mistake(1, 2, areas=AREAS, changes=("market.cache=lease",))
def lease_outlives_its_trader() -> Iterator[None]:
    """A successor goes on with what was set aside for its predecessor."""

    def kept(self: PostState, area: str) -> tuple[Any, ...]:
        del self, area
        return ()

    with patch.object(PostState, "_release", kept):
        yield
