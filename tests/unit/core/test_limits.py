"""The limits of the market hold alike for records, as the core has them, and for what callers send."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peers.core.bounds import MAX_TIME
from peers.core.calls import Buy, Call, MakeDeposit, check_call
from peers.core.market import limits
from peers.core.market.resignation import barred_until, is_resignation_due, sales_to_go
from peers.core.market.rules import excluded_sellers, may_trade, require_may_deposit
from peers.core.membership.clock_pace import MAX_AHEAD
from peers.core.membership.clocks import LamportStamp, VectorStamp
from peers.core.settings import Settings, make_settings
from peers.errors import BadRequest, SettingsError
from peers.rpc.forms.public_form import Reader, offer_dict, request_dict
from peers.simulator.breaking.strangers import beyond_limits, last_purchase
from tests.unit.core.words import offers

LAMPORT, VECTOR = Settings(), Settings(clock="vector")
both_clocks = pytest.mark.parametrize("settings", [LAMPORT, VECTOR], ids=["lamport", "vector"])


def check(call: Call, settings: Settings) -> None:
    check_call(call, settings.market.items, settings.clock)


def read_as_sent(call: Call, settings: Settings) -> Call:
    """What a peer reads of the call when it comes over the network."""
    if isinstance(call, Buy):
        return Reader(settings).request(request_dict(call.request))
    assert isinstance(call, MakeDeposit)
    return Reader(settings).offer({**offer_dict(call.offer), "price": format(call.offer.price, "f")})


def field_refused(take: Callable[[Call, Settings], Call | None], call: Call, settings: Settings) -> str | None:
    """Returns the field for which the call is refused; None if it is taken, and read as what it is."""
    try:
        assert take(call, settings) in (call, None)
    except BadRequest as refusal:
        return refusal.field
    return None


@both_clocks
def test_beyond_the_limits_record_and_document_are_refused_for_the_same_field(settings: Settings) -> None:
    for field, call in beyond_limits("stranger", settings):
        with pytest.raises(BadRequest) as raised:
            check(call, settings)
        assert raised.value.field == field, call
        assert ("not " in raised.value.why) or ("is " in raised.value.why)
        if isinstance(call, Buy | MakeDeposit):
            with pytest.raises(BadRequest) as read:
                read_as_sent(call, settings)
            assert read.value.fields() == raised.value.fields()


@both_clocks
@given(quantity=st.integers(-1, 2**54), word=st.text(max_size=4), time=st.integers(-1, 2**54))
def test_a_record_is_within_the_limits_exactly_if_its_document_is(
    settings: Settings, quantity: int, word: str, time: int
) -> None:
    stamp: Any = VectorStamp(vector={word: time}) if settings is VECTOR else LamportStamp(lamport=time)
    good = last_purchase("me", settings).request
    for changes in ({"quantity": quantity}, {"request_id": word}, {"buyer": word}, {"clock": stamp}, {"item": word}):
        call = Buy(request=msgspec.structs.replace(good, **changes))
        assert field_refused(read_as_sent, call, settings) == field_refused(check, call, settings)


@pytest.mark.parametrize("word", ["a/b", "urn:me:1", "/", "a.b-c_D9", "x" * limits.MAX_ID_LENGTH])
def test_an_id_may_be_a_path(word: str) -> None:
    assert limits.checked("request_id", word) == limits.checked("deposit_id", word) == word


@pytest.mark.parametrize("word", ["", " ", "a b", "ä", "a\n", "\ud800", "a\\b", "x" * (limits.MAX_ID_LENGTH + 1)])
def test_an_id_may_not_be_anything(word: str) -> None:
    with pytest.raises(BadRequest, match=re.escape("A-Z a-z 0-9 _ . : / -, not ")):
        limits.checked("request_id", word)


def test_a_name_may_be_that_of_a_file() -> None:
    assert limits.checked("buyer", "a:b.c") == "a:b.c"
    with pytest.raises(BadRequest):
        limits.checked("buyer", "../a")


def test_how_far_ahead_a_clock_may_be() -> None:
    market = LamportStamp(lamport=5)
    limits.check_not_far_ahead(LamportStamp(lamport=5 + MAX_AHEAD), market)
    with pytest.raises(BadRequest, match="at most 1000000 ahead of the market's, which is at 5, and is 1000006"):
        limits.check_not_far_ahead(LamportStamp(lamport=6 + MAX_AHEAD), market)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (0, "0"), (-(10**30), "a number of more than 20 digits"), (None, "None"), (True, "True"), (7.5, "7.5"),
        ("fish", "'fish'"), ("\x00ä", "'\\x00\\xe4'"), ([1], "a list"), ({}, "{}"), (b"x", "a bytes"),
        ({"a": 1, "b": {"c": 2}, "d": 3}, "{'a': 1, 'b': a dict, ...}"),
    ],
)  # fmt: skip
def test_what_was_given_is_shown(given: object, shown: str) -> None:
    assert limits.shown(given) == shown


def test_what_was_given_is_shown_in_few_words() -> None:
    huge = "🐗" * 1_000_000
    for each in (huge, {huge: huge}, [huge], 1 << 100_000):
        shown = limits.shown(each)
        assert len(shown) < 70
        assert shown.isascii()


def test_settings_are_bounded_by_the_same_limits() -> None:
    most = int(limits.MAX_PRICE)
    made = make_settings({"market": {"stock": limits.MAX_QUANTITY, "price_max": most, "price_min": most}})
    check(MakeDeposit(offer=offers("d", quantity=made.market.stock, price=str(made.market.price_max))), made)
    for name, value in (("stock", limits.MAX_QUANTITY), ("quantity_max", limits.MAX_QUANTITY), ("price_max", most)):
        with pytest.raises(SettingsError, match=name):
            make_settings({"market": {name: value + 1}})


def test_the_trader_in_office_trades_nothing() -> None:
    assert may_trade("buyer0", "buyer1")
    assert may_trade("buyer0", None)
    assert not may_trade("buyer0", "buyer0")
    assert set(excluded_sellers("buyer0", ("seller1",))) == {"buyer0", "seller1"}
    require_may_deposit("seller0", "seller1")
    with pytest.raises(BadRequest, match="seller: must not be the trader in office"):
        require_may_deposit("seller1", "seller1")


def test_when_a_trader_resigns() -> None:
    assert not is_resignation_due(10**6, 0)
    assert not is_resignation_due(39, 40)
    assert is_resignation_due(40, 40)
    assert sales_to_go(10**6, 0, at_most=256) == 256
    assert sales_to_go(39, 40, at_most=256) == 1
    assert sales_to_go(0, 400, at_most=256) == 256
    assert sales_to_go(41, 40, at_most=256) < 0
    assert [barred_until(3, elections) for elections in (0, 1, 2)] == [3, 4, 5]


def test_the_largest_time_fits_the_sort_key() -> None:
    assert len(str(MAX_TIME)) == 16
