"""The backlog: entries' changes, taken off in rounds that leave the books as one entry after the other would."""

from __future__ import annotations

import msgspec
import pytest
from bson import decode
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from hypothesis import given, settings
from hypothesis import strategies as st

from db.ledger.backlog import Backlog, Changes, Round, encode_request, encode_requests
from db.ledger.memory import MemoryLedger
from db.schema.documents import deposit_from, request_document, request_from
from db.schema.forms import Document
from peers.core.ledger.log import NOWHERE
from peers.core.ledger.port import Load, Loaded, MakeBooks
from peers.core.ledger.post_state import PostState
from peers.core.market.records import Accepted, Deposit, Outcome
from tests.helpers.deals import accepted, stock
from tests.helpers.log_trader import LogTrader, trade_a_while

ALL = 1_000_000
AWARE = CodecOptions[Document](tz_aware=True)


def new_trader() -> LogTrader:
    """In office, of an empty ledger in memory; nothing is made of the books."""
    return LogTrader(MemoryLedger(), makes_books=False).take_office()


def trade_for_two_terms() -> LogTrader:
    trader = new_trader()
    number = trade_a_while(trader, 12)
    trade_a_while(trader.take_office(), 12, number)
    return trader


def changes_of(trader: LogTrader) -> list[MakeBooks]:
    """What each entry of the log changes in the books."""
    loaded, state = trader.ledger.perform(Load()), PostState()
    assert isinstance(loaded, Loaded)
    return [state.take_in(entry) for entry in loaded.entries]


def backlog_of(*changes: MakeBooks) -> Backlog:
    backlog = Backlog()
    for each in changes:
        backlog.add(Changes(each, encode_requests(each)))
    return backlog


def rounds_of(backlog: Backlog, most: int) -> list[Round]:
    rounds = []
    while backlog:
        rounds.append(backlog.take(most))
    return rounds


def places(rounds: list[Round]) -> list[tuple[int, int]]:
    return [(each.first, each.last) for each in rounds]


def shown(document: RawBSONDocument) -> tuple[Accepted | Outcome, int]:
    whole = decode(document.raw, AWARE)
    return request_from(whole), whole["at"]


@pytest.fixture(scope="module")
def two_terms() -> list[MakeBooks]:
    return changes_of(trade_for_two_terms())


def test_what_came_in_together_is_one_round(two_terms: list[MakeBooks]) -> None:
    gathered = backlog_of(*two_terms).take(ALL)
    assert (gathered.first, gathered.last) == (0, len(two_terms) - 1)
    assert gathered.post == two_terms[-1].post


def test_a_round_has_what_became_of_each_deposit_in_the_end_and_the_entry_that_did_it() -> None:
    trader, fish = new_trader(), stock("d1", 9)
    trader.write(deposits=(fish,))
    for number in (1, 2, 3):
        trader.sell(number, fish)
    trader.write(queued=(accepted(4),))
    _, one, two, three, four, five = changes_of(trader)
    gathered = backlog_of(one, two, three, four, five).take(ALL)
    ((at, deposit),) = gathered.deposits.values()
    assert (at, deposit.remaining) == (four.place, 6)
    assert gathered.size == 4 + 1  # There are four requests, and one deposit instead of four.
    assert (gathered.first, gathered.last) == (one.place, five.place)


def test_new_requests_are_inserted_and_others_replaced_as_of_their_entry() -> None:
    trader, fish = new_trader(), stock("d1", 9)
    trader.write(deposits=(fish,), queued=(accepted(1), accepted(2)))
    outcomes = trader.sale(1, 1, fish), trader.decline(3, 2)
    trader.write(*outcomes)
    gathered = backlog_of(*changes_of(trader)).take(ALL)
    assert [shown(each) for each in gathered.inserts] == [(accepted(1), 1), (accepted(2), 1), (outcomes[1], 2)]
    assert [(name, at, shown(each)) for name, at, each in gathered.replacements] == [("r1", 2, (outcomes[0], 2))]


def test_requests_are_encoded_as_the_books_hold_them(two_terms: list[MakeBooks]) -> None:
    for made in two_terms:
        documents = encode_requests(made)
        assert [shown(each) for each in documents] == [(record, made.place) for record in made.requests]
    record = accepted(1)
    assert list(encode_request(record, 7)) == list(request_document(record, 7))


def test_a_large_backlog_is_taken_off_in_pieces_and_no_entry_is_torn(two_terms: list[MakeBooks]) -> None:
    rounds = rounds_of(backlog_of(*two_terms), 5)
    assert len(rounds) > 3
    assert [first for first, _ in places(rounds)] == [0, *(last + 1 for _, last in places(rounds)[:-1])]
    sizes = {made.place: len(made.requests) + len(made.deposits) for made in two_terms}
    assert all(gathered.size < 5 + max(sizes.values()) for gathered in rounds)


def test_an_entry_larger_than_a_round_is_a_round(two_terms: list[MakeBooks]) -> None:
    rounds = rounds_of(backlog_of(*two_terms), 1)
    busy = [made.place for made in two_terms if made.requests or made.deposits]
    assert [last for _, last in places(rounds) if last in busy] == busy


def test_how_much_waits_is_known(two_terms: list[MakeBooks]) -> None:
    backlog = Backlog()
    assert not backlog
    total = 0
    for made in two_terms:
        backlog.add(Changes(made, encode_requests(made)))
        total += len(made.requests) + len(made.deposits)
        assert (bool(backlog), backlog.documents) == (True, total)
    rounds_of(backlog, 7)
    assert (bool(backlog), backlog.documents) == (False, 0)


def test_a_new_term_of_the_same_peer_begins_again_where_the_books_were(two_terms: list[MakeBooks]) -> None:
    """It read them behind what its earlier term still had to make: that is made, and then made again."""
    backlog = backlog_of(*two_terms[3:9], *two_terms[5:])
    assert places(rounds_of(backlog, ALL)) == [(3, 8), (5, two_terms[-1].place)]


def test_a_round_is_of_one_term_where_the_end_of_a_term_may_be_lost(two_terms: list[MakeBooks]) -> None:
    """Whether all of it stands is seen by its last entry, and that says nothing of the term before."""
    first, second = ([made for made in two_terms if made.post.term == term] for term in (1, 2))
    lost = msgspec.structs.replace(first[-1], place=second[0].place, entry_id="lost")
    for told in (first, [*first, lost]):
        backlog = Backlog(by_term=True)
        for each in (*told, *second):
            backlog.add(Changes(each, encode_requests(each)))
        ends = [(gathered.last, gathered.entry_id) for gathered in rounds_of(backlog, ALL)]
        assert ends == [(each.place, each.entry_id) for each in (told[-1], second[-1])]


def test_an_entry_added_twice_in_a_row_shares_a_round(two_terms: list[MakeBooks]) -> None:
    backlog = backlog_of(two_terms[3], two_terms[3], two_terms[4])
    assert places(rounds_of(backlog, ALL)) == [(3, 4)]
    assert backlog.documents == 0


def test_entries_after_a_gap_are_a_round_of_their_own(two_terms: list[MakeBooks]) -> None:
    """What is missing before them was made by somebody else, or is not: `posts` must not step over it unseen."""
    assert places(rounds_of(backlog_of(*two_terms[:3], *two_terms[6:8]), ALL)) == [(0, 2), (6, 7)]


class Books:
    """Documents by id, each with the place of its entry, replaced only by later ones: as the database does it."""

    def __init__(self) -> None:
        self.requests: dict[str, tuple[int, Accepted | Outcome]] = {}
        self.deposits: dict[str, tuple[int, Deposit]] = {}
        self.made = NOWHERE

    def write(self, gathered: Round) -> None:
        for document in gathered.inserts:
            record, at = shown(document)
            self.requests.setdefault(record.request.request_id, (at, record))
        for request_id, at, document in gathered.replacements:
            record, written_at = shown(document)
            assert (record.request.request_id, written_at) == (request_id, at)
            if self.requests.get(request_id, (NOWHERE,))[0] < at:
                self.requests[request_id] = at, record
        for deposit_id, (at, deposit) in gathered.deposits.items():
            if self.deposits.get(deposit_id, (NOWHERE,))[0] < at:
                self.deposits[deposit_id] = at, deposit
        if gathered.first - 1 <= self.made < gathered.last:
            self.made = gathered.last


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.lists(st.integers(0, 25), max_size=3))
def test_rounds_leave_the_books_as_one_entry_after_the_other_would(most: int, again_from: list[int]) -> None:
    """Whatever a round holds at most, and wherever new terms of the same peer begin again."""
    trader = trade_for_two_terms()
    ledger, changes = trader.ledger, changes_of(trader)
    assert isinstance(ledger, MemoryLedger)
    backlog = backlog_of(*changes)
    for place in again_from:
        for made in changes[place:]:
            backlog.add(Changes(made, encode_requests(made)))
    books = Books()
    for gathered in rounds_of(backlog, most):
        books.write(gathered)
    for made in changes:
        ledger.make(made)
    expected = ledger.documents()
    assert books.made == ledger.end
    assert books.requests == {each["_id"]: (each["at"], request_from(each)) for each in expected["requests"]}
    assert books.deposits == {each["_id"]: (each["at"], deposit_from(each)) for each in expected["deposits"]}


def test_a_round_has_no_more_bytes_than_were_asked_for_unless_one_entry_has_more() -> None:
    changes = changes_of(trade_for_two_terms())
    each = [sum(len(raw.raw) for raw in encode_requests(made)) for made in changes]
    backlog = backlog_of(*changes)
    whole = backlog.bytes
    rounds = []
    while backlog:
        rounds.append(backlog.take(ALL, max(each)))
    assert backlog.bytes == 0
    assert len(rounds) > 1
    assert [gathered.first for gathered in rounds[1:]] == [gathered.last + 1 for gathered in rounds[:-1]]
    assert backlog_of(*changes).take(ALL, whole).last == rounds[-1].last
