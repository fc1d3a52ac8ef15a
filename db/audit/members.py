"""Whether all members of a replica set hold the same books, and how far behind each is: asked of each by itself.

What a member has at a place of the log it has for good, once a majority has it; so the logs are compared entry by
entry, as far as all of them reach. So are the decisions made from them, as far as every member's books are made: a
request that is decided changes no more. What is beyond that is not a difference, but a lag.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient, ReadPreference
from pymongo.database import Database
from pymongo.errors import AutoReconnect, PyMongoError
from pymongo.read_concern import ReadConcern

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
_DIGEST = 16  # bytes
_AGAIN_S = 0.1


class MemberBooks(msgspec.Struct, frozen=True, kw_only=True):
    """What one member holds. `entries`: of the log; `made`: the decisions its books say they are made up to;
    `behind`: how many entries the longest log has more; `differs`: what stands there otherwise than with the primary,
    or with the member whose log is longest, where there is none; `why`: why it could not be asked."""

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
    """One member while it is asked."""

    address: str
    database: Database[Document]
    end: int = -1
    seq: int = 0
    log: Mapping[Any, bytes | None] = {}
    decided: Mapping[Any, bytes | None] = {}
    why: str = ""


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
    there = [each for each in asked if not each.why]
    common = min((each.end for each in there), default=-1)
    seq = min((each.seq for each in there), default=0)
    _each(there, lambda each: _read_books(each, common, seq), deadline_s)
    there = [each for each in there if not each.why]
    longest = max((each.end for each in there), default=-1)
    model = next((each for each in there if each.address == primary), None)
    model = model or max(there, key=lambda each: each.end, default=None)
    members = tuple(
        MemberBooks(
            address=each.address,
            is_primary=each.address == primary,
            entries=each.end + 1,
            made=each.seq,
            behind=longest - each.end if not each.why else 0,
            differs=_differences(each, model) if model is not None and not each.why else (),
            why=each.why,
        )
        for each in asked
    )
    return MembersReport(members=members, compared_to=common)


def _each(asked: list[_Asked], ask: Callable[[_Asked], None], deadline_s: float) -> None:
    """Asks them all at once, and notes of whom nothing came."""

    def one(each: _Asked) -> None:
        try:
            _asked_again(lambda: ask(each), deadline_s)
        except PyMongoError as error:
            each.why = without_secrets(str(error).partition(", Timeout:")[0])

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
    post = asked.database["posts"].find_one({"_id": _POST}, {"seq": 1})
    end, seq = -1 if last is None else whole(last["_id"]), 0 if post is None else whole(post.get("seq"))
    if end is None or seq is None:
        asked.why = "its log or its post does not end at a whole number; `bazaar audit` says more"
    else:
        asked.end, asked.seq = end, seq


def _read_books(asked: _Asked, common: int, seq: int) -> None:
    raw = asked.database.with_options(codec_options=RAW)
    asked.log = _digests(raw["log"].find({"_id": {"$lte": common}}))
    asked.decided = _digests(raw["requests"].find({"seq": {"$lte": seq}}))


def _digests(found: Iterable[RawBSONDocument]) -> dict[Any, bytes | None]:
    """A digest of each document, by its id; None for an entry whose body was cut away: others may still have it."""
    return {
        _key(each["_id"]): None if "cut" in each else hashlib.blake2b(each.raw, digest_size=_DIGEST).digest()
        for each in found
    }


def _key(record_id: object) -> object:
    """What an id is remembered by: others than the market's own may be documents."""
    return record_id if isinstance(record_id, str | int) else repr(record_id)


def _differences(asked: _Asked, model: _Asked) -> tuple[str, ...]:
    found = []
    for what, ours, theirs in ("entry", asked.log, model.log), ("request", asked.decided, model.decided):
        for record_id in sorted({*ours, *theirs}, key=str):
            if record_id not in ours or record_id not in theirs:
                found.append(f"{what} {record_id} is {'missing' if record_id in theirs else 'too much'}")
            elif None not in (ours[record_id], theirs[record_id]) and ours[record_id] != theirs[record_id]:
                found.append(f"{what} {record_id} is another")
    return tuple(found)
