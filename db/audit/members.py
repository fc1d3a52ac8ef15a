"""Whether all members of a replica set hold the same books, and how far behind each is: asked of each by itself.

What a member has at a place of the log it has for good, once a majority has it; so the logs are compared entry by
entry, as far as all of them reach. So are the decisions made from them, as far as every member's books are made. A
decision changes no more, except that its sale may be taken back: by an entry that the books of some member are not
made of yet, that is not compared. What is beyond is not a difference, but a lag.

All members are read side by side, each in the order of its ids, so none of the books has to be held in memory.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeVar

import msgspec
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient, ReadPreference
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import AutoReconnect, PyMongoError
from pymongo.read_concern import ReadConcern

from db.audit.findings import MOST_LISTED
from db.audit.report import EXIT_CODES, Answer
from db.audit.rows import whole
from db.audit.stored import RAW
from db.uri import with_nodes, with_options
from peers.books_address import without_secrets

Document = dict[str, Any]
T = TypeVar("T")

_POST = "main"
_ANY = ReadPreference.PRIMARY_PREFERRED
_MOST_SHOWN = 5
_AGAIN_S = 0.1

_BATCH = 500
"""So many documents are read of a member at a time. No setting: any number finds the same."""

_UNDONE = ("at", "taken_back")
"""What a reversal changes in a request."""


class MemberBooks(msgspec.Struct, frozen=True, kw_only=True):
    """What one member holds. `entries`: of the log; `made`: the decisions its books say they are made up to;
    `behind`: how many entries the longest log has more; `differs`: the first of what stands there otherwise than with
    the primary, or with the member whose log is longest, where there is none; `why`: why it could not be asked."""

    address: str
    is_primary: bool = False
    entries: int = 0
    made: int = 0
    behind: int = 0
    differs: tuple[str, ...] = ()
    why: str = ""


class MembersReport(msgspec.Struct, frozen=True, kw_only=True):
    """All members of the set, and up to which place of the log they were compared, -1 where that was none."""

    members: tuple[MemberBooks, ...] = ()
    compared_to: int = -1
    why: str = ""

    @property
    def answer(self) -> Answer:
        """Whether all hold the same; a member that could not be asked leaves that open."""
        if any(each.differs for each in self.members):
            return "violated"
        if self.why or not self.members or any(each.why for each in self.members):
            return "could not tell"
        return "holds"

    @property
    def exit_code(self) -> int:
        """Returns the exit code: 0 holds, 1 violated, 2 could not tell."""
        return EXIT_CODES[self.answer]

    def lines(self) -> Iterable[str]:
        """Says it for people."""
        for each in self.members:
            name = f"{each.address}{' (primary)' if each.is_primary else ''}"
            if each.why:
                yield f"member {name}: could not be asked: {each.why}"
                continue
            behind = f", {each.behind:,} behind" if each.behind else ""
            held = "other books: " + "; ".join(each.differs[:_MOST_SHOWN]) if each.differs else "the same books"
            yield f"member {name}: {each.entries:,} entries{behind}; {held}"
        reached = f", compared up to entry {self.compared_to:,}" if self.compared_to >= 0 else ""
        yield f"members: {self.answer}{reached}{f' ({self.why})' if self.why else ''}"


class _Asked(msgspec.Struct):
    """One member while it is asked: where its log ends, and up to which decision and entry its books are made."""

    address: str
    database: Database[Document]
    end: int = -1
    seq: int = 0
    made: int = -1
    differs: list[str] = []
    why: str = ""


class _Gone(Exception):
    """A member cannot be asked any more."""


def compare_members(uri: str, database: str, timeout_s: float = 5.0) -> MembersReport:
    """Compares what the members of the set at `uri` hold in `database`; never raises for their state."""
    limit_ms, deadline_s = round(timeout_s * 1000), time.monotonic() + timeout_s
    try:
        with MongoClient[Document](uri, serverSelectionTimeoutMS=limit_ms) as client:
            hello = _asked_again(lambda: client.admin.command("hello", read_preference=_ANY), deadline_s)
    except (PyMongoError, ValueError) as error:
        return MembersReport(why=without_secrets(str(error)))
    addresses = [*hello.get("hosts", ()), *hello.get("passives", ())]
    if not addresses:
        return MembersReport(why="the database is no replica set")
    clients = [_direct(uri, address, limit_ms) for address in addresses]
    # What is not a majority's yet, a primary that was cut off may hold for a while, and lose.
    settled = ReadConcern("majority")
    asked = [
        _Asked(address, client.get_database(database, read_concern=settled))
        for address, client in zip(addresses, clients, strict=True)
    ]
    try:
        return _compare(asked, hello.get("primary"), deadline_s)
    finally:
        for client in clients:
            client.close()


def _direct(uri: str, address: str, limit_ms: int) -> MongoClient[Document]:
    """A client of one member, whatever it is in the set."""
    alone = with_options(with_nodes(uri, [address]), {"replicaSet": None, "directConnection": "true"})
    return MongoClient(alone, serverSelectionTimeoutMS=limit_ms, connectTimeoutMS=limit_ms, connect=False)


def _compare(asked: list[_Asked], primary: str | None, deadline_s: float) -> MembersReport:
    _each(asked, _read_ends, deadline_s)
    common = -1
    while there := [each for each in asked if not each.why]:
        common = min(each.end for each in there)
        try:
            _compare_books(there, _model(there, primary), deadline_s)
            break
        except _Gone:
            continue  # The others may have been held against it, so they begin again.
    longest = max((each.end for each in there), default=-1)
    members = tuple(
        MemberBooks(
            address=each.address,
            is_primary=each.address == primary,
            entries=each.end + 1,
            made=each.seq,
            behind=longest - each.end if not each.why else 0,
            differs=tuple(each.differs) if not each.why else (),
            why=each.why,
        )
        for each in asked
    )
    return MembersReport(members=members, compared_to=common if there else -1)


def _model(there: list[_Asked], primary: str | None) -> _Asked:
    """Whom the others are held against."""
    return next((each for each in there if each.address == primary), max(there, key=lambda each: each.end))


def _each(asked: list[_Asked], ask: Callable[[_Asked], None], deadline_s: float) -> None:
    """Asks them all at once, and notes of whom nothing came."""

    def one(each: _Asked) -> None:
        try:
            _asked_again(lambda: ask(each), deadline_s)
        except PyMongoError as error:
            each.why = _why(error)

    if asked:
        with ThreadPoolExecutor(len(asked)) as pool:
            list(pool.map(one, asked))


def _asked_again(ask: Callable[[], T], deadline_s: float) -> T:
    """Asks, and asks again until the deadline where a member cannot answer just now: it ends its connections as its
    state changes, and answers nothing while it starts or takes back what another primary never had."""
    while True:
        try:
            return ask()
        except AutoReconnect:
            if time.monotonic() > deadline_s:
                raise
        time.sleep(_AGAIN_S)


def _read_ends(asked: _Asked) -> None:
    last = asked.database["log"].find_one({}, {"_id": 1}, sort=[("_id", -1)])
    post = asked.database["posts"].find_one({"_id": _POST}, {"seq": 1, "made": 1}) or {}
    end = -1 if last is None else whole(last["_id"])
    seq, made = whole(post.get("seq", 0)), whole(post.get("made", -1))
    if end is None or seq is None or made is None:
        asked.why = "its log or its post does not end at a whole number; `bazaar audit` says more"
    else:
        asked.end, asked.seq, asked.made = end, seq, made


def _compare_books(there: list[_Asked], model: _Asked, deadline_s: float) -> None:
    """Notes of each member what it holds otherwise than the model. Raises _Gone once one cannot be asked any more."""
    end, seq, made = (min(getattr(each, bound) for each in there) for bound in ("end", "seq", "made"))
    for each in there:
        each.differs = []
    entries = {"_id": {"$lte": end}}, ["int", "long"]
    requests = {"seq": {"$lte": seq}}, ["string"]
    for record_id, found in _side_by_side(there, "log", *entries, deadline_s):
        _note(f"entry {record_id}", found, there, model, _is_same_entry)
    for record_id, found in _side_by_side(there, "requests", *requests, deadline_s):
        _note(f"request {record_id}", found, there, model, lambda ours, theirs: _is_same_request(ours, theirs, made))


def _note(
    record: str,
    found: dict[str, RawBSONDocument],
    there: list[_Asked],
    model: _Asked,
    is_same: Callable[[RawBSONDocument, RawBSONDocument], bool],
) -> None:
    """Notes whose document of a record, by the member's address, is another than the model's."""
    theirs = found.get(model.address)
    for each in there:
        ours = found.get(each.address)
        if ours is None or theirs is None:
            fault = "" if ours is theirs else "missing" if ours is None else "too much"
        else:
            fault = "" if is_same(ours, theirs) else "another"
        if fault and len(each.differs) < MOST_LISTED:
            each.differs.append(f"{record} is {fault}")


def _is_same_entry(ours: RawBSONDocument, theirs: RawBSONDocument) -> bool:
    """An entry whose body was cut away is the same: others may still have it."""
    return ours.raw == theirs.raw or "cut" in ours or "cut" in theirs


def _is_same_request(ours: RawBSONDocument, theirs: RawBSONDocument, made: int) -> bool:
    """A request is the same if only one has it as an entry beyond `made` left it, which all books are made up to."""
    if ours.raw == theirs.raw:
        return True
    if all((whole(each.get("at")) or 0) <= made for each in (ours, theirs)):
        return False
    decisions = [{field: each[field] for field in each if field not in _UNDONE} for each in (ours, theirs)]
    return decisions[0] == decisions[1]


def _side_by_side(
    there: list[_Asked], collection: str, wanted: Document, types: list[str], deadline_s: float
) -> Iterator[tuple[Any, dict[str, RawBSONDocument]]]:
    """Gives the ids of what is wanted of a collection, each with the documents of it, by the member's address."""
    streams = [_in_order(each, collection, wanted, types, deadline_s) for each in there]
    for (_, record_id), found in groupby(heapq.merge(*streams, key=itemgetter(0)), key=itemgetter(0)):
        yield record_id, {address: document for _, address, document in found}


def _in_order(
    asked: _Asked, collection: str, wanted: Document, types: list[str], deadline_s: float
) -> Iterator[tuple[tuple[bool, Any], str, RawBSONDocument]]:
    """Gives what a member has, in the order of the ids. Ids of other `types` than the market's own come last, by
    their words, for Python cannot compare them: they are held in memory, and none stands in books that are sound.

    Raises _Gone once it cannot be asked any more."""
    documents = asked.database.with_options(codec_options=RAW)[collection]
    try:
        for document in _taken_up(documents, {"$and": [wanted, {"_id": {"$type": types}}]}, deadline_s):
            yield (False, document["_id"]), asked.address, document
        odd = {"$and": [wanted, {"_id": {"$not": {"$type": types}}}]}
        others = _asked_again(lambda: [(repr(each["_id"]), each) for each in documents.find(odd)], deadline_s)
    except PyMongoError as error:
        asked.why = _why(error)
        raise _Gone from error
    for words, document in sorted(others, key=itemgetter(0)):
        yield (True, words), asked.address, document


def _taken_up(
    documents: Collection[RawBSONDocument], wanted: Document, deadline_s: float
) -> Iterator[RawBSONDocument]:
    """Gives the documents by their ids; where a member cannot answer just now, it goes on behind the last one."""
    behind: Document = {}
    while True:
        try:
            for document in documents.find({"$and": [wanted, behind]}, batch_size=_BATCH).sort("_id", 1):
                behind = {"_id": {"$gt": document["_id"]}}
                yield document
            return
        except AutoReconnect:
            if time.monotonic() > deadline_s:
                raise
        time.sleep(_AGAIN_S)


def _why(error: PyMongoError) -> str:
    return without_secrets(str(error).partition(", Timeout:")[0])
