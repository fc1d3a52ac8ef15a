"""The audit of a real database: sound books hold, planted faults are named, and what cannot be read is not judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bson.decimal128 import Decimal128
from bson.int64 import Int64

from db.audit.auditing import audit
from db.audit.report import to_json
from db.mongod.process import MongodProcess, free_port
from tests.fixtures.audit import Plant, Town, forget, printed, update
from tests.fixtures.mongo import Books
from tests.helpers.bookkeeping import small_books


def decided(request: str, **changes: object) -> Plant:
    """As if it had been decided so: in the log and in the books."""

    def plant(books: Books) -> None:
        if "seq" in changes:
            books.requests.drop_indexes()
        update("requests", request, **changes)(books)
        books.log.update_one(
            {"decided._id": request},
            {"$set": {f"decided.$.{field}": value for field, value in changes.items()}},
            bypass_document_validation=True,
        )

    return plant


def swap_seqs(one: str, other: str, first: int, second: int) -> Plant:
    def plant(books: Books) -> None:
        books.requests.drop_indexes()
        update("requests", one, seq=second)(books)
        update("requests", other, seq=first)(books)
        entry = books.log.find_one({"decided._id": one}) or {}
        by_id = {each["_id"]: each for each in entry["decided"]}
        by_id[one]["seq"], by_id[other]["seq"] = second, first
        entry["decided"].sort(key=lambda each: each["seq"])
        update("log", entry["_id"], decided=entry["decided"])(books)

    return plant


def elect_again(books: Books) -> None:
    election = books.elections.find_one({"_id": 2})
    assert election is not None
    books.elections.insert_one({**election, "_id": 77}, bypass_document_validation=True)


PLANTED: list[tuple[str, Plant, str]] = [
    ("no_oversell", decided("buyer1.r8", quantity=5), "seller4.d3"),
    ("no_oversell", decided("buyer1.r8", deposit="nobody.d1"), "buyer1.r8"),
    ("decided_once", decided("buyer2.r10", seq=5), "buyer2.r10"),
    ("decided_once", decided("buyer2.r10", seq=8), "buyer2.r10"),
    ("decided_once", decided("buyer2.r10", status="lost"), "buyer2.r10"),
    ("decided_once", lambda books: books.log.delete_one({"_id": 2}), "log 3"),
    ("decided_once", update("log", 6, new_requests=[]), "buyer2.r10"),
    ("decided_once", update("log", 6, kind="sell"), "log 6"),
    ("money_conserved", decided("buyer0.r5", earned=Decimal128("11.53")), "buyer0.r5"),
    ("money_conserved", decided("buyer0.r5", amount=14.4), "buyer0.r5"),
    ("money_conserved", decided("buyer0.r5", price=Decimal128("7.21")), "buyer0.r5"),
    ("one_trader_a_term", decided("buyer1.r6", trader="merchant7"), "buyer1.r6"),
    ("one_trader_a_term", decided("buyer2.r10", term=1, trader="merchant8"), "buyer2.r10"),
    ("one_trader_a_term", update("log", 4, term=3), "log 4"),
    ("one_trader_a_term", update("log", 6, term=1, trader="merchant8"), "log 6"),
    ("one_trader_a_term", elect_again, "77"),
    ("lowest_clock_first", swap_seqs("buyer2.r9", "buyer0.r7", 3, 5), "buyer2.r9"),
    ("lowest_clock_first", decided("buyer0.r5", order="0"), "buyer0.r5"),
    ("trader_neutral", decided("buyer0.r5", buyer="seller3"), "buyer0.r5"),
    ("trader_neutral", decided("buyer0.r5", trader="seller3"), "buyer0.r5"),
    ("nothing_forgotten", forget, "buyer0.r99"),
    ("books_follow_log", update("deposits", "seller4.d3", remaining=3), "seller4.d3"),
    ("books_follow_log", update("deposits", "seller4.d3", remaining=4, at=1), "seller4.d3"),
    ("books_follow_log", lambda books: books.deposits.delete_one({"_id": "merchant9.d4"}), "merchant9.d4"),
    ("books_follow_log", lambda books: books.requests.delete_one({"_id": "buyer1.r6"}), "buyer1.r6"),
    ("books_follow_log", update("requests", "buyer1.r6", quantity=3), "buyer1.r6"),
    ("books_follow_log", update("requests", "buyer1.r6", note="mine"), "buyer1.r6"),
    ("books_follow_log", update("posts", "main", seq=9), "main"),
    ("books_follow_log", update("posts", "main", made=5), "main"),
    ("books_follow_log", lambda books: books.log.delete_one({"_id": 6}), "main"),
    ("acknowledged_is_recorded", lambda books: books.requests.delete_one({"_id": "buyer2.r10"}), "buyer2.r10"),
    ("acknowledged_is_recorded", lambda books: books.deposits.delete_one({"_id": "merchant9.d4"}), "merchant9.d4"),
    ("acknowledged_is_recorded", update("requests", "buyer1.r6", seq=77), "buyer1.r6"),
]


def test_sound_books_hold(town: Town) -> None:
    report = town.audit()
    assert report.verdict is not None
    assert report.answer == "holds", str(report.verdict)
    assert report.exit_code == 0
    assert {finding.state for finding in report.verdict.findings} == {"holds"}
    assert report.verdict.counts.requests == 6
    assert report.verdict.counts.journal_entries == 21
    assert (report.verdict.counts.entries, report.verdict.counts.cut) == (7, 0)


def test_books_without_a_log_are_judged_by_themselves(mongod: MongodProcess, books: Books, tmp_path: Path) -> None:
    town = Town(mongod.uri, books, tmp_path)
    town.record(small_books())
    report = town.audit()
    assert report.verdict is not None
    assert report.exit_code == 0, str(report.verdict)
    assert report.verdict.of("books_follow_log").state == "not checked"
    update("deposits", "seller4.d3", remaining=3)(books)
    report = town.audit()
    assert report.verdict is not None
    assert report.verdict.violated == ("no_oversell",)


def test_a_log_that_is_gone_is_missed(town: Town) -> None:
    town.books.log.delete_many({})
    report = town.audit()
    assert report.verdict is not None
    assert report.verdict.violated == ("books_follow_log",)
    assert "the log ends at -1: it was restored older" in str(report.verdict)


@pytest.mark.parametrize(("invariant", "plant", "document"), PLANTED)
def test_a_planted_fault_is_named(town: Town, invariant: str, plant: Plant, document: str) -> None:
    plant(town.books)
    report = town.audit()
    assert report.exit_code == 1
    assert report.verdict is not None
    assert invariant in report.verdict.violated
    violations = report.verdict.of(invariant).violations
    assert any(document in violation.documents for violation in violations), violations


def test_an_unsound_graph_is_named(town: Town) -> None:
    report = town.audit(graph={"a": [], "b": []})
    assert report.verdict is not None
    assert report.verdict.violated == ("graph_sound",)


def test_a_fresh_town_without_a_single_sale_holds(mongod: MongodProcess, books: Books) -> None:
    assert audit(mongod.uri, books.name).exit_code == 0


# -- journals ------------------------------------------------------------------------------------------------


def test_a_torn_journal_is_tolerated_and_counted(town: Town) -> None:
    with town.journal("buyer0").open("a") as journal:
        journal.write('{"at_ms": 1, "pee')
    report = town.audit()
    assert report.exit_code == 0
    assert report.verdict is not None
    assert report.verdict.counts.torn_lines == 1


def test_a_broken_journal_is_not_judged(town: Town) -> None:
    town.journal("buyer0").write_text('gibberish\n{"at_ms": 1, "peer": "buyer0", "kind": "yawned"}\n')
    report = town.audit()
    assert report.answer == "could not tell"
    assert report.exit_code == 2
    assert report.verdict is not None
    assert "buyer0.jsonl, line 1" in report.verdict.of("acknowledged_is_recorded").why


@pytest.mark.parametrize(
    "line",
    [
        '{"kind": "told", "peer": "buyer0", "boot": "b", "mono_us": 9223372036854775808}',
        '{"kind": "told", "peer": "buyer0", "outcome": {"_id": "buyer0.r5", "seq": 9223372036854775808}}',
        '{"kind": "told", "peer": "buyer0", "outcome": {"_id": "%s"}}' % ("x" * 17_000_000),
        '{"kind": "told", "peer": "buyer0", "outcome": ' + '{"a":' * 5000 + "1" + "}" * 5001,
    ],
    ids=["time", "number", "long", "deep"],
)
def test_what_no_peer_writes_is_not_judged(town: Town, line: str) -> None:
    with town.journal("buyer0").open("a") as journal:
        journal.write(f"{line}\n")
    report = town.audit()
    assert report.answer == "could not tell"
    assert report.verdict is not None
    assert "buyer0" in report.verdict.of("acknowledged_is_recorded").why


def test_readings_are_judged_by_the_order_of_the_log(town: Town) -> None:
    sold = town.books.requests.find_one({"seq": 2}) or {}

    def looks_up(peer: str, state: str, asked_us: int) -> None:
        read = {"what": "outcome", "request_id": sold["_id"], "state": state, "seq": 2, "asked_us": asked_us}
        line = {"kind": "read", "peer": peer, "boot": "b", "mono_us": asked_us + 1000, "read": read}
        with town.journal(peer).open("a") as journal:
            journal.write(json.dumps(line) + "\n")

    looks_up("anna", "none", 1_000_000)
    looks_up("ben", "decided", 2_000_000)
    assert town.audit().exit_code == 0
    looks_up("carl", "none", 3_000_000)
    report = town.audit()
    assert report.verdict is not None
    assert report.verdict.violated == ("reads",)
    assert f"carl asked what became of {sold['_id']}, and was told that it is undecided" in str(report.verdict)


def test_a_violation_weighs_more_than_a_broken_journal(town: Town) -> None:
    town.journal("buyer0").write_text("gibberish\n")
    update("posts", "main", seq=9)(town.books)
    assert town.audit().exit_code == 1


# -- could not tell ------------------------------------------------------------------------------------------


def test_an_unreachable_database_says_nothing() -> None:
    report = audit(f"mongodb://127.0.0.1:{free_port('127.0.0.1')}/?directConnection=true", timeout_s=0.2)
    assert report.verdict is None
    assert report.exit_code == 2
    assert report.why.startswith("no database answers: 127.0.0.1:")
    assert "Topology" not in report.why


@pytest.mark.parametrize("uri", ["", "http://example.org", "mongodb://127.0.0.1:notaport", "mongodb://"])
def test_an_unusable_address_says_nothing(uri: str) -> None:
    report = audit(uri)
    assert report.exit_code == 2
    assert "address is unusable" in report.why


def test_the_wrong_database_says_nothing(mongod: MongodProcess) -> None:
    report = audit(mongod.uri, "nobody_was_here")
    assert report.exit_code == 2
    assert "there are no books in the database 'nobody_was_here'" in report.why


def test_a_date_beyond_the_calendar_is_no_reason_to_stop(town: Town) -> None:
    far = {"$toDate": Int64(2**55)}
    for collection, document, field in (("requests", "buyer0.r5", "decided_at"), ("log", 6, "written_at")):
        update = {"q": {"_id": document}, "u": [{"$set": {field: far}}]}
        town.books.command("update", collection, updates=[update], bypassDocumentValidation=True)
    report = town.audit()
    assert report.verdict is not None
    assert report.verdict.of("decided_once").violations[0].what == "it has no date"
    assert report.verdict.of("books_follow_log").violations[0].documents == ("buyer0.r5",)


# -- what is printed -----------------------------------------------------------------------------------------


def test_the_report_for_people_says_what_is_wrong_and_where(town: Town) -> None:
    lines = printed(town.audit()).splitlines()
    assert lines[0].split() == ["holds", "no_oversell"]
    assert len(lines) == 12 + 2
    assert lines[-1].startswith("audit: holds (")
    update("deposits", "seller4.d3", remaining=3)(town.books)
    text = printed(town.audit())
    assert "violated        books_follow_log  1 found" in text
    assert "    seller4.d3: remaining is 3; at 5 the log adds up to 1" in text
    assert "audit: violated (" in text


def test_ids_are_not_taken_for_markup(town: Town) -> None:
    town.books.deposits.insert_one({"_id": "[red]d[/blue]", "remaining": -1}, bypass_document_validation=True)
    assert "[red]d[/blue]: " in printed(town.audit())


def test_the_report_for_programs(town: Town) -> None:
    update("deposits", "seller4.d3", remaining=3)(town.books)
    body = json.loads(to_json(town.audit()))
    assert body["holds"] is False
    assert body["exit_code"] == 1
    assert body["violated"] == ["books_follow_log"]
    assert (body["counts"]["entries"], body["counts"]["cut"]) == (7, 0)
    assert body["counts"]["amount"] == "70.44"
    assert next(iter(body["invariants"])) == "no_oversell"
    (violation,) = body["invariants"]["books_follow_log"]["violations"]
    assert violation["documents"] == ["seller4.d3"]


def test_the_report_of_no_answer() -> None:
    report = audit("http://example.org")
    assert printed(report).startswith("audit: could not tell: the database's address is unusable")
    assert json.loads(to_json(report))["counts"] is None
