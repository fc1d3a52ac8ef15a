"""The state of a post: what its log adds up to. A fold, the same for trader, simulator, books and replays.

The state is small, whatever the log's length: the post itself, the requests that wait, the deposits that hold
something. Where several areas share the log, the state is that of all: a post and a queue for each, and one stock.
It may begin at the books, as far as they are made, instead of at the first entry. Some
documents of the books may be newer than that; these are left as they are until the log has caught up (`torn`).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from peers.core.ledger.log import NOWHERE, Entry, OfficeEntry, TradeEntry
from peers.core.ledger.port import Loaded, MakeBooks, StockedDeposit
from peers.core.market.records import Accepted, Deposit, Holder, Outcome, Post
from peers.core.market.stock import Stock

_NOBODY = ""
"""Stands for no area at all, where leases are concerned: who shares the log with nobody leases nothing."""


class UnsoundLog(ValueError):
    """The entry does not follow from the state before it: somebody else than our traders wrote to the log."""


class PostState:
    """The state after entry `place`; `post`, `queue` (by request id) and `stock` are to be read, and not changed."""

    def __init__(
        self,
        *,
        place: int = NOWHERE,
        post: Post | None = None,
        queue: Iterable[Accepted] = (),
        stock: Iterable[StockedDeposit] = (),
    ) -> None:
        stock = tuple(stock)
        self.place = place
        self.post = post or Post()
        self.queue = {accepted.request.request_id: accepted for accepted in queue}
        self.stock = Stock(each.deposit for each in stock)
        # Deposits of which the books already say more than the log up to `place`.
        self._newer = {each.deposit.offer.deposit_id: each.at for each in stock if each.at > place}

    def queue_of(self, area: str) -> list[Accepted]:
        """Returns the requests that wait at the post of one area."""
        return [accepted for accepted in self.queue.values() if accepted.area == area]

    def take_in(self, entry: Entry, *, torn: bool = False) -> MakeBooks:
        """Goes one entry further; returns what that changes in the books.

        With `torn` the state began at books that may be newer in part than they say, and may hold the entry already.
        Raises UnsoundLog where the entry cannot follow.
        """
        if isinstance(entry, OfficeEntry):
            return self._take_in_office(entry)
        post = self.post.of(entry.area)
        if (entry.term, entry.trader) != (post.term, post.trader):
            raise UnsoundLog(f"{entry.trader} is not in office for term {entry.term} at place {self.place + 1}")
        self.place += 1
        touched: dict[str, None] = {}
        for deposit in entry.deposits:
            if self._newer.get(deposit.offer.deposit_id, NOWHERE) < self.place:
                self.stock.add(deposit)
                touched[deposit.offer.deposit_id] = None
        emptied = self._recount(entry, torn, touched) if entry.recounts else {}
        drained = emptied | self._draw(entry, torn, touched)
        self._lease(entry, torn, touched)
        for outcome in entry.outcomes:
            self.queue.pop(outcome.request.request_id, None)
        self.queue.update((accepted.request.request_id, accepted) for accepted in entry.queued)
        self.post = self._post_after(entry)
        deposits = (drained.get(deposit_id) or self.stock.get(deposit_id) for deposit_id in touched)
        return MakeBooks(
            place=self.place,
            entry_id=entry.entry_id,
            requests=(*entry.outcomes, *entry.queued, *entry.reversals),
            new_requests=entry.new_requests,
            deposits=tuple(deposit for deposit in deposits if deposit is not None),
            post=self.post,
        )

    def _take_in_office(self, entry: OfficeEntry) -> MakeBooks:
        term = self.post.of(entry.area).term
        if entry.term != term + 1:
            raise UnsoundLog(f"term {entry.term} at place {self.place + 1} comes after term {term}")
        self.place += 1
        self.post = held_after(self.post, (entry,))
        freed = self._release(entry.area) if entry.area else ()
        return MakeBooks(
            place=self.place, entry_id=entry.entry_id, requests=(), new_requests=(), deposits=freed, post=self.post
        )

    def _recount(self, entry: TradeEntry, torn: bool, touched: dict[str, None]) -> dict[str, Deposit]:
        """Puts deposits at what they were counted at; returns those that hold nothing any more."""
        emptied: dict[str, Deposit] = {}
        for recount in entry.recounts:
            deposit = recount.deposit
            deposit_id = deposit.offer.deposit_id
            if self._newer.get(deposit_id, NOWHERE) >= self.place:
                continue
            known = self.stock.get(deposit_id)
            left = 0 if known is None else known.remaining
            is_certain = known is not None or not torn  # Books that are newer may have emptied it already.
            if is_certain and left + recount.returned - recount.written_off != deposit.remaining:
                raise UnsoundLog(
                    f"{deposit_id} is counted at {deposit.remaining} at place {self.place}, out of {left}"
                )
            touched[deposit_id] = None
            self.stock.recount(deposit)
            if not deposit.remaining:
                emptied[deposit_id] = deposit
        return emptied

    def _draw(self, entry: TradeEntry, torn: bool, touched: dict[str, None]) -> dict[str, Deposit]:
        """Takes what was sold out of the stock; returns the deposits that hold nothing any more."""
        drained: dict[str, Deposit] = {}
        for outcome in entry.outcomes:
            sale, quantity = outcome.sale, outcome.request.quantity
            if sale is None or self._newer.get(sale.deposit, NOWHERE) >= self.place:
                continue
            deposit = self.stock.get(sale.deposit)
            if deposit is None and torn:
                continue  # The books have this sale already, and nothing was left of the deposit.
            leased_to = self._lease_to_draw_on(deposit, outcome) if deposit is not None else None
            if deposit is None or deposit.remaining < quantity or leased_to == _NOBODY:
                raise UnsoundLog(f"{quantity} cannot be sold out of {sale.deposit} at place {self.place}")
            touched[sale.deposit] = None
            self.stock.take(deposit, quantity, leased_to)
            if deposit.remaining == quantity:
                drained[sale.deposit] = msgspec.structs.replace(deposit, remaining=0, leases=())
        return drained

    def _lease_to_draw_on(self, deposit: Deposit, outcome: Outcome) -> str | None:
        """Returns the area whose lease a sale draws on: None if it need not, `_NOBODY` if it must and may not."""
        deposit_id, quantity, area = deposit.offer.deposit_id, outcome.request.quantity, outcome.accepted.area
        if deposit.remaining - self.stock.leased(deposit_id) >= quantity:
            return None
        may_draw = outcome.foretold == "promised" and self.stock.leased(deposit_id, area) >= quantity
        return area if may_draw else _NOBODY

    def _lease(self, entry: TradeEntry, torn: bool, touched: dict[str, None]) -> None:
        """Sets goods aside for the area of the entry's writer, or gives them back."""
        for leasing in entry.leases:
            if self._newer.get(leasing.deposit, NOWHERE) >= self.place:
                continue
            deposit = self.stock.get(leasing.deposit)
            if deposit is None and torn:
                continue  # The books have it already, and nothing was left of the deposit.
            others = self.stock.leased(leasing.deposit) - self.stock.leased(leasing.deposit, entry.area)
            if deposit is None or others + leasing.units > deposit.remaining:
                raise UnsoundLog(f"{leasing.units} of {leasing.deposit} cannot be leased at place {self.place}")
            touched[leasing.deposit] = None
            self.stock.lease(leasing.deposit, entry.area, leasing.units)

    def _release(self, area: str) -> tuple[Deposit, ...]:
        """What was leased to an area is free again, for it has another trader; returns the deposits that it is of."""
        freed = [each for each in self.stock.leased_to(area) if self._newer.get(each, NOWHERE) < self.place]
        for deposit_id in freed:
            self.stock.lease(deposit_id, area, 0)
        return tuple(deposit for deposit in map(self.stock.get, freed) if deposit is not None)

    def _post_after(self, entry: TradeEntry) -> Post:
        seq, arrival, reversals = self.post.seq, self.post.arrival, self.post.reversals
        if entry.outcomes:
            seq = entry.outcomes[-1].seq
            if (entry.outcomes[0].seq, seq) != (self.post.seq + 1, self.post.seq + len(entry.outcomes)):
                raise UnsoundLog(f"the decisions at place {self.place} are not numbered on from {self.post.seq}")
            arrival = max(arrival, *(outcome.accepted.arrival for outcome in entry.outcomes))
        if entry.queued:
            arrival = max(arrival, *(accepted.arrival for accepted in entry.queued))
        for number, outcome in enumerate(entry.reversals, start=reversals + 1):
            if outcome.taken_back is None or outcome.taken_back.number != number:
                raise UnsoundLog(f"the reversals at place {self.place} are not numbered on from {reversals}")
        reversals += len(entry.reversals)
        post = msgspec.structs.replace(self.post, seq=seq, arrival=arrival, reversals=reversals)
        holder = post.holder(entry.area)
        if holder is None:
            return post
        return post.held(msgspec.structs.replace(holder, written_at_ms=entry.written_at_ms))


def held_after(post: Post, entries: Iterable[Entry]) -> Post:
    """Returns who holds `post` after these entries of the log, which come after it; nothing else of it changes."""
    for entry in entries:
        if not isinstance(entry, OfficeEntry):
            continue
        if entry.area:
            holder = Holder(
                area=entry.area,
                term=entry.term,
                trader=entry.trader,
                since_ms=entry.written_at_ms,
                uri=entry.uri,
                written_at_ms=entry.written_at_ms,
            )
            post = post.held(holder)
        else:
            post = msgspec.structs.replace(
                post, term=entry.term, trader=entry.trader, since_ms=entry.written_at_ms, uri=entry.uri
            )
    return post


def state_of(loaded: Loaded) -> tuple[PostState, tuple[MakeBooks, ...]]:
    """Returns the state at the end of the log that was loaded, and what is still to be made of the books.

    Raises UnsoundLog where the entries do not follow from the books.
    """
    state = PostState(place=loaded.made, post=loaded.post, queue=loaded.queue, stock=loaded.stock)
    return state, tuple(state.take_in(entry, torn=True) for entry in loaded.entries)
