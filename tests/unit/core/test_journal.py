"""What a peer writes down of what it asked for and was told: all of it, to the cent, and nothing of anything else."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from db.audit.checkers.acknowledgements import payload_of, subject_of
from db.audit.journals import read_journal
from db.audit.rows import JournalEntry
from peers.boot import boot
from peers.core.inputs import HandedOver
from peers.core.journal import JOURNALED, journal_line
from peers.core.market.records import Accepted, Deposit, Offer, Outcome, PurchaseRequest, Sale
from peers.core.membership.clocks import LamportStamp, VectorStamp
from peers.core.reports import (
    Answered,
    Asked,
    CannotFill,
    Deposited,
    Earned,
    GotBack,
    LedgerBack,
    Offered,
    Report,
    TookBack,
)
from peers.runtime.journal import Journal, handed_over_before
from tests.helpers.deals import taken_back

REQUEST = PurchaseRequest(
    request_id="buyer0-1", buyer="buyer0", item="fish", quantity=2, clock=VectorStamp(vector={"buyer0": 3})
)
OFFER = Offer(
    deposit_id="seller1-d1",
    seller="seller1",
    item="fish",
    quantity=10,
    price=Decimal("7.2"),
    clock=LamportStamp(lamport=2),
)
ACCEPTED = Accepted(request=REQUEST, arrival=5, queued_at_ms=1000, queued_term=1)
SALE = Sale(
    seller="seller1",
    deposit="seller1-d1",
    price=Decimal("7.20"),
    amount=Decimal("14.40"),
    commission=Decimal("2.88"),
    earned=Decimal("11.52"),
)
SOLD = Outcome(accepted=ACCEPTED, seq=4, term=1, trader="seller5", decided_at_ms=1001, sale=SALE)
UNDONE = taken_back(SOLD, 1, place=9)
IN_VAIN = Outcome(accepted=ACCEPTED, seq=4, term=1, trader="seller5", decided_at_ms=1001, reason="sold out")

ASKED_FOR: dict[str, Any] = {
    "request_id": "buyer0-1",
    "buyer": "buyer0",
    "item": "fish",
    "quantity": 2,
    "clock": {"vector": {"buyer0": 3}},
}
DECIDED: dict[str, Any] = {**ASKED_FOR, "seq": 4, "term": 1, "trader": "seller5", "decided_at_ms": 1001}
OFFERED: dict[str, Any] = {
    "deposit_id": "seller1-d1",
    "seller": "seller1",
    "item": "fish",
    "quantity": 10,
    "price": "7.20",
    "clock": {"lamport": 2},
}
MONEY = {"price": "7.20", "amount": "14.40", "commission": "2.88", "earned": "11.52"}

GIVEN_BACK: dict[str, Any] = {
    "request_id": "buyer0-1",
    "seq": 4,
    "term": 1,
    "number": 1,
    "place": 9,
    "buyer": "buyer0",
    "seller": "seller1",
    "item": "fish",
    "quantity": 2,
    "amount": "14.40",
    "commission": "2.88",
    "earned": "11.52",
}

LINES: list[tuple[Report, dict[str, Any]]] = [
    (Asked(peer="buyer0", request=REQUEST), {"kind": "asked", "request": ASKED_FOR}),
    (
        Answered(peer="buyer0", outcome=SOLD),
        {
            "kind": "told",
            "outcome": {**DECIDED, "status": "sold", "seller": "seller1", "deposit": "seller1-d1", **MONEY},
        },
    ),
    (
        Answered(peer="buyer0", outcome=IN_VAIN),
        {"kind": "told", "outcome": {**DECIDED, "status": "unavailable", "reason": "sold out"}},
    ),
    (
        Earned(peer="seller1", outcome=SOLD, earned=Decimal("11.52"), left=8),
        {
            "kind": "earned",
            "sale": {
                "request_id": "buyer0-1",
                "seq": 4,
                "term": 1,
                "item": "fish",
                "quantity": 2,
                "buyer": "buyer0",
                "price": "7.20",
                "earned": "11.52",
                "deposit": "seller1-d1",
            },
        },
    ),
    (TookBack(peer="seller1", outcome=UNDONE), {"kind": "took_back", "reversal": GIVEN_BACK}),
    (GotBack(peer="buyer0", outcome=UNDONE), {"kind": "got_back", "reversal": GIVEN_BACK}),
    (
        Deposited(peer="seller1", deposit=Deposit(offer=OFFER, remaining=8, deposited_at_ms=900, term=1)),
        {"kind": "deposited", "deposit": {**OFFERED, "remaining": 8, "deposited_at_ms": 900, "term": 1}},
    ),
    (Offered(peer="seller1", offer=OFFER), {"kind": "offered", "offer": OFFERED}),
]


@pytest.mark.parametrize(("report", "line"), LINES, ids=[line["kind"] for _, line in LINES])
def test_a_line_says_all_that_was_asked_or_told(report: Report, line: dict[str, Any]) -> None:
    assert isinstance(report, JOURNALED)
    assert journal_line(report) == line


def test_other_reports_are_not_for_the_journal() -> None:
    report = LedgerBack(peer="seller5")
    assert not isinstance(report, JOURNALED)
    assert journal_line(report) is None


def test_on_disk_it_is_the_same_and_the_audit_knows_what_each_line_speaks_of(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "buyer0")
    for report, _ in LINES:
        journal.note(report, 1_790_000_000_000)
    journal.note(LedgerBack(peer="buyer0"), 1_790_000_000_001)
    journal.close()
    (path,) = (tmp_path / "journals").iterdir()
    written = [json.loads(line) for line in path.read_text().splitlines()]
    times = [line.pop("mono_us") for line in written]
    assert times == sorted(times)
    assert {line.pop("boot") for line in written} == {boot()}
    assert written == [{"at_ms": 1_790_000_000_000, "peer": "buyer0", **line} for _, line in LINES]
    entries = [entry for entry in read_journal(path) if isinstance(entry, JournalEntry)]
    assert [subject_of(entry) for entry in entries] == [
        *[("request", "buyer0-1")] * 6,
        ("deposit", "seller1-d1"),
        None,
    ]
    assert all(payload_of(entry) for entry in entries[:7])


def test_what_was_handed_over_is_read_again_from_the_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "seller1")
    journal.note(CannotFill(peer="seller1", outcome=msgspec.structs.replace(SOLD, seq=3)), 1_790_000_000_000)
    for report, _ in LINES:
        journal.note(report, 1_790_000_000_000)
    journal.write(1_790_000_000_000, "earned", sale={"request_id": "r1", "seq": 9})
    journal.close()
    assert handed_over_before(tmp_path, "seller1") == (HandedOver(seq=4, deposit="seller1-d1", quantity=2),)
    assert handed_over_before(tmp_path, "seller2") == ()
