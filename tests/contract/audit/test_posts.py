"""What must hold over all posts: an id belongs to one of them, and their money adds up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bson.decimal128 import Decimal128
from pymongo import MongoClient

from db.audit.findings import Counts, Verdict
from db.audit.posts import PostBooks, TownReport, judge_together, town_json
from db.audit.report import AuditReport
from db.mongod.process import MongodProcess
from tests.fixtures.mongo import Books

NAMES = ("north", "south", "east")


@pytest.fixture
def posts(mongod: MongodProcess, books: Books) -> Iterator[dict[str, Books]]:
    """Three databases beside each other, with some decisions in each."""
    client: MongoClient[dict[str, object]] = MongoClient(mongod.uri)
    found = {name: client[f"{books.name}_{name}"] for name in NAMES}
    for name, database in found.items():
        database.requests.insert_many([{"_id": f"{name}-{number}", "status": "sold"} for number in range(5)])
        database.requests.insert_one({"_id": "asked-everywhere", "status": "queued"})
        database.deposits.insert_one({"_id": f"{name}-d1"})
    yield found
    for database in found.values():
        client.drop_database(database.name)
    client.close()


def counted(amount: str, commission: str, earned: str) -> AuditReport:
    money = [Decimal128(each).to_decimal() for each in (amount, commission, earned)]
    counts = Counts(requests=6, sales=5, amount=money[0], commission=money[1], earned=money[2])
    return AuditReport(database="x", seconds=0.0, verdict=Verdict(findings=(), counts=counts))


def judge(mongod: MongodProcess, posts: dict[str, Books], **reports: AuditReport) -> TownReport:
    sound = {name: counted("10.00", "2.00", "8.00") for name in posts} | reports
    return judge_together(
        sound, [PostBooks(areas=(name,), uri=mongod.uri, database=books.name) for name, books in posts.items()]
    )


def test_sound_books_hold_over_all(mongod: MongodProcess, posts: dict[str, Books]) -> None:
    report = judge(mongod, posts)
    assert (report.answer, report.exit_code) == ("holds", 0), "one who only waits at two posts was answered at none"
    assert [finding.invariant for finding in report.findings] == ["decided_once", "money_conserved"]
    assert (report.counts.sales, str(report.counts.amount)) == (15, "30.00")
    assert '"over_all"' in town_json(report)


def test_an_id_of_two_posts_is_named(mongod: MongodProcess, posts: dict[str, Books]) -> None:
    posts["east"].requests.insert_one({"_id": "north-3", "status": "unavailable"})
    posts["south"].deposits.insert_one({"_id": "north-d1"})
    report = judge(mongod, posts)
    assert report.exit_code == 1
    once = report.findings[0]
    assert [(each.documents, each.what) for each in once.violations] == [
        (("north-3",), "was decided at the posts of north and of east"),
        (("north-d1",), "was recorded at the posts of north and of south"),
    ]


def test_money_that_does_not_add_up_is_named(mongod: MongodProcess, posts: dict[str, Books]) -> None:
    report = judge(mongod, posts, east=counted("10.00", "2.00", "7.99"))
    assert report.exit_code == 1
    assert report.findings[1].violations[0].what.endswith("23.99 earned: 0.01 too much")


def test_a_post_that_cannot_be_read_leaves_it_open(mongod: MongodProcess, posts: dict[str, Books]) -> None:
    report = judge(mongod, posts, east=AuditReport(database="x", seconds=0.0, why="no database answers"))
    assert (report.over_all, report.exit_code) == ("could not tell", 2)
    assert report.why == "east could not be read"
    away = [PostBooks(areas=(name,), uri="mongodb://127.0.0.1:1", database="x") for name in NAMES]
    report = judge_together({name: counted("1.00", "0.20", "0.80") for name in NAMES}, away, timeout_s=0.2)
    assert report.exit_code == 2
    assert report.why.startswith("not all books can be read")


def test_one_post_has_nothing_over_all() -> None:
    report = judge_together({"": counted("1.00", "0.20", "0.80")}, [PostBooks(areas=("",), uri="", database="x")])
    assert (report.findings, report.exit_code, report.first.answer) == ((), 0, "holds")
