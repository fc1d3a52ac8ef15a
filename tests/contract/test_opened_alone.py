"""Of those who would open a town on the same books one does, whoever began when, and whatever a clock says."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from db.address import database_of
from db.mongod.process import MongodProcess
from db.terminals import Place, Terminals
from peers.errors import TownError
from peers.town.files.directory import Directory, Machines
from peers.town.machines import lease
from peers.town.machines.lease import opened_alone
from peers.town.plan.options import RunOptions
from tests.helpers.waiting import wait_until

HOST = "127.0.0.1"
Words = Collection[dict[str, Any]]


class Books:
    """Books at an address, in which terminals leave their words."""

    def __init__(self, uri: str, words: Words, place: Path, stack: ExitStack) -> None:
        self.uri = uri
        self.words = words
        self.place = place
        self.stack = stack

    def directory(self, name: str) -> Directory:
        directory = Directory(self.place / name)
        directory.make()
        return directory

    def opened(self, name: str, stack: ExitStack) -> None:
        """Opens a town from there until the stack is left; TownError if another uses the books."""
        directory = self.directory(name)
        given = RunOptions(host=HOST, n=2, directory=directory.path, mongo=self.uri)
        stack.enter_context(opened_alone(directory, self.uri, HOST, given))

    def refused(self, name: str, by: str) -> None:
        with ExitStack() as stack, pytest.raises(TownError, match=f"in use by the town on .*/{by}\\)"):
            self.opened(name, stack)

    def say(self, name: str, nameserver: str = "") -> None:
        """A guest says that it uses the books."""
        directory = self.directory(name)
        with closing(Terminals(self.uri, database_of(self.uri))) as terminals:
            terminals.renew(directory.terminal(), Place(HOST, str(directory.path), nameserver))

    def change(self, name: str, **fields: object) -> None:
        """Has the word of a terminal say something else."""
        found = self.words.update_one({"_id": self.directory(name).terminal()}, [{"$set": fields}])
        assert found.matched_count == 1


@pytest.fixture
def books(mongod: MongodProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Books]:
    # All goes four times as fast, so that nobody waits long for the dead; the ratios are what matters.
    for each in "_RENEW_S", "_DEAD_S", "_LOOK_S":
        monkeypatch.setattr(lease, each, getattr(lease, each) / 4)
    name = f"test_{uuid.uuid4().hex[:12]}"
    uri = mongod.uri.replace("/?", f"/{name}?")
    with MongoClient[dict[str, Any]](uri) as client, ExitStack() as stack:
        yield Books(uri, client[name]["terminals"], tmp_path, stack)
        client.drop_database(name)


def dies(books: Books, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A town is opened from there, and ends without a word, as one that is killed."""
    with monkeypatch.context() as patch, ExitStack() as stack:
        patch.setattr(lease, "_release", lambda *_given: None)
        books.opened(name, stack)
    assert books.words.find_one({"_id": books.directory(name).terminal()}) is not None


def test_who_comes_back_sees_who_has_come_since(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding the books free, for the first had died, another has opened a town on them."""
    dies(books, "first", monkeypatch)
    books.opened("second", books.stack)
    books.refused("first", by="second")
    books.refused("third", by="second")


def test_who_comes_back_to_its_own_books_waits_for_nobody(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    dies(books, "first", monkeypatch)
    monkeypatch.setattr(lease, "_DEAD_S", 10_000.0)
    books.opened("first", books.stack)


def test_who_ended_early_or_could_not_start_has_released_its_word(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:  # It ends before the first renewal, in whichever way.
        books.opened("first", stack)
        assert books.words.count_documents({}) == 1
    assert books.words.count_documents({}) == 0
    books.opened("second", books.stack)
    books.refused("third", by="second")
    assert books.words.count_documents({}) == 1
    with monkeypatch.context() as patch:
        patch.setattr(lease, "how_to_join", _interrupted)
        with pytest.raises(KeyboardInterrupt), ExitStack() as stack:
            books.opened("fourth", stack)
    assert books.words.count_documents({}) == 1


def _interrupted(*_given: object) -> str:
    raise KeyboardInterrupt


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_server_whose_clock_was_set_deceives_nobody(books: Books, hours: int) -> None:
    """What stands in the books then is what the clock said before it was set."""
    books.opened("living", books.stack)
    keeps_setting, off = threading.Event(), datetime.now(UTC) + timedelta(hours=hours)

    def set_back() -> None:
        while not keeps_setting.wait(0.01):
            books.change("living", renewed_at=off, since=off)

    setting = threading.Thread(target=set_back)
    setting.start()
    try:
        books.refused("late", by="living")
    finally:
        keeps_setting.set()
        setting.join()


def test_one_that_died_before_the_clock_was_set_back_is_waited_for_once_only(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies(books, "dead", monkeypatch)
    word = books.words.find_one({}) or {}
    books.words.update_one({}, {"$set": {"renewed_at": word["renewed_at"] + timedelta(hours=3)}})
    books.opened("living", books.stack)
    assert [word["_id"] for word in books.words.find()] == [books.directory("living").terminal()]


@pytest.mark.parametrize("version", ["this", "earlier"])
def test_a_guest_that_is_left_of_a_town_uses_the_books_too(
    books: Books, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    dies(books, "first", monkeypatch)
    stays = threading.Event()

    def renew() -> None:
        while not stays.wait(0.5):
            books.say("guest")
            if version == "earlier":
                books.words.update_one(
                    {"_id": books.directory("guest").terminal()}, {"$unset": {"renewal": 1, "opens": 1}}
                )

    books.say("guest")
    staying = threading.Thread(target=renew)
    staying.start()
    try:
        books.refused("second", by="guest")
        books.refused("first", by="guest")
    finally:
        stays.set()
        staying.join()


@pytest.mark.parametrize("lives", [True, False])
def test_who_has_been_in_a_town_goes_on_while_others_of_it_live(books: Books, lives: bool) -> None:
    """Others of it may have come since, whom it does not know; but if these are all there are, they are strangers."""
    known = "127.0.0.2:9"
    books.directory("first").write_machines(Machines(town="t", founded=True, nameservers=(known,)))
    ends = threading.Event()

    def renew(name: str, nameserver: str) -> None:
        books.say(name, nameserver)
        while not ends.wait(0.3):
            if lives or nameserver != known:
                books.say(name, nameserver)

    with ThreadPoolExecutor(2) as pool:
        renewing = [pool.submit(renew, "fellow", known), pool.submit(renew, "stranger", "127.0.0.3:9")]
        wait_until(lambda: books.words.count_documents({}) == 2, "both have left a word")
        try:
            if lives:
                books.opened("first", books.stack)
            else:
                books.refused("first", by="stranger")
        finally:
            ends.set()
    assert [each.result() for each in renewing] == [None, None]


def test_fellows_that_died_are_not_waited_for(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    known = "127.0.0.2:9"
    books.directory("first").write_machines(Machines(town="t", founded=True, nameservers=(known,)))
    books.say("fellow", known)
    monkeypatch.setattr(lease, "_DEAD_S", 10_000.0)
    books.opened("first", books.stack)


# Who tells all to begin, then opens; and what is in the books by then.
def _nothing(_books: Books, _patch: pytest.MonkeyPatch) -> None: ...


def _a_dead_one(books: Books, patch: pytest.MonkeyPatch) -> None:
    dies(books, "dead", patch)


def _one_of_them_died(books: Books, patch: pytest.MonkeyPatch) -> None:
    dies(books, "town0", patch)


@pytest.mark.parametrize("before", [_nothing, _a_dead_one, _one_of_them_died])
def test_of_those_who_begin_at_the_same_moment_one_opens(
    books: Books, monkeypatch: pytest.MonkeyPatch, before: Callable[[Books, pytest.MonkeyPatch], None]
) -> None:
    before(books, monkeypatch)
    begin = threading.Barrier(3)
    names = [f"town{number}" for number in range(3)]

    def open_one(name: str) -> str:
        stack = ExitStack()
        begin.wait()
        try:
            books.opened(name, stack)
        except TownError as error:
            return str(error)
        books.stack.push(stack)
        return ""

    with ThreadPoolExecutor(len(names)) as pool:
        answers = dict(zip(names, pool.map(open_one, names), strict=True))
    opened = [name for name, answer in answers.items() if not answer]
    assert len(opened) == 1, answers
    assert all(f"/{opened[0]})" in answer for answer in answers.values() if answer)
    wait_until(lambda: books.words.count_documents({"opens": False}) == 1, "who has opened says so")
