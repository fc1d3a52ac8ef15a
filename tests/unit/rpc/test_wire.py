"""What callers may send, and that everything else is a BadRequest that says where and why, briefly."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peers.core.bounds import MAX_TIME
from peers.core.calls import AsOf, OnOffer, ReportStock
from peers.core.market.limits import MAX_PRICE
from peers.core.market.records import Accepted, Deposit, Offer, Outcome, PurchaseRequest, Sale
from peers.core.membership.clocks import LamportStamp, VectorStamp
from peers.core.membership.members import Member
from peers.core.messages import ClockNews, Heartbeat, MemberNews
from peers.core.settings import Settings
from peers.errors import BadRequest
from peers.rpc import wire
from peers.rpc.forms import public_form
from peers.rpc.forms.read_form import browse_dict
from tests.helpers.deals import taken_back

LAMPORT = public_form.Reader(Settings())
VECTOR = public_form.Reader(Settings(clock="vector"))
REQUEST: dict[str, Any] = {"request_id": "r:1", "buyer": "b", "item": "fish", "quantity": 1, "clock": {"lamport": 17}}
OFFER: dict[str, Any] = {
    "deposit_id": "d",
    "seller": "s",
    "item": "fish",
    "quantity": 1,
    "price": "7.20",
    "clock": {"lamport": 1},
}
READINGS = st.sampled_from([(LAMPORT.request, REQUEST), (LAMPORT.offer, OFFER)])
WORD = re.compile(r"[A-Za-z0-9_.:-]+", re.ASCII)
ID = re.compile(r"[A-Za-z0-9_.:/-]+", re.ASCII)

keys = st.text(max_size=8) | st.integers()
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.sampled_from(["x" * 1_000_000, "\x00", "🐗", "\ud800", "fish\n", "٣", "1e3", "NaN"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)


def is_word(value: object, longest: int) -> bool:
    return isinstance(value, str) and len(value) <= longest and WORD.fullmatch(value) is not None


def is_id(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 100 and ID.fullmatch(value) is not None


def is_whole(value: object, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def is_price(value: object) -> bool:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]+(\.[0-9]{1,2})?", value, re.ASCII):
        return False
    return 0 < Decimal(value) <= MAX_PRICE and (len(value) == 1 or value[0] != "0" or value[1] == ".")


FINE: dict[str, Callable[[Any], bool]] = {
    "request_id": is_id,
    "deposit_id": is_id,
    "buyer": lambda v: is_word(v, 64),
    "seller": lambda v: is_word(v, 64),
    "item": lambda v: v in ("fish", "salt", "boar"),
    "quantity": lambda v: is_whole(v, 1, 1_000_000),
    "price": is_price,
    "clock": lambda v: isinstance(v, dict) and list(v) == ["lamport"] and is_whole(v["lamport"], 0, MAX_TIME),
}


def complaint(read: Any, *given: object) -> BadRequest:
    with pytest.raises(BadRequest) as raised:
        read(*given)
    said = str(raised.value)
    assert len(said) < 250
    assert said.isascii()
    return raised.value


@given(data=st.data())
def test_one_rotten_field_is_named(data: st.DataObject) -> None:
    read, good = data.draw(READINGS)
    field = data.draw(st.sampled_from(sorted(good)))
    value = data.draw(anything)
    if FINE[field](value):
        read({**good, field: value})
    else:
        assert complaint(read, {**good, field: value}).field == field


@pytest.mark.parametrize("clock", ["\ud800", {"\ud800": 1}, {"lamport": "\ud800"}], ids=["text", "key", "value"])
def test_half_a_character_is_no_reason_to_fail(clock: object) -> None:
    assert complaint(LAMPORT.request, {**REQUEST, "clock": clock}).field == "clock"
    complaint(LAMPORT.request, {**REQUEST, "\ud800": 1})


@given(data=st.data())
def test_a_missing_field_is_named_and_an_extra_one_refused(data: st.DataObject) -> None:
    read, good = data.draw(READINGS)
    field = data.draw(st.sampled_from(sorted(good)))
    assert complaint(read, {k: v for k, v in good.items() if k != field}).field == field
    extra: object = data.draw(st.text(max_size=20) | st.just("y" * 1_000_000) | st.integers() | st.none())
    if extra not in good:
        with_extra: dict[object, object] = {**good, extra: 1}
        complaint(read, with_extra)


@given(value=anything)
def test_anything_else_than_a_dict_of_fields_is_refused(value: object) -> None:
    complaint(LAMPORT.request, value)
    complaint(LAMPORT.offer, value)


@given(entries=st.dictionaries(st.text(max_size=4) | st.integers(), st.integers(-5, 2**54) | st.text(), max_size=4))
def test_vector_clocks_are_taken_only_where_they_are_used(entries: dict[Any, Any]) -> None:
    complaint(LAMPORT.request, {**REQUEST, "clock": {"vector": entries}})
    given = {**REQUEST, "clock": {"vector": entries}}
    sound = all(is_word(k, 64) and is_whole(n, 0, MAX_TIME) for k, n in entries.items())
    if sound and sum(entries.values()) <= MAX_TIME:
        assert VECTOR.request(given).request.clock == VectorStamp(vector=entries)
    else:
        assert complaint(VECTOR.request, given).field == "clock"
    assert complaint(VECTOR.request, REQUEST).field == "clock"


def test_a_vector_has_an_end_and_a_sum_that_fits_the_sort_key() -> None:
    long = {f"buyer{n}": 1 for n in range(1001)}
    assert complaint(VECTOR.request, {**REQUEST, "clock": {"vector": long}}).field == "clock"
    high = {"a": MAX_TIME, "b": 1}
    assert complaint(VECTOR.request, {**REQUEST, "clock": {"vector": high}}).field == "clock"


NO_PRICES: list[object] = [
    "0",
    "0.00",
    "7.201",
    "-1",
    "+1",
    " 7",
    "7 ",
    "1e3",
    "NaN",
    "Infinity",
    "1_0",
    "07",
    "1000000.01",
    "",
]
NO_PRICES += [".5", "5.", "٣", 7, 7.2, Decimal(7), True, None]


@pytest.mark.parametrize("price", NO_PRICES)
def test_prices_that_are_none(price: object) -> None:
    assert complaint(LAMPORT.offer, {**OFFER, "price": price}).field == "price"


@pytest.mark.parametrize(("price", "read"), [("0.01", "0.01"), ("7", "7.00"), ("7.2", "7.20"), ("1000000", "1e6")])
def test_prices(price: str, read: str) -> None:
    offer = LAMPORT.offer({**OFFER, "price": price}).offer
    assert offer.price == Decimal(read)
    assert public_form.offer_dict(offer)["price"] == format(Decimal(read), ".2f")


@given(value=anything)
def test_questions(value: object) -> None:
    if is_id(value):
        LAMPORT.request_id(value)
    else:
        assert complaint(LAMPORT.request_id, value).field == "request_id"
    if value is None or value in ("fish", "salt", "boar"):
        LAMPORT.item(value)
    else:
        assert complaint(LAMPORT.item, value).field == "item"
    complaint(LAMPORT.standing, "s", "x")
    complaint(LAMPORT.standing, None, 1)


def test_what_is_read_is_what_was_sent() -> None:
    assert public_form.request_dict(LAMPORT.request(REQUEST).request) == REQUEST
    assert public_form.offer_dict(LAMPORT.offer(OFFER).offer) == OFFER


def outcome(*, sold: bool) -> Outcome:
    sale = Sale(
        seller="s",
        deposit="d",
        price=Decimal("7.20"),
        amount=Decimal("7.20"),
        commission=Decimal("1.44"),
        earned=Decimal("5.76"),
    )
    request = PurchaseRequest(request_id="r", buyer="b", item="fish", quantity=1, clock=LamportStamp(lamport=3))
    accepted = Accepted(request=request, arrival=4, queued_at_ms=1_700_000_000_123, queued_term=2)
    return Outcome(
        accepted=accepted,
        seq=5,
        term=2,
        trader="t",
        decided_at_ms=1_700_000_000_124,
        sale=sale if sold else None,
        reason=None if sold else "nobody has enough of it",
    )


@pytest.mark.parametrize("sold", [True, False])
def test_outcomes_there_and_back(sold: bool) -> None:
    there = public_form.outcome_dict(outcome(sold=sold))
    assert there["request_id"] == there["_id"] == "r"
    assert there["status"] == ("sold" if sold else "unavailable")
    assert there.get("earned") == ("5.76" if sold else None)
    assert public_form.outcome_of(there) == outcome(sold=sold)
    assert wire.unpack_sales(wire.pack([outcome(sold=sold)])) == (outcome(sold=sold),)


def test_a_sale_that_was_taken_back_there_and_back() -> None:
    undone = taken_back(outcome(sold=True), 3)
    there = public_form.outcome_dict(undone)
    assert there["status"] == "sold"
    assert there["taken_back"]["number"] == 3
    assert there["taken_back"]["amount"] == there["amount"]
    assert "taken_back" not in public_form.outcome_dict(outcome(sold=True))
    assert public_form.outcome_of(there) == undone


def test_reports_of_stock_there_and_back_and_within_limits() -> None:
    report = ReportStock(seller="seller1", deposit_id="d", handed_over=1, holds=2, unfilled=("r1", "r2"))
    assert wire.unpack_stock_report(wire.pack(report)) == report
    for change in ({"holds": -1}, {"handed_over": 10**7}, {"unfilled": ("one two",)}, {"unfilled": ("r",) * 101}):
        with pytest.raises(BadRequest) as refused:
            wire.unpack_stock_report(wire.pack(msgspec.structs.replace(report, **change)))
        assert refused.value.field == next(iter(change))


def test_deposits_there_and_back() -> None:
    offer = Offer(
        deposit_id="d", seller="s", item="fish", quantity=9, price=Decimal("7.20"), clock=VectorStamp(vector={"s": 1})
    )
    deposit = Deposit(offer=offer, remaining=4, deposited_at_ms=1_700_000_000_123, term=2)
    assert public_form.deposit_of(public_form.deposit_dict(deposit)) == deposit
    assert browse_dict(OnOffer(deposits=(deposit,), as_of=AsOf(term=2, seq=5, place=8)), 0.5) == {
        "rows": [{"item": "fish", "seller": "s", "price": "7.20", "remaining": 4, "deposit_id": "d"}],
        "term": 2,
        "seq": 5,
        "place": 8,
        "area": "",
        "within_ms": 500,
    }


@given(value=anything)
def test_answers_that_are_none(value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - its words are Python's
        public_form.outcome_of(value)
    with pytest.raises(ValueError):  # noqa: PT011
        public_form.deposit_of(value)


def test_parcels_there_and_back() -> None:
    member = Member(rank=3, name="buyer3", role="buyer", uri="PYRO:buyer3@host:1", incarnation=7)
    parcel = wire.Parcel(
        sender=3,
        incarnation=7,
        messages=(
            Heartbeat(clock=LamportStamp(lamport=1), term=1, trader=None, incarnation=2, digest=9, reply=True),
            ClockNews(clock=VectorStamp(vector={"a": 1})),
            MemberNews(members=(member,), whole=True),
        ),
    )
    assert wire.unpack_parcel(wire.pack(parcel)) == parcel
    assert wire.unpack_member(wire.pack(wire.Newcomer(member=member))) == member


MEMBER = Member(rank=3, name="buyer3", role="buyer", uri="PYRO:buyer3@host:1", incarnation=7)


@pytest.mark.parametrize(
    "sent",
    [
        wire.pack(wire.Parcel(form=wire.FORM + 1, sender=3, incarnation=7, messages=())),
        wire.pack([wire.FORM + 1, "what", {"nobody": "knows"}, 7]),
    ],
)
def test_who_speaks_another_form_is_refused_with_that_word(sent: bytes) -> None:
    for unpack in (wire.unpack_parcel, wire.unpack_member):
        with pytest.raises(BadRequest, match=f"{wire.FORM + 1} is not understood here") as refused:
            unpack(sent)
        assert refused.value.field == "form"


def test_a_newcomer_that_names_no_form_is_refused_with_that_word() -> None:
    with pytest.raises(BadRequest, match=f"begins with its form, which is {wire.FORM} here") as refused:
        wire.unpack_member(wire.pack(MEMBER))
    assert refused.value.field == "form"


def test_what_is_garbled_in_our_own_form_is_not_put_down_to_the_form() -> None:
    with pytest.raises(BadRequest) as refused:
        wire.unpack_parcel(wire.pack([wire.FORM, 3, 7, ["nothing"]]))
    assert refused.value.field == "parcel"


@given(sent=st.binary(max_size=40) | anything)
def test_packed_rubbish_is_refused(sent: object) -> None:
    for unpack in (
        wire.unpack_parcel,
        wire.unpack_standing,
        wire.unpack_member,
        wire.unpack_snapshot,
        wire.unpack_stock_report,
        wire.unpack_stock_reply,
        wire.unpack_reversals,
    ):
        with pytest.raises(BadRequest):
            unpack(sent)


@pytest.mark.parametrize(
    "change", [{"name": "seller3"}, {"rank": -1}, {"up": False}, {"uri": "http://x"}, {"uri": "PYRO:" + "x" * 400}]
)
def test_newcomers_that_are_none(change: dict[str, Any]) -> None:
    fields = {"rank": 3, "name": "buyer3", "role": "buyer", "uri": "PYRO:b@h:1", "incarnation": 1, **change}
    with pytest.raises(BadRequest):
        wire.unpack_member(wire.pack([wire.FORM, fields]))
