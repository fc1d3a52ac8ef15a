"""Records as documents: nothing is lost on the way there and back, in any of the three forms."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest
from bson import decode, encode
from bson.codec_options import CodecOptions
from bson.decimal128 import Decimal128
from hypothesis import given
from hypothesis import strategies as st

from db.schema.documents import (
    deposit_document,
    deposit_from,
    election_document,
    election_from,
    entry_document,
    entry_from,
    outcome_document,
    outcome_from,
    post_document,
    post_from,
    request_document,
    request_from,
)
from db.schema.forms import BSON, PLAIN, Document, Form, date, decimal128
from peers.core.bounds import MAX_TIME
from peers.core.ledger.log import Entry, OfficeEntry, TradeEntry
from peers.core.market.money import split
from peers.core.market.records import Accepted, Deposit, ElectionRecord, Offer, Outcome, Post, PurchaseRequest, Sale
from peers.core.membership.clocks import LamportStamp, VectorStamp
from tests.helpers.deals import accepted, office, sold, stock, trade, unavailable

AWARE = CodecOptions[Document](tz_aware=True)

times = st.integers(0, MAX_TIME)
names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
counts = st.integers(1, 10**9)
places = st.integers(-1, 10**9)
moments_ms = st.integers(0, 4_102_444_800_000)
money = st.decimals(0, 10**9, places=2)
clocks = st.builds(LamportStamp, lamport=times) | st.builds(VectorStamp, vector=st.dictionaries(names, times))
requests = st.builds(PurchaseRequest, request_id=names, buyer=names, item=names, quantity=counts, clock=clocks)
waiting = st.builds(Accepted, request=requests, arrival=counts, queued_at_ms=moments_ms, queued_term=counts)
offers = st.builds(Offer, deposit_id=names, seller=names, item=names, quantity=counts, price=money, clock=clocks)
deposits = st.builds(Deposit, offer=offers, remaining=counts, deposited_at_ms=moments_ms, term=counts)
sales = st.builds(Sale, seller=names, deposit=names, price=money, amount=money, commission=money, earned=money)
verdicts = st.fixed_dictionaries({"sale": sales, "reason": st.none()}) | st.fixed_dictionaries(
    {"sale": st.none(), "reason": st.none() | names}
)
posts = st.builds(
    Post,
    term=counts,
    trader=st.none() | names,
    since_ms=st.none() | moments_ms,
    seq=st.integers(0, 10**9),
    arrival=st.integers(0, 10**9),
)
elections = st.builds(
    ElectionRecord,
    term=counts,
    algorithm=names,
    reason=names,
    started_by=names,
    trader=names,
    messages=counts,
    started_at_ms=moments_ms,
    took_ms=st.floats(0, 10**6),
)


@st.composite
def outcomes(draw: st.DrawFn) -> Outcome:
    return Outcome(
        accepted=draw(waiting),
        seq=draw(counts),
        term=draw(counts),
        trader=draw(names),
        decided_at_ms=draw(moments_ms),
        **draw(verdicts),
    )


offices = st.builds(
    OfficeEntry, entry_id=names, term=counts, trader=names, written_at_ms=moments_ms, reason=st.text(max_size=20)
)
trades = st.builds(
    TradeEntry,
    entry_id=names,
    term=counts,
    trader=names,
    written_at_ms=moments_ms,
    deposits=st.lists(deposits, max_size=2).map(tuple),
    outcomes=st.lists(outcomes(), max_size=2).map(tuple),
    queued=st.lists(waiting, max_size=2).map(tuple),
    new_requests=st.lists(names, max_size=2).map(tuple),
)
entries = offices | trades


def sent(document: Document, form: Form) -> Document:
    """The document after the journey its form is meant for."""
    if form is BSON:
        return decode(encode(document), AWARE)
    return document


every_form = pytest.mark.parametrize("form", [BSON, PLAIN], ids=["bson", "plain"])


@every_form
@given(outcome=outcomes())
def test_outcomes_come_back(form: Form, outcome: Outcome) -> None:
    assert outcome_from(sent(outcome_document(outcome, form), form)) == outcome


@every_form
@given(record=waiting | outcomes(), at=places)
def test_requests_come_back_decided_or_not(form: Form, record: Accepted | Outcome, at: int) -> None:
    document = sent(request_document(record, at, form), form)
    assert (request_from(document), document["at"]) == (record, at)


@every_form
@given(entry=entries, place=places)
def test_entries_come_back(form: Form, entry: Entry, place: int) -> None:
    assert entry_from(sent(entry_document(place, entry, form), form)) == entry


@every_form
@given(post=posts, made=places)
def test_the_post_comes_back(form: Form, post: Post, made: int) -> None:
    assert post_from(sent(post_document(post, made, form), form)) == post


@every_form
@given(deposit=deposits)
def test_deposits_come_back(form: Form, deposit: Deposit) -> None:
    assert deposit_from(sent(deposit_document(deposit, form), form)) == deposit


@every_form
@given(record=elections)
def test_elections_come_back(form: Form, record: ElectionRecord) -> None:
    assert election_from(sent(election_document(record, form), form)) == record


@given(value=money)
def test_money_is_what_bson_itself_would_make_of_it(value: Decimal) -> None:
    assert decimal128(value).bid == Decimal128(value).bid
    assert decimal128(value).to_decimal() == value
    assert str(decimal128(value)) == str(Decimal128(value))


@pytest.mark.parametrize("wrong", ["0.001", "-0.01", "7.205"])
def test_what_is_not_money_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="is not money"):
        decimal128(Decimal(wrong))


def test_the_keys_are_those_of_the_contract() -> None:
    queued = ["_id", "buyer", "item", "quantity", "clock", "order", "status", "queued_at", "queued_term", "arrival"]
    decided = [*queued, "seq", "term", "trader", "decided_at"]
    sale = ["seller", "deposit", "price", "amount", "commission", "earned"]
    offer = ["_id", "seller", "item", "price", "quantity", "remaining", "clock", "order", "deposited_at", "term"]
    fish = stock("d1", 2)
    assert list(request_document(accepted(1), 7)) == [*queued, "at"]
    assert list(request_document(sold(accepted(1), 1, fish), 7)) == [*decided, *sale, "at"]
    assert list(outcome_document(sold(accepted(1), 1, fish))) == decided + sale
    assert list(outcome_document(unavailable(accepted(1), 2))) == decided
    assert list(outcome_document(unavailable(accepted(1), 1))) == [*decided, "reason"]
    assert list(deposit_document(fish)) == offer
    assert list(deposit_document(fish, at=7)) == [*offer, "at"]
    assert list(post_document(Post(), -1)) == ["_id", "term", "trader", "since", "seq", "arrival", "made"]


def test_an_entry_holds_what_the_books_will_hold_and_no_empty_lists() -> None:
    head = ["_id", "entry", "kind", "term", "trader", "written_at"]
    fish, outcome, later = stock("d1", 2), unavailable(accepted(1), 1), accepted(2)
    assert list(entry_document(0, office())) == [*head, "reason"]
    assert list(entry_document(7, trade(queued=(later,), known=("r2",)))) == [*head, "queued"]
    whole = entry_document(7, trade(outcome, deposits=(fish,), queued=(later,)))
    assert list(whole) == [*head, "new_requests", "new_deposits", "deposits", "decided", "queued"]
    assert (whole["_id"], whole["kind"]) == (7, "decide")
    assert (whole["new_requests"], whole["new_deposits"]) == (["r1", "r2"], ["d1"])
    assert whole["decided"] == [request_document(outcome, 7)]
    assert whole["queued"] == [request_document(later, 7)]
    assert whole["deposits"] == [deposit_document(fish, at=7)]


def test_an_entry_that_was_cut_away_is_none() -> None:
    assert entry_from({"_id": 3, "cut": True}) is None


def test_an_outcome_has_these_fields_and_no_others() -> None:
    request = PurchaseRequest(
        request_id="r1", buyer="buyer3", item="salt", quantity=2, clock=VectorStamp(vector={"buyer3": 4})
    )
    commission, earned = split(Decimal("14.40"), Decimal("0.2"))
    outcome = Outcome(
        accepted=Accepted(request=request, arrival=5, queued_at_ms=0, queued_term=1),
        seq=6,
        term=2,
        trader="seller1",
        decided_at_ms=1_793_000_000_007,
        sale=Sale(
            seller="merchant2",
            deposit="d1",
            price=Decimal("7.20"),
            amount=Decimal("14.40"),
            commission=commission,
            earned=earned,
        ),
    )
    assert outcome_document(outcome, PLAIN) == {
        "_id": "r1",
        "buyer": "buyer3",
        "item": "salt",
        "quantity": 2,
        "clock": {"vector": {"buyer3": 4}},
        "order": "0000000000000004.000003.buyer3.r1",
        "status": "sold",
        "queued_at": date(0),
        "queued_term": 1,
        "arrival": 5,
        "seq": 6,
        "term": 2,
        "trader": "seller1",
        "decided_at": date(1_793_000_000_007),
        "seller": "merchant2",
        "deposit": "d1",
        "price": Decimal("7.20"),
        "amount": Decimal("14.40"),
        "commission": Decimal("2.88"),
        "earned": Decimal("11.52"),
    }


def test_plain_documents_hold_pythons_own_types() -> None:
    document = outcome_document(sold(accepted(1), 1, stock("d1", 1)), PLAIN)
    assert document["price"] == Decimal("7.20")
    assert type(document["price"]) is Decimal
    assert document["queued_at"] == datetime.fromisoformat("2026-10-26T07:33:20.124+00:00")


def test_the_post_is_read_without_what_is_the_databases_own() -> None:
    document = {"_id": "main", "term": 3, "trader": "buyer1", "since": None, "seq": 9, "arrival": 12, "made": 4}
    assert post_from(document | {"sessions": []}) == Post(term=3, trader="buyer1", seq=9, arrival=12)
