"""Reads the ledger: the books as far as they are made, and from there the log.

The order matters. `posts` comes first, so that no document is older than it says; the log comes last, so that it
goes at least as far as any document. Some documents may be newer than `posts`. Each carries the place of the entry
that put it there, and entries up to that place leave it as it is when they are folded over it. All of one reading is
causally consistent, and sees what a majority has.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import TypeVar

from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import ConfigurationError

from db.ledger.connection import Document, connect_again, lacks_sessions
from db.schema.collections import COUNTERS, LOOKS, POST
from db.schema.documents import accepted_from, deposit_from, entry_from, outcome_from, post_from, request_from
from peers.core.calls import OnOffer
from peers.core.ledger.log import NOWHERE, Entry, TradeEntry
from peers.core.ledger.port import Found, Loaded, ReadEntries, StockedDeposit
from peers.core.ledger.post_state import PostState, held_after
from peers.core.market.records import Accepted, Outcome, Post
from peers.core.trader.offered import on_offer
from peers.errors import LedgerError

_T = TypeVar("_T")

_TRIES = 5
"""No setting: the log can only have been cut meanwhile if the books moved on, so a second look nearly always does."""


class _Cut(Exception):
    """The books went on meanwhile, and the log was cut behind them: all is to be read again."""


def read_loaded(database: Database[Document], *, most_entries: int = 0) -> Loaded:
    """Reads what a new trader needs; `most_entries` bounds how far to go beyond the books (0: to the end).

    Raises LedgerError where log and books do not belong together, PyMongoError where the database does not answer.
    """

    def read(database: Database[Document], session: ClientSession) -> Loaded:
        post, made = _read_post(database, session)
        queue = database["requests"].find({"status": "queued"}, session=session).sort("order", 1).hint("queue")
        stock = database["deposits"].find({"remaining": {"$gt": 0}}, session=session).sort("order", 1).hint("stock")
        entries = _read_log(database, session, made, most_entries)
        return Loaded(
            made=made,
            post=post,
            queue=tuple(map(accepted_from, queue)),
            stock=tuple(StockedDeposit(deposit=deposit_from(each), at=each["at"]) for each in stock),
            entries=entries,
        )

    return _consistently(database, read)


def read_holders(database: Database[Document]) -> Post:
    """Reads who holds the post. Raises like `read_loaded`."""

    def read(database: Database[Document], session: ClientSession) -> Post:
        post, made = _read_post(database, session)
        return held_after(post, _read_log(database, session, made))

    return _consistently(database, read)


def read_stock(database: Database[Document], item: str | None, area: str = "", *, most_entries: int = 500) -> OnOffer:
    """Reads what can be bought at the post of `area`, of `item` or of all items, and as of which entry; at most
    `most_entries` beyond the books.

    Raises like `read_loaded`, and UnsoundLog where the entries do not follow from the books.
    """

    def read(database: Database[Document], session: ClientSession) -> OnOffer:
        post, made = _read_post(database, session)
        held: Document = {"remaining": {"$gt": 0}} if item is None else {"remaining": {"$gt": 0}, "item": item}
        found = database["deposits"].find(held, session=session).hint("stock")
        stock = [StockedDeposit(deposit=deposit_from(each), at=each["at"]) for each in found]
        state = PostState(place=made, post=post, stock=stock)
        for entry in _read_log(database, session, made, most_entries):
            state.take_in(entry, torn=True)
        return on_offer(state, item, area)

    return _consistently(database, read)


def read_found(database: Database[Document], request_ids: Iterable[str], deposit_ids: Iterable[str] = ()) -> Found:
    """Reads what is recorded under these ids: requests as they are, deposits whatever they still hold.

    Raises like `read_loaded`.
    """
    wanted, wanted_deposits = list(dict.fromkeys(request_ids)), list(dict.fromkeys(deposit_ids))

    def read(database: Database[Document], session: ClientSession) -> Found:
        _, made = _read_post(database, session)
        records = {each["_id"]: request_from(each) for each in _by_id(database["requests"], wanted, session)}
        deposits = {
            each["_id"]: deposit_from(each) for each in _by_id(database["deposits"], wanted_deposits, session)
        }
        entries = _read_log(database, session, made)
        for entry in entries:
            if isinstance(entry, TradeEntry):
                records.update((each.request.request_id, each) for each in entry.queued)
                records.update((each.request.request_id, each) for each in (*entry.outcomes, *entry.reversals))
                deposits.update((each.offer.deposit_id, each) for each in entry.deposits)
                deposits.update((each.deposit.offer.deposit_id, each.deposit) for each in entry.recounts)
        found = [records[each] for each in wanted if each in records]
        return Found(
            outcomes=tuple(record for record in found if isinstance(record, Outcome)),
            queued=tuple(record for record in found if isinstance(record, Accepted)),
            deposits=tuple(deposits[each] for each in wanted_deposits if each in deposits),
            place=made + len(entries),
        )

    return _consistently(database, read)


def read_sales(database: Database[Document], seller: str, after_seq: int, limit: int) -> Found:
    """Reads a seller's sales after `after_seq` and what it has in stock, both as of one entry.

    Raises like `read_loaded`.
    """

    def read(database: Database[Document], session: ClientSession) -> Found:
        post, made = _read_post(database, session)
        sold = {"seller": seller, "seq": {"$gt": after_seq, "$lte": post.seq}}
        held = {"seller": seller, "remaining": {"$gt": 0}}
        sales = database["requests"].find(sold, limit=limit, session=session).sort("seq", 1).hint("sales")
        outcomes = [outcome_from(each) for each in sales]
        stock = database["deposits"].find(held, session=session).sort("order", 1).hint("stock_of")
        stocked = [StockedDeposit(deposit=deposit_from(each), at=each["at"]) for each in stock]
        state = PostState(place=made, post=post, stock=stocked)
        reversals: dict[int, Outcome] = {}
        for entry in _read_log(database, session, made):
            state.take_in(entry, torn=True)
            if isinstance(entry, TradeEntry):
                ours = (each for each in entry.outcomes if each.sale is not None and each.sale.seller == seller)
                outcomes += [outcome for outcome in ours if outcome.seq > after_seq]
                reversals |= {each.seq: each for each in entry.reversals}
        outcomes = [reversals.get(outcome.seq, outcome) for outcome in outcomes] if reversals else outcomes
        deposits = [each for each in state.stock.on_offer() if each.offer.seller == seller]
        deposits.sort(key=lambda deposit: deposit.offer.sort_key)
        return Found(outcomes=tuple(outcomes[:limit]), deposits=tuple(deposits), place=state.place)

    return _consistently(database, read)


def read_reversals(database: Database[Document], customer: str, after: int, limit: int) -> Found:
    """Reads which sales to or by `customer` were taken back with a number > `after`, as of one entry.

    Raises like `read_loaded`.
    """

    def read(database: Database[Document], session: ClientSession) -> Found:
        _, made = _read_post(database, session)
        concerned = {"taken_back.number": {"$gt": after}, "$or": [{"buyer": customer}, {"seller": customer}]}
        found = database["requests"].find(concerned, limit=limit, session=session).sort("taken_back.number", 1)
        reversals = {_number_of(each): each for each in map(outcome_from, found.hint("reversals"))}
        entries = _read_log(database, session, made)
        for entry in entries:
            for each in entry.reversals if isinstance(entry, TradeEntry) else ():
                owners = (each.request.buyer, each.sale.seller if each.sale is not None else None)
                if customer in owners and _number_of(each) > after:
                    reversals[_number_of(each)] = each
        in_order = sorted(reversals.items())[:limit]
        return Found(outcomes=tuple(each for _, each in in_order), place=made + len(entries))

    return _consistently(database, read)


def _number_of(outcome: Outcome) -> int:
    return 0 if outcome.taken_back is None else outcome.taken_back.number


def read_on(database: Database[Document], place: int, limit: int) -> ReadEntries:
    """Reads the entries after `place`, at most `limit`, as a majority has them. Raises PyMongoError."""
    entries: list[Entry] = []
    expected = place
    for document in database["log"].find({"_id": {"$gt": place}}).sort("_id", 1).limit(limit):
        expected += 1
        entry = entry_from(document)
        if entry is None and not entries:
            return ReadEntries(entries=(), cut=True)
        if entry is None or document["_id"] != expected:
            break
        entries.append(entry)
    return ReadEntries(entries=tuple(entries))


def read_end(database: Database[Document]) -> Found:
    """Reads how far the log goes; what anybody was told of before this began stands there or before it.

    Only a write shows who is primary, and that all before it is there: one that a majority has comes after
    whatever a majority had when it began, and what is read after it, in one causally consistent session, has both.
    (A linearizable read does the same with a write of its own, for which the server takes a tenth of a second.)
    Raises PyMongoError.
    """

    def read(database: Database[Document], session: ClientSession) -> Found:
        database[COUNTERS].update_one({"_id": LOOKS}, {"$inc": {"value": 1}}, upsert=True, session=session)
        last = database["log"].find_one({}, {"_id": 1}, sort=[("_id", -1)], session=session)
        return Found(place=NOWHERE if last is None else int(last["_id"]))

    return _consistently(database, read)


def read_place(database: Database[Document], place: int) -> Document | None:
    """Reads what stands at a place, as a majority has it. Raises PyMongoError."""
    return database["log"].find_one({"_id": place})


def read_made(database: Database[Document]) -> int | None:
    """Reads up to which entry the books say they are made; None if there are no books. Raises PyMongoError."""
    post = database["posts"].find_one({"_id": POST}, {"made": 1})
    return None if post is None else post["made"]


_Read = Callable[[Database[Document], ClientSession], _T]


def _consistently(database: Database[Document], read: _Read[_T]) -> _T:
    try:
        return _in_a_session(database, read)
    except ConfigurationError as error:
        if not lacks_sessions(error):
            raise
    again = connect_again(database)
    try:
        return _in_a_session(again, read)
    finally:
        again.client.close()


def _in_a_session(database: Database[Document], read: _Read[_T]) -> _T:
    with database.client.start_session(causal_consistency=True) as session:
        for _ in range(_TRIES):
            with contextlib.suppress(_Cut):
                return read(database, session)
    raise LedgerError("the log was cut beyond what the books hold; restore the books, or begin with --fresh")


def _read_post(database: Database[Document], session: ClientSession) -> tuple[Post, int]:
    """The post as the books have it, and up to which entry they are made."""
    document = database["posts"].find_one({"_id": POST}, session=session)
    return (Post(), NOWHERE) if document is None else (post_from(document), document["made"])


def _by_id(collection: Collection[Document], ids: list[str], session: ClientSession) -> Iterable[Document]:
    return collection.find({"_id": {"$in": ids}}, session=session) if ids else ()


def _read_log(
    database: Database[Document], session: ClientSession, made: int, most_entries: int = 0
) -> tuple[Entry, ...]:
    """The entries after `made`."""
    found = database["log"].find({"_id": {"$gte": max(made, 0)}}, session=session).sort("_id", 1)
    entries: list[Entry] = []
    expected = max(made, 0)
    for document in found.limit(most_entries + 1 if most_entries else 0):
        if document["_id"] != expected:
            break
        expected += 1
        if document["_id"] > made:
            entry = entry_from(document)
            if entry is None:
                raise _Cut
            entries.append(entry)
    if made != NOWHERE and expected == made:
        raise LedgerError(
            f"the books are made up to entry {made}, which is not in the log: the log was restored from an older "
            "state than the books; restore both from the same one, or drop the collections requests, deposits and "
            "posts, and they are made again from the log as it is"
        )
    return tuple(entries)
