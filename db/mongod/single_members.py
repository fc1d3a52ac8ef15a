"""Members of a replica set, each asked by itself at the port it listens on: for who breaks them and looks on.

A set that is made this way has all its members from the beginning. That of a town grows (`replica_set`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from db.mongod.set_of_one import FAILOVER_SETTINGS, SET_NAME
from db.refusals import what_to_do
from peers.errors import LedgerError

_HOST = "127.0.0.1"
_ANSWER_MS = 1000
_PRIMARY = 1

_Client = MongoClient[dict[str, Any]]


def begin_set(port: int, addresses: Sequence[str]) -> None:
    """Makes one set of members that run and are empty, one of them at `port`; `addresses` are those by which members
    and clients call them. LedgerError if that is refused."""
    members = [{"_id": number, "host": address} for number, address in enumerate(addresses)]
    try:
        with _direct(port) as client:
            config = {"_id": SET_NAME, "members": members, "settings": FAILOVER_SETTINGS}
            client.admin.command("replSetInitiate", config)
    except PyMongoError as error:
        raise LedgerError(what_to_do(error, f"mongodb://{_HOST}:{port}")) from error


def address_of_set(addresses: Sequence[str], database: str) -> str:
    """Returns the address of that set, and of a database there, for a town."""
    return f"mongodb://{','.join(addresses)}/{database}?replicaSet={SET_NAME}"


def is_whole(ports: Sequence[int]) -> bool:
    """Whether all members follow one primary, as each of them sees it, and each has got something from it: one that
    has only just come back may take a while to find whom to copy from."""
    seen = []
    for port in ports:
        with suppress(PyMongoError), _direct(port) as client:
            status = client.admin.command("replSetGetStatus")
            states = sorted(each["stateStr"] for each in status["members"])
            if states != ["PRIMARY", *["SECONDARY"] * (len(ports) - 1)]:
                return False
            primary = next(each["name"] for each in status["members"] if each["stateStr"] == "PRIMARY")
            applied = status["optimes"]["appliedOpTime"]["t"]
            seen.append(
                (status["term"], applied, primary if status["myState"] == _PRIMARY else status["syncSourceHost"])
            )
    return len(seen) == len(ports) and len(set(seen)) == 1 and all(term == applied for term, applied, _ in seen)


def takes_writes(port: int) -> bool:
    """Whether the member there takes itself for the primary; False if it does not answer."""
    with suppress(PyMongoError), _direct(port) as client:
        return bool(client.admin.command("hello")["isWritablePrimary"])
    return False


@contextmanager
def held_back(port: int) -> Iterator[None]:
    """Has a member take nothing in for as long as this lasts; it goes on answering. LedgerError if it refuses."""
    with _direct(port) as client:
        try:
            client.admin.command("fsync", lock=True)
        except PyMongoError as error:
            raise LedgerError(what_to_do(error, f"mongodb://{_HOST}:{port}")) from error
        try:
            yield
        finally:
            with suppress(PyMongoError):  # It has ended, and takes in all there is when it comes back.
                client.admin.command("fsyncUnlock")


def _direct(port: int) -> _Client:
    uri = f"mongodb://{_HOST}:{port}/?directConnection=true"
    return _Client(uri, serverSelectionTimeoutMS=_ANSWER_MS, socketTimeoutMS=_ANSWER_MS)
