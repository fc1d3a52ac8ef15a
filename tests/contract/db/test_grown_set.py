"""A set that grew from one member, and whose primary is one that copied the books: there `_id` is the last index."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from db.ledger.connection import connect
from db.ledger.maker import catch_up
from db.ledger.mongo import MongoLedger
from db.mongod.process import MongodProcess
from db.mongod.replica_set import PARAMETERS, ReplicaSet, set_uri
from db.mongod.votes import next_vote
from db.schema.prepare import prepare
from peers.core.ledger.port import AlreadyRecorded, Append, Appended, Taken
from tests.fixtures.mongo import Books
from tests.helpers.deals import at, office, stock
from tests.helpers.log_trader import LogTrader, assert_books_follow
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.timeout(240)

FISH = stock("d1", 1_000_000)


class Grown:
    """Three members, the last two of which have copied the database `name`."""

    def __init__(self, uri: str, name: str, founder: str) -> None:
        self.uri = uri
        self.name = name
        self.founder = founder


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grown]:
    home, name = tmp_path_factory.mktemp("grown"), f"test_{uuid.uuid4().hex[:12]}"
    with ExitStack() as stack:
        members = [
            stack.enter_context(MongodProcess(home / str(n), founds=not n, parameters=PARAMETERS)) for n in range(3)
        ]
        prepare(members[0].uri, name)
        addresses = tuple(each.address for each in members)
        uri = set_uri(members[0].uri, addresses)
        replica_set = stack.enter_context(ReplicaSet(set_uri(members[0].uri, addresses[:1])))
        wait_until(lambda: replica_set.admit(addresses[1], most=3), deadline_s=30)
        wait_until(lambda: replica_set.admit(addresses[2], most=3), deadline_s=30)
        assert not replica_set.admit("127.0.0.1:1", most=3), "there is no fourth place"

        def all_vote() -> bool:
            view = replica_set.look()
            vote = next_vote(view)
            if vote is not None:
                replica_set.give(vote)
            return len(view.voters) == 3 and view.spare == 1

        wait_until(all_vote, deadline_s=60)
        hand_over(uri, addresses[0])
        yield Grown(uri, name, addresses[0])


def hand_over(uri: str, founder: str) -> None:
    """Has another than the founder be primary."""

    def done() -> bool:
        try:
            with MongoClient[dict[str, object]](uri, serverSelectionTimeoutMS=5000) as client:
                if client.admin.command("hello")["primary"] != founder:
                    return True
                client.admin.command("replSetStepDown", 60, secondaryCatchUpPeriodSecs=2)
        except PyMongoError:
            pass  # It ends all connections as it steps down.
        return False

    wait_until(done, deadline_s=60)


@pytest.fixture
def books(grown: Grown) -> Iterator[Books]:
    with MongoClient[dict[str, object]](grown.uri, serverSelectionTimeoutMS=15000, tz_aware=True) as client:
        names = [index["name"] for index in client[grown.name]["log"].list_indexes()]
        assert names[-1] == "_id_", "the case that this is about"
        yield client[grown.name]


def test_an_entry_is_found_at_its_place_and_books_are_made_twice(grown: Grown, books: Books) -> None:
    ledger, rival = MongoLedger(grown.uri, grown.name), MongoLedger(grown.uri, grown.name)
    trader = LogTrader(ledger).take_office(30)
    trader.write(deposits=(FISH,))
    entry = trader.entry(trader.sale(1, trader.next_seq, FISH))
    assert trader.append(entry, 30) == Appended()
    place = trader.state.place
    assert ledger.perform(Append(place=place, entry=entry)) == Appended(), "an unknown entry is tried again"
    assert rival.perform(at(place, office(2, "merchant8"))) == Taken(entry=entry)
    late = trader.entry(trader.sale(1, trader.next_seq, FISH))
    recorded = ledger.perform(Append(place=place + 1, entry=late))
    assert isinstance(recorded, AlreadyRecorded), "its id is recorded, and the place is free"

    wait_until(lambda: books.posts.find_one({"made": place}), deadline_s=30)
    for each in ledger, rival:
        each.close()
    books.posts.delete_one({})
    database = connect(grown.uri, grown.name)
    assert catch_up(database) == place
    database.client.close()
    assert_books_follow(books)
