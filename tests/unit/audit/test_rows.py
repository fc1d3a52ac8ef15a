"""The rows of the proof side take in whole what the ledgers write."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from db.audit.rows import derived_order, read_deposit, read_request
from db.schema.documents import deposit_document, outcome_document
from db.schema.forms import BSON, PLAIN, Form
from peers.core.journal import journal_line
from peers.core.market.records import Accepted, Deposit, Offer, Outcome, PurchaseRequest, Sale
from peers.core.membership.clocks import LamportStamp, VectorStamp
from peers.core.reports import Answered
from tests.helpers.deals import taken_back

STAMPS = [LamportStamp(lamport=17), VectorStamp(vector={"buyer0": 3, "seller1": 40}), VectorStamp(vector={})]


@pytest.fixture(params=STAMPS)
def outcome(request: pytest.FixtureRequest) -> Outcome:
    asked = PurchaseRequest(request_id="r.1", buyer="buyer12", item="fish", quantity=2, clock=request.param)
    sale = Sale(
        seller="seller1",
        deposit="d.1",
        price=Decimal("7.20"),
        amount=Decimal("14.40"),
        commission=Decimal("2.88"),
        earned=Decimal("11.52"),
    )
    accepted = Accepted(request=asked, arrival=3, queued_at_ms=1_700_000_000_123, queued_term=1)
    return Outcome(accepted=accepted, seq=2, term=1, trader="merchant7", decided_at_ms=1_700_000_000_124, sale=sale)


@pytest.mark.parametrize("form", [BSON, PLAIN])
def test_a_sale_is_read_in_full(outcome: Outcome, form: Form) -> None:
    undone = taken_back(outcome, 1)
    row = read_request(outcome_document(undone, form) | {"at": 7})
    assert None not in msgspec.structs.astuple(row)
    assert row.taken_back is not None
    assert None not in msgspec.structs.astuple(row.taken_back)
    assert row.taken_back.amount == row.amount
    assert (row.queued_at, row.decided_at) == (1_700_000_000_123, 1_700_000_000_124)
    assert (row.price, row.amount, row.earned) == (Decimal("7.20"), Decimal("14.40"), Decimal("11.52"))
    assert row.order == derived_order(row.clock, row.buyer, row.id)


def test_money_is_read_from_a_journal(outcome: Outcome) -> None:
    line = journal_line(Answered(peer="buyer3", outcome=outcome))
    assert line is not None
    row = read_request(line["outcome"])
    assert (row.amount, row.commission) == (Decimal("14.40"), Decimal("2.88"))


@pytest.mark.parametrize("seller", ["seller1", "merchant999999", "seller1000000", "a.b", "Seller1", "buyer", ""])
@pytest.mark.parametrize("stamp", STAMPS)
def test_the_order_is_derived_as_the_market_does(seller: str, stamp: LamportStamp | VectorStamp) -> None:
    offer = Offer(deposit_id="d.1", seller=seller, item="fish", quantity=2, price=Decimal("7.20"), clock=stamp)
    document = deposit_document(Deposit(offer=offer, remaining=1, deposited_at_ms=1_700_000_000_000, term=1))
    row = read_deposit(document | {"at": 7})
    assert None not in msgspec.structs.astuple(row)
    assert derived_order(row.clock, row.seller, row.id) == offer.sort_key
