"""The fold: what a log adds up to, from its first entry or from books that are made in part; and what it refuses."""

from __future__ import annotations

from typing import TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peers.core.ledger.log import NOWHERE, Entry
from peers.core.ledger.port import Loaded, MakeBooks, StockedDeposit
from peers.core.ledger.post_state import PostState, UnsoundLog, state_of
from peers.core.market.records import Accepted, Deposit, Outcome, Post
from tests.helpers.deals import TRADER, accepted, office, sold, stock, trade, unavailable
from tests.helpers.log_trader import summary

R = TypeVar("R", bound=Accepted | Outcome | Deposit)

Versions = dict[str, list[tuple[int, R]]]
"""By id: what its document in the books becomes, and at which places of the log."""


class History:
    """A sound log, and what stands in the books after each entry, worked out without the fold."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.posts: list[Post] = []
        self.requests: Versions[Accepted | Outcome] = {}
        self.deposits: Versions[Deposit] = {}

    @property
    def end(self) -> int:
        return len(self.entries) - 1

    @property
    def post(self) -> Post:
        return self.posts[-1] if self.posts else Post()

    def post_after(self, place: int) -> Post:
        return self.posts[place] if place != NOWHERE else Post()

    def waiting(self) -> list[Accepted]:
        records = [versions[-1][1] for versions in self.requests.values()]
        return [record for record in records if isinstance(record, Accepted)]

    def left(self) -> list[Deposit]:
        return [versions[-1][1] for versions in self.deposits.values()]

    def take_office(self, trader: str) -> None:
        entry = office(self.post.term + 1, trader)
        self.posts.append(
            msgspec.structs.replace(self.post, term=entry.term, trader=trader, since_ms=entry.written_at_ms)
        )
        self.entries.append(entry)

    def trade(self, deposits: list[Deposit], outcomes: list[Outcome], queued: list[Accepted]) -> None:
        place, post = len(self.entries), self.post
        entry = trade(
            *outcomes,
            deposits=tuple(deposits),
            queued=tuple(queued),
            known=tuple(self.requests),
            term=post.term,
            trader=post.trader or "",
        )
        left = {each.offer.deposit_id: each for each in (*self.left(), *deposits)}
        changed = {each.offer.deposit_id for each in deposits}
        for outcome in outcomes:
            if outcome.sale is not None:
                source = left[outcome.sale.deposit]
                rest = source.remaining - outcome.request.quantity
                left[outcome.sale.deposit] = msgspec.structs.replace(source, remaining=rest)
                changed.add(outcome.sale.deposit)
        for deposit_id in changed:
            self.deposits.setdefault(deposit_id, []).append((place, left[deposit_id]))
        recorded: list[Accepted | Outcome] = [*outcomes, *queued]
        for record in recorded:
            self.requests.setdefault(record.request.request_id, []).append((place, record))
        arrivals = [outcome.accepted.arrival for outcome in outcomes] + [each.arrival for each in queued]
        self.posts.append(
            msgspec.structs.replace(post, seq=post.seq + len(outcomes), arrival=max([post.arrival, *arrivals]))
        )
        self.entries.append(entry)

    def changes(self, place: int) -> MakeBooks:
        """What the entry at `place` changes in the books."""
        requests = [
            (versions, record) for versions in self.requests.values() for at, record in versions if at == place
        ]
        decided = [record for _, record in requests if isinstance(record, Outcome)]
        return MakeBooks(
            place=place,
            entry_id=self.entries[place].entry_id,
            requests=(
                *sorted(decided, key=lambda outcome: outcome.seq),
                *(record for _, record in requests if isinstance(record, Accepted)),
            ),
            new_requests=tuple(
                sorted(versions[0][1].request.request_id for versions, _ in requests if versions[0][0] == place)
            ),
            deposits=tuple(deposit for versions in self.deposits.values() for at, deposit in versions if at == place),
            post=self.posts[place],
        )


@st.composite
def histories(draw: st.DrawFn) -> History:
    """A log of some terms, with goods that run out, and requests that wait for a while, or do not."""
    history = History()
    arrivals = st.integers(1, 40)  # What arrived first is not always recorded first.
    history.take_office("merchant7")
    for place in range(1, draw(st.integers(1, 12))):
        if draw(st.integers(0, 4)) == 0:
            history.take_office(draw(st.sampled_from(["merchant7", "merchant8"])))
            continue
        term, trader = history.post.term, history.post.trader or ""
        coming = draw(st.lists(st.integers(1, 4), max_size=2))
        deposits = [stock(f"d{place}-{i}", quantity, term=term) for i, quantity in enumerate(coming)]
        waiting = history.waiting()
        asked = draw(st.lists(st.sampled_from(waiting), max_size=2, unique_by=id)) if waiting else []
        number = len(history.requests)
        for quantity in draw(st.lists(st.integers(1, 3), max_size=2)):
            number += 1
            asked.append(accepted(number, term=term, quantity=quantity, arrival=draw(arrivals)))
        left = {each.offer.deposit_id: each.remaining for each in (*history.left(), *deposits)}
        goods = {each.offer.deposit_id: each for each in (*history.left(), *deposits)}
        outcomes: list[Outcome] = []
        for seq, wish in enumerate(asked, history.post.seq + 1):
            enough = [deposit_id for deposit_id, rest in left.items() if rest >= wish.request.quantity]
            source = draw(st.sampled_from([*enough, None]))
            if source is None:
                outcomes.append(unavailable(wish, seq, term=term, trader=trader))
            else:
                left[source] -= wish.request.quantity
                outcomes.append(sold(wish, seq, goods[source], term=term, trader=trader))
        later = range(number + 1, number + 1 + draw(st.integers(0, 2)))
        queued = [accepted(each, term=term, arrival=draw(arrivals)) for each in later]
        history.trade(deposits, outcomes, queued)
    return history


def in_one_order(changes: MakeBooks) -> MakeBooks:
    """The same, with whatever comes in no order of its own sorted."""
    return msgspec.structs.replace(
        changes,
        new_requests=tuple(sorted(changes.new_requests)),
        deposits=tuple(sorted(changes.deposits, key=lambda deposit: deposit.offer.deposit_id)),
    )


# -- from the first entry ----------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(histories())
def test_a_log_adds_up_to_what_was_written(history: History) -> None:
    state = PostState()
    for place, entry in enumerate(history.entries):
        assert in_one_order(state.take_in(entry)) == in_one_order(history.changes(place))
        assert (state.place, state.post) == (place, history.posts[place])
    left = [each for each in history.left() if each.remaining]
    assert summary(state) == {
        "place": history.end,
        "post": history.post,
        "queue": sorted(history.waiting(), key=lambda each: each.request.sort_key),
        "stock": tuple(sorted(left, key=lambda each: each.offer.sort_key)),
    }


def test_of_a_request_that_waited_the_log_has_seen_the_id_before() -> None:
    state = PostState()
    state.take_in(office())
    assert state.take_in(trade(queued=(accepted(1), accepted(2)))).new_requests == ("r1", "r2")
    decided = unavailable(accepted(1), 1), unavailable(accepted(3), 2)
    made = state.take_in(trade(*decided, known=("r1",)))
    assert (made.requests, made.new_requests) == (decided, ("r3",))
    assert list(state.queue) == ["r2"]


def test_a_deposit_that_runs_out_is_said_to_be_empty_once() -> None:
    state, fish = PostState(), stock("d1", 3)
    state.take_in(office())
    state.take_in(trade(deposits=(fish,)))
    made = state.take_in(trade(sold(accepted(1, quantity=2), 1, fish)))
    assert made.deposits == (msgspec.structs.replace(fish, remaining=1),)
    assert state.take_in(trade(unavailable(accepted(2, quantity=2), 2))).deposits == ()
    assert state.take_in(trade(sold(accepted(3), 3, fish))).deposits == (msgspec.structs.replace(fish, remaining=0),)
    assert state.stock.on_offer() == ()


def test_what_comes_in_and_is_sold_in_one_entry_is_one_change() -> None:
    state, fish, salt = PostState(), stock("d1", 3), stock("d2", 2)
    state.take_in(office())
    made = state.take_in(
        trade(sold(accepted(1), 1, fish), sold(accepted(2, quantity=2), 2, salt), deposits=(fish, salt))
    )
    assert made.deposits == (
        msgspec.structs.replace(fish, remaining=2),
        msgspec.structs.replace(salt, remaining=0),
    )


# -- from books that are made in part ----------------------------------------------------------------------


class Books:
    """Books that say they are made up to `made`, with each document as some entry from there on has left it."""

    def __init__(self, history: History, made: int, data: st.DataObject) -> None:
        self._history = history
        self._made = made
        self.requests = self._torn(history.requests, data)
        self.deposits = self._torn(history.deposits, data)

    def _torn(self, versions: Versions[R], data: st.DataObject) -> dict[str, tuple[int, R]]:
        found: dict[str, tuple[int, R]] = {}
        for record_id, documents in versions.items():
            upto = data.draw(st.integers(self._made, self._history.end), label=f"{record_id} as of")
            there = [document for document in documents if document[0] <= upto]
            if there:
                found[record_id] = there[-1]
        return found

    def loaded(self) -> Loaded:
        return Loaded(
            made=self._made,
            post=self._history.post_after(self._made),
            queue=tuple(record for _, record in self.requests.values() if isinstance(record, Accepted)),
            stock=tuple(StockedDeposit(deposit=each, at=at) for at, each in self.deposits.values() if each.remaining),
            entries=tuple(self._history.entries[self._made + 1 :]),
        )

    def make(self, changes: MakeBooks) -> None:
        """Replaces what is older than the entry, and only that."""
        for record in changes.requests:
            request_id = record.request.request_id
            if self.requests.get(request_id, (NOWHERE,))[0] < changes.place:
                self.requests[request_id] = changes.place, record
        for deposit in changes.deposits:
            deposit_id = deposit.offer.deposit_id
            if self.deposits.get(deposit_id, (NOWHERE,))[0] < changes.place:
                self.deposits[deposit_id] = changes.place, deposit


@settings(max_examples=300, deadline=None)
@given(histories(), st.data())
def test_wherever_the_books_are_and_however_torn_it_adds_up_to_the_same(
    history: History, data: st.DataObject
) -> None:
    whole = PostState()
    for entry in history.entries:
        whole.take_in(entry)
    made = data.draw(st.integers(NOWHERE, history.end), label="made")
    books = Books(history, made, data)
    state, to_make = state_of(books.loaded())
    assert summary(state) == summary(whole)
    assert [changes.place for changes in to_make] == list(range(made + 1, history.end + 1))
    assert [changes.post for changes in to_make] == history.posts[made + 1 :]
    for changes in to_make:
        books.make(changes)
    assert books.requests == {request_id: versions[-1] for request_id, versions in history.requests.items()}
    assert books.deposits == {deposit_id: versions[-1] for deposit_id, versions in history.deposits.items()}


@settings(max_examples=100, deadline=None)
@given(histories(), st.data())
def test_what_begins_at_torn_books_goes_on_like_any_other(history: History, data: st.DataObject) -> None:
    """The successor's own entries change what they would change after a log that was read from its start."""
    whole = PostState()
    for entry in history.entries:
        whole.take_in(entry)
    made = data.draw(st.integers(NOWHERE, history.end), label="made")
    state, _ = state_of(Books(history, made, data).loaded())
    term = whole.post.term + 1
    goods, queue = whole.stock.on_offer(), tuple(whole.queue)
    request = accepted(1000, term=term)
    outcome = sold(request, whole.post.seq + 1, goods[0], term=term) if goods else unavailable(request, 1, term=term)
    outcomes = (msgspec.structs.replace(outcome, seq=whole.post.seq + 1),)
    for entry in (office(term), trade(*outcomes, deposits=(stock("new", 2, term=term),), known=queue, term=term)):
        assert in_one_order(state.take_in(entry)) == in_one_order(whole.take_in(entry))
    assert summary(state) == summary(whole)


# -- what cannot follow ------------------------------------------------------------------------------------

FISH = stock("d1", 3)
GONE = stock("d2", 1)
BEFORE = (office(), trade(sold(accepted(1), 1, GONE), deposits=(FISH, GONE)))
"""merchant9 is in office for term 1, has decided once, and holds three fish."""

UNSOUND: dict[str, Entry] = {
    "a term is left out": office(3, "merchant8"),
    "a term comes again": office(1, "merchant8"),
    "another term's decisions": trade(unavailable(accepted(2), 2), term=2),
    "an earlier term's decisions": trade(unavailable(accepted(2), 2), term=0),
    "another trader's decisions": trade(unavailable(accepted(2), 2), trader="merchant8"),
    "another trader's queue": trade(queued=(accepted(2),), trader="merchant8"),
    "a number is left out": trade(unavailable(accepted(2), 3)),
    "a number comes again": trade(unavailable(accepted(2), 1)),
    "numbers are left out within": trade(unavailable(accepted(2), 2), unavailable(accepted(3), 4)),
    "the numbers do not begin where they should": trade(unavailable(accepted(2), 3), unavailable(accepted(3), 3)),
    "more is sold than there is": trade(sold(accepted(2, quantity=4), 2, FISH)),
    "more is sold than there is, in two parts": trade(
        sold(accepted(2, quantity=2), 2, FISH), sold(accepted(3, quantity=2), 3, FISH)
    ),
}

NOT_THERE: dict[str, Entry] = {
    "what is sold out is sold": trade(sold(accepted(2), 2, GONE)),
    "what never came in is sold": trade(sold(accepted(2), 2, stock("d9", 1))),
}


@pytest.mark.parametrize("entry", [*UNSOUND.values(), *NOT_THERE.values()], ids=[*UNSOUND, *NOT_THERE])
def test_an_entry_that_cannot_follow_is_refused(entry: Entry) -> None:
    state = PostState()
    for each in BEFORE:
        state.take_in(each)
    with pytest.raises(UnsoundLog, match=r"at place 2|not numbered on from 1|after term 1"):
        state.take_in(entry)


@pytest.mark.parametrize("entry", UNSOUND.values(), ids=UNSOUND)
def test_a_log_that_is_not_sound_is_not_loaded(entry: Entry) -> None:
    """Of what is not there the books may know that it was sold; of the rest they cannot."""
    with pytest.raises(UnsoundLog):
        state_of(Loaded(made=NOWHERE, post=Post(), queue=(), stock=(), entries=(*BEFORE, entry)))
    made = Loaded(
        made=1,
        post=Post(term=1, trader=TRADER, seq=1, arrival=1),
        queue=(),
        stock=(StockedDeposit(deposit=FISH, at=1),),
        entries=(entry,),
    )
    with pytest.raises(UnsoundLog):
        state_of(made)


def test_nobody_trades_before_somebody_is_in_office() -> None:
    with pytest.raises(UnsoundLog, match="not in office"):
        PostState().take_in(trade(unavailable(accepted(1), 1)))
    with pytest.raises(UnsoundLog, match="term 2"):
        PostState().take_in(office(2))
