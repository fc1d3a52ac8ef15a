"""`reads`: the history of customers against the order of the log, with every kind of fault found and explained."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import pytest

from db.audit.checkers.reads import Reads
from db.audit.findings import LOST, Finding
from db.audit.history.digest import seen_digest
from db.audit.history.operations import Operations
from db.audit.log_rows import read_entry
from db.audit.rows import JournalEntry, read_deposit, read_request

SECOND = 1_000_000
_WITHIN_MS = 500


class Town:
    """A log of one trader in one term after another, and the journals of customers beside it."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.lines: dict[str, list[dict[str, Any]]] = {}
        self.left: dict[str, int] = {}
        self.seq = 0
        self.term = 0

    # -- the log -------------------------------------------------------------------------------------------

    def office(self, trader: str = "buyer9", **said: Any) -> int:
        self.term += 1
        self.trader = trader
        return self._entry(kind="office", **said)

    def deposit(self, deposit_id: str, quantity: int, seller: str = "seller1") -> int:
        self.left[deposit_id] = quantity
        row = {
            "_id": deposit_id, "seller": seller, "item": "fish", "price": Decimal(7), "quantity": quantity,
            "remaining": quantity, "order": f"{len(self.entries):06}",
        }  # fmt: skip
        return self._entry(kind="decide", deposits=[row])

    def sell(self, request_id: str, deposit_id: str, quantity: int = 1) -> int:
        self.seq += 1
        self.left[deposit_id] -= quantity
        row = self._row(request_id, quantity) | {"status": "sold", "seller": "seller1", "deposit": deposit_id}
        return self._entry(kind="decide", decided=[row])

    def take_back(self, request_id: str, seq: int) -> int:
        row = self._row(request_id, 1) | {"status": "sold", "seq": seq, "taken_back": {"number": 1}}
        return self._entry(kind="decide", reversals=[row])

    def _row(self, request_id: str, quantity: int) -> dict[str, Any]:
        return {"_id": request_id, "buyer": "anna", "item": "fish", "quantity": quantity, "seq": self.seq}

    def _entry(self, **fields: Any) -> int:
        place = len(self.entries)
        self.entries.append({"_id": place, "entry": f"e{place}", "term": self.term, "trader": self.trader, **fields})
        return place

    # -- the journals: times are in seconds ------------------------------------------------------------------

    def note(self, peer: str, at_s: float, kind: str, boot: str = "b", **fields: Any) -> None:
        line = {"kind": kind, "peer": peer, "boot": boot, "mono_us": round(at_s * SECOND), **fields}
        self.lines.setdefault(peer, []).append(line)

    def buys(self, peer: str, request_id: str, seq: int, asked_s: float, told_s: float, **said: Any) -> None:
        self.note(peer, asked_s, "asked", request={"request_id": request_id})
        self.note(peer, told_s, "told", outcome={"request_id": request_id, "seq": seq, **said})

    def deposits(self, peer: str, deposit_id: str, asked_s: float, told_s: float) -> None:
        self.note(peer, asked_s, "offered", offer={"deposit_id": deposit_id})
        self.note(peer, told_s, "deposited", deposit={"deposit_id": deposit_id})

    def searches(
        self,
        peer: str,
        place: int,
        asked_s: float,
        told_s: float,
        rows: Iterable[tuple[str, int]],
        **said: Any,
    ) -> None:
        shown = list(rows)
        seen = {"term": self.term, "seq": self.seq, "within_ms": _WITHIN_MS, "rows": len(shown), **said}
        read = {"what": "search", "item": "fish", "asked_us": round(asked_s * SECOND), "place": place, **seen}
        self.note(peer, told_s, "read", read={**read, "digest": seen_digest(shown), "first": shown[:8]})

    def looks_up(
        self, peer: str, request_id: str, state: str, asked_s: float, told_s: float, seq: int = 0, **said: Any
    ) -> None:
        read = {"what": "outcome", "asked_us": round(asked_s * SECOND), "request_id": request_id, "state": state}
        self.note(peer, told_s, "read", read={**read, "seq": seq, **said})

    def judged(self) -> Finding:
        history = Operations()
        for lines in self.lines.values():
            history.journal()
            for line in lines:
                history.line(JournalEntry(**line))
        return judged(history, self.entries)


def judged(history: Operations, entries: Iterable[dict[str, Any]]) -> Finding:
    checker = Reads(history)
    last = -1
    for document in entries:
        row = read_entry(document, last)
        last = row.place
        checker.log_entry(row)
        for deposit in document.get("deposits", ()):
            checker.deposit(read_deposit(deposit))
        for undone in document.get("reversals", ()):
            checker.reversal(read_request(undone))
        for outcome in document.get("decided", ()):
            checker.request(read_request(outcome))
    return checker.finish()


@pytest.fixture
def town() -> Town:
    """Five fish at place 1, of which anna buys one at place 2; everybody was told at once."""
    town = Town()
    town.office()
    town.deposit("d1", 5)
    town.deposits("seller1", "d1", 1.0, 1.1)
    town.sell("r1", "d1")
    town.buys("anna", "r1", 1, 2.0, 2.1)
    return town


def the_fault(town: Town) -> str:
    """What is wrong with the one thing that is wrong."""
    finding = town.judged()
    assert finding.state == "violated", finding
    assert finding.found == 1, finding.violations
    return finding.violations[0].what


# -- what is right ------------------------------------------------------------------------------------------


def test_what_follows_the_log_holds(town: Town) -> None:
    town.searches("ben", 2, 3.0, 3.1, [("d1", 4)])
    town.looks_up("ben", "r1", "decided", 3.2, 3.3, seq=1)
    town.looks_up("ben", "never", "none", 3.4, 3.5)
    town.sell("r2", "d1", 4)
    town.buys("ben", "r2", 2, 3.6, 3.7)
    town.searches("ben", 3, 3.8, 3.9, [])
    assert town.judged().state == "holds"


def test_a_search_may_miss_what_its_bound_says(town: Town) -> None:
    town.searches("ben", 1, 2.1 + 0.4, 2.6, [("d1", 5)], seq=0)
    assert town.judged().state == "holds"


def test_what_overlaps_may_have_any_order(town: Town) -> None:
    town.looks_up("ben", "r1", "none", 2.05, 9.0)
    town.sell("r2", "d1")
    town.buys("carl", "r2", 2, 1.5, 9.0)  # Asked before anna, and decided after her.
    assert town.judged().state == "holds"


def test_times_of_different_machines_are_not_compared(town: Town) -> None:
    town.searches("far", 1, 900.0, 900.1, [("d1", 5)], seq=0)
    for line in town.lines["far"]:
        line["boot"] = "another machine"
    assert town.judged().state == "holds"


def test_to_ask_again_is_to_read_what_was_decided(town: Town) -> None:
    town.sell("r2", "d1")
    town.buys("ben", "r2", 2, 3.0, 3.1)
    town.buys("anna", "r1", 1, 4.0, 4.1)
    town.deposits("seller1", "d1", 5.0, 5.1)
    assert town.judged().state == "holds"


def test_goods_of_who_is_in_office_are_not_for_sale(town: Town) -> None:
    town.office("seller1")
    town.searches("ben", 3, 3.0, 3.1, [])
    town.office("buyer9")
    town.searches("ben", 4, 4.0, 4.1, [("d1", 4)])
    assert town.judged().state == "holds"


def test_a_search_of_entries_that_were_cut_is_not_compared(town: Town) -> None:
    town.searches("ben", 2, 3.0, 3.1, [("d1", 77)])
    town.entries[0] = {"_id": 0, "cut": True}
    finding = town.judged()
    assert finding.state == "holds"
    assert "1 searches" in finding.notes[0]


# -- faults, each of them planted ---------------------------------------------------------------------------


def test_a_dirty_read(town: Town) -> None:
    """A search shows goods of a commit that fails: its place never comes, or another's entry stands there."""
    town.searches("ben", 3, 3.0, 3.1, [("d1", 4), ("d2", 9)])
    assert the_fault(town) == "a search was shown what there was at place 3, and the log ends at 2"
    town.deposit("d3", 2)
    assert "row 2; by the log it is 2 of d3" in the_fault(town)


def test_a_stale_read_after_a_freeze(town: Town) -> None:
    town.searches("ben", 1, 2.1 + 0.6, 2.8, [("d1", 5)], seq=0)
    assert the_fault(town) == (
        "anna was told what became of r1: the log goes to place 2 at least. 0.600 s later ben asked what can be "
        "bought of fish, and may miss 0.5 s, and was shown what there was at place 1"
    )


def test_reads_that_go_back_when_the_trader_changes(town: Town) -> None:
    town.office()
    town.searches("ben", 3, 2.2, 2.3, [("d1", 4)])
    town.searches("ben", 2, 2.31, 2.4, [("d1", 4)], term=1)  # Within the bound, but ben had seen more.
    assert "After that it asked what can be bought" in the_fault(town)


def test_an_outcome_that_is_lost_after_it_was_told(town: Town) -> None:
    town.looks_up("ben", "r1", "none", 2.2, 2.3)
    assert "ben asked what became of r1, and was told that it is undecided: so it was up to place 1" in the_fault(
        town
    )


def test_an_outcome_that_does_not_know_that_the_sale_was_taken_back(town: Town) -> None:
    town.take_back("r1", 1)
    town.note("anna", 3.0, "got_back", reversal={"request_id": "r1", "seq": 1})
    town.looks_up("ben", "r1", "decided", 3.1, 3.2, seq=1)
    assert "up to place 2" in the_fault(town)


@pytest.mark.parametrize("place", [2, 7])
def test_a_reversal_that_was_told_at_another_place(town: Town, place: int) -> None:
    town.take_back("r1", 1)
    town.note("anna", 3.0, "got_back", reversal={"request_id": "r1", "seq": 1, "place": 3})
    town.looks_up("ben", "r1", "taken_back", 3.1, 3.2, seq=1, place=3)
    assert town.judged().state == "holds"
    town.looks_up("carl", "r1", "taken_back", 3.3, 3.4, seq=1, place=place)
    assert the_fault(town) == (
        f"carl was told that the sale with seq 1 was taken back at place {place}; the log says so at place 3"
    )


def test_a_reversal_that_there_is_not(town: Town) -> None:
    told = {"request_id": "r1", "seq": 1, "taken_back": {"number": 1, "place": 2}}
    town.note("anna", 3.0, "told", outcome=told)
    assert the_fault(town) == (
        "anna was told that the sale with seq 1 was taken back at place 2; the log does not say so"
    )


def test_a_purchase_before_one_that_had_ended(town: Town) -> None:
    town.sell("r2", "d1")
    town.buys("ben", "r2", 2, 1.5, 1.6)  # Told of before anna asked, and its place is behind hers.
    assert the_fault(town) == (
        "ben was told what became of r2: the log goes to place 3 at least. 0.400 s later anna asked to buy r1 for "
        "the first time, and the log has it at place 2, which is no later"
    )


def test_a_row_with_a_wrong_quantity(town: Town) -> None:
    town.searches("ben", 2, 3.0, 3.1, [("d1", 5)])
    assert the_fault(town) == "a search as of place 2 shows 5 of d1 as row 1; by the log it is 4 of d1"


def test_a_row_too_many_and_one_too_few(town: Town) -> None:
    town.searches("ben", 2, 3.0, 3.1, [("d1", 4), ("d2", 1)])
    assert "shows 1 of d2, which by the log cannot be bought there" in the_fault(town)
    town.lines["ben"].clear()
    town.searches("ben", 2, 3.0, 3.1, [])
    assert "shows 0 rows" in the_fault(town)


def test_a_search_that_says_another_term(town: Town) -> None:
    town.searches("ben", 2, 3.0, 3.1, [("d1", 4)], term=7)
    assert "says seq 1 and term 7; there the log is at seq 1, in term 1" in the_fault(town)


def test_without_journals_nothing_is_judged() -> None:
    assert Reads(None).finish().state == "not checked"


# -- below a majority -----------------------------------------------------------------------------------------


@pytest.fixture
def lossy(town: Town) -> Town:
    """The same, but the first term was at level one; a second one at a majority begins at place 3."""
    town.entries[0]["write_level"] = "one"
    town.office()
    return town


def could_be_lost(town: Town) -> str:
    """What could be lost, which is the one thing that is not as the log says."""
    finding = town.judged()
    assert (finding.state, finding.found) == (LOST, 1), finding
    return finding.violations[0].what


def test_what_was_shown_at_the_lost_end_of_a_term_could_be_lost(lossy: Town) -> None:
    lossy.searches("ben", 3, 2.2, 2.3, [("d1", 3)], term=1, seq=2)
    assert "a search as of place 3 says seq 2 and term 1" in could_be_lost(lossy)
    lossy.lines.pop("ben")
    lossy.searches("ben", 7, 2.2, 2.3, [("d1", 3)], term=1, seq=2)
    assert could_be_lost(lossy) == "a search was shown what there was at place 7, and the log ends at 3"


def test_a_term_below_a_majority_does_not_excuse_what_was_shown_in_another(lossy: Town) -> None:
    lossy.searches("ben", 3, 2.2, 2.3, [("d9", 9)])
    assert "shows 9 of d9 as row 1" in the_fault(lossy)
    lossy.lines.pop("ben")
    lossy.searches("ben", 4, 2.2, 2.3, [("d1", 4)])
    assert "place 4, and the log ends at 3" in the_fault(lossy)


def test_nor_what_was_shown_in_the_middle_of_it(lossy: Town) -> None:
    lossy.searches("ben", 2, 2.2, 2.3, [("d1", 5)], term=1)
    assert "shows 5 of d1 as row 1" in the_fault(lossy)


def test_nor_does_what_was_lost_hide_what_is_wrong_beside_it(lossy: Town) -> None:
    lossy.searches("ben", 3, 2.2, 2.3, [("d1", 3)], term=1, seq=2)
    lossy.note("carl", 3.0, "read", read={"what": "areas", "asked_us": 1, "wanted": ["north"]})
    assert "neither shows nor names as missing: north" in the_fault(lossy)


def test_a_reading_may_be_behind_a_majority_below_it_and_nowhere_else(lossy: Town) -> None:
    lossy.searches("ben", 1, 3.0, 3.1, [("d1", 5)], seq=0, term=1)
    assert "ben asked what can be bought" in could_be_lost(lossy)
    lossy.lines.pop("ben")
    lossy.deposit("d2", 1)
    lossy.deposits("seller1", "d2", 3.0, 3.1)
    lossy.searches("ben", 3, 4.0, 4.1, [("d1", 4)])
    assert "ben asked what can be bought" in the_fault(lossy)


@pytest.mark.parametrize("level", ["majority", "one"])
def test_an_undecided_request_could_be_lost_where_its_decision_was_below_a_majority(town: Town, level: str) -> None:
    town.entries[0]["write_level"] = level
    town.looks_up("ben", "r1", "none", 2.2, 2.3)
    assert "it is undecided" in (could_be_lost if level == "one" else the_fault)(town)


def test_what_was_lost_is_no_evidence_against_what_stands(lossy: Town) -> None:
    """The number of a decision that was lost is given to another, at a place that nobody had been told of before."""
    lossy.buys("carl", "r2", 2, 2.2, 2.3, term=1)
    lossy.searches("ben", 3, 3.0, 3.1, [("d1", 4)])
    lossy.sell("r3", "d1")
    lossy.buys("dora", "r3", 2, 3.2, 3.3, term=2)
    assert lossy.judged().state == "holds"
    lossy.searches("ben", 3, 4.0, 4.1, [("d1", 4)], seq=1)
    assert "ben asked what can be bought" in the_fault(lossy)


def test_a_reversal_at_the_lost_end_of_a_term_could_be_lost(lossy: Town) -> None:
    reversal = {"request_id": "r1", "seq": 1, "number": 1, "place": 3}
    lossy.note("anna", 3.0, "got_back", reversal=reversal | {"term": 1})
    assert "taken back at place 3; the log does not say so" in could_be_lost(lossy)
    lossy.lines["anna"].pop()
    lossy.note("anna", 3.0, "got_back", reversal=reversal | {"term": 2})
    assert "taken back at place 3; the log does not say so" in the_fault(lossy)


# -- how long it takes --------------------------------------------------------------------------------------


def busy(operations: int) -> Callable[[], Finding]:
    """A town in which so many things were done; returns what judges it."""
    town = Town()
    town.office()
    town.deposit("d1", operations)
    for number in range(operations // 2):
        at_s = 1 + number / 1000
        place = town.sell(f"r{number}", "d1")
        town.buys(f"c{number % 8}", f"r{number}", town.seq, at_s, at_s + 0.0005)
        town.searches(f"c{number % 8}", place, at_s + 0.0006, at_s + 0.0009, [("d1", town.left["d1"])])
    lines = {peer: [JournalEntry(**line) for line in lines] for peer, lines in town.lines.items()}

    def judge() -> Finding:
        history = Operations()
        for own in lines.values():
            history.journal()
            for line in own:
                history.line(line)
        return judged(history, town.entries)

    return judge


def test_the_time_is_linear_in_the_history() -> None:
    def seconds(judge: Callable[[], Finding]) -> float:
        began_s = time.process_time()
        assert judge().state == "holds"
        return time.process_time() - began_s

    small, large = busy(5_000), busy(50_000)
    assert min(seconds(large) for _ in range(2)) < 25 * min(seconds(small) for _ in range(3))
