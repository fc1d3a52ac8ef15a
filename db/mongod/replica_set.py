"""A replica set of the town's own: grown from a set of one, one member after the other, while it is in use.

It begins as a set of one, so a town is open as soon as its first `mongod` is. Every further `mongod` is started
empty, asks the primary to be let in (`admit`), copies the books, and is given a vote when `db.mongod.votes` says so.
Whoever runs the primary sees to the votes; several that change the configuration at once do no harm, for the server
takes one change at a time, and who came too late looks again.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from pymongo import MongoClient, ReadPreference
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from db.mongod.set_of_one import FAILOVER_SETTINGS, NOT_YET_INITIALIZED, SET_NAME
from db.mongod.votes import Replica, SetView, Vote
from db.refusals import what_to_do
from db.uri import with_nodes, with_options
from peers.errors import LedgerError
from peers.waiting import wait_until

Document = dict[str, Any]

PARAMETERS: Mapping[str, object] = {
    # A primary that is asked to end hands over to another first; then it would wait 15 s for readers that are gone.
    "shutdownTimeoutMillisForSignaledShutdown": 500,
    # Whoever copies from a primary that freezes waits for it for so long, and half a second; meanwhile the next
    # primary has no majority. With the usual 5 s that was most of the time without trade.
    "oplogNetworkTimeoutBufferSeconds": 1,
    # Then it would ask the same primary once more, which takes 3 s, before it looks for another.
    "oplogFetcherSteadyStateMaxFetcherRestarts": 0,
}
"""What a member is started with, besides what every `mongod` of ours is."""

# No settings: a member looks for its own address among those of the set before it says anything of these.
_LOADS_S = 30.0
_LOADING_S = 0.05

_ASK_S = 1.5
"""No setting: how long one question to the set may take; it is asked again and again."""

_LEAVING = {"leaving": "yes"}
_ANY = ReadPreference.PRIMARY_PREFERRED
_NO_CHANGE_NOW = frozenset((103, 109, 308))
"""The server's error codes for a change of the set that has to wait for another one, or was overtaken by it."""


def set_uri(uri: str, addresses: tuple[str, ...]) -> str:
    """Returns the address of the whole set, made from that of one member; `addresses`: all that are known."""
    return with_nodes(with_options(uri, {"directConnection": None, "replicaSet": SET_NAME}), addresses)


class ReplicaSet:
    """The set at `uri`, as somebody who may change it. For one thread; every method raises LedgerError if the set
    does not answer."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        limit_ms = round(_ASK_S * 1000)
        limits: Document = {"serverSelectionTimeoutMS": limit_ms, "connectTimeoutMS": limit_ms}
        self._client = MongoClient[Document](uri, socketTimeoutMS=2 * limit_ms, heartbeatFrequencyMS=500, **limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of all connections."""
        self._client.close()

    def look(self) -> SetView:
        """Returns the set as its primary sees it, or another member where there is none. Raises LedgerError."""
        try:
            config = self._config()
            status: Document = self._client.admin.command("replSetGetStatus", read_preference=_ANY)
        except PyMongoError as error:
            raise LedgerError(what_to_do(error, self._uri)) from error
        seen = {each["_id"]: each for each in status["members"]}
        newest = next((each["optimeDate"] for each in seen.values() if each["stateStr"] == "PRIMARY"), None)
        return SetView(tuple(_replica(each, seen.get(each["_id"], {}), newest) for each in config["members"]))

    def admit(self, address: str, *, most: int, formerly: str | None = None) -> bool:
        """Lets a member in that listens at `address`, without a vote, if there are fewer than `most`; or has the one
        that was at `formerly` be called at `address` now. Returns whether it belongs to the set.

        Raises LedgerError."""
        try:
            config = self._config()
            members: list[Document] = config["members"]
            there = next((each for each in members if each["host"] == address), None)
            if there is not None:
                if not there.get("tags"):
                    return True
                there["tags"] = {}
                return self._reconfigure(config)
            before = next((each for each in members if each["host"] == formerly), None)
            if before is not None:
                before["host"], before["tags"] = address, {}
            elif len(members) >= most:
                return False
            else:
                number = max(each["_id"] for each in members) + 1
                members.append({"_id": number, "host": address, "votes": 0, "priority": 0})
            return self._reconfigure(config)
        except PyMongoError as error:
            raise LedgerError(what_to_do(error, self._uri)) from error

    def expel(self, address: str) -> bool:
        """Takes the vote of the member at `address` away, or, if it has none, takes it out of the set. Returns
        whether it belongs to the set no more. Raises LedgerError."""
        try:
            config = self._config()
            found = next((each for each in config["members"] if each["host"] == address), None)
            if found is None:
                return True
            if found["votes"]:
                found["votes"] = found["priority"] = 0
            else:
                config["members"].remove(found)
            self._reconfigure(config)
        except PyMongoError as error:
            raise LedgerError(what_to_do(error, self._uri)) from error
        return False

    def give(self, vote: Vote, *, leaves: bool = False) -> bool:
        """Changes one vote; returns whether that was done. A member that `leaves` gets none until it is let in again.

        Raises LedgerError."""
        try:
            config = self._config()
            for member in config["members"]:
                if member["_id"] == vote.number:
                    member["votes"] = member["priority"] = vote.votes
                    member["tags"] = _LEAVING if leaves else {}
            return self._reconfigure(config)
        except PyMongoError as error:
            raise LedgerError(what_to_do(error, self._uri)) from error

    def hand_over(self) -> None:
        """Has the primary let another be elected, which has all that it has. Raises LedgerError if it cannot."""
        try:
            self._client.admin.command("replSetStepDown", 10, secondaryCatchUpPeriodSecs=2)
        except AutoReconnect:
            return  # It ends connections as it steps down.
        except PyMongoError as error:
            raise LedgerError(what_to_do(error, self._uri)) from error

    def step_down(self, for_s: float) -> None:
        """Has the primary step down at once, whether or not another is ready, and not be elected for `for_s` (1 or
        more). Raises LedgerError if it cannot."""
        try:
            self._client.admin.command("replSetStepDown", round(for_s), secondaryCatchUpPeriodSecs=0, force=True)
        except AutoReconnect:
            return  # It ends connections as it steps down.
        except PyMongoError as error:
            raise LedgerError(what_to_do(error, self._uri)) from error

    def _config(self) -> Document:
        config: Document = self._client.admin.command("replSetGetConfig", read_preference=_ANY)["config"]
        return config

    def _reconfigure(self, config: Document) -> bool:
        config["version"] += 1
        config["settings"] |= FAILOVER_SETTINGS
        try:
            self._client.admin.command("replSetReconfig", config, maxTimeMS=round(_ASK_S * 1000))
        except OperationFailure as error:
            if error.code not in _NO_CHANGE_NOW:
                raise
            return False
        return True


def call_elsewhere(uri: str, moved: Mapping[str, str]) -> None:
    """Has a set whose members all run here, and listen at other addresses than before, know that: by force, for those
    who do not find each other elect nobody who could be asked. `uri`: of one of them, directly; `moved`: the new
    address of each by its old one. LedgerError if it does not take that."""
    try:
        with MongoClient[Document](uri, serverSelectionTimeoutMS=5000, socketTimeoutMS=5000) as client:
            config: Document = client.admin.command("replSetGetConfig")["config"]
            for member in config["members"]:
                member["host"] = moved.get(member["host"], member["host"])
            config["version"] += 1
            client.admin.command("replSetReconfig", config, force=True)
    except PyMongoError as error:
        raise LedgerError(what_to_do(error, uri)) from error


def members_known_to(uri: str) -> tuple[str, ...]:
    """Returns the addresses of all members, by their numbers, as the one at `uri` has them in its configuration; it
    need not be called there itself. LedgerError if it does not say."""
    try:
        with MongoClient[Document](uri, serverSelectionTimeoutMS=5000, socketTimeoutMS=5000) as client:
            config = wait_until(lambda: _loaded_config(client), _LOADS_S, look_s=_LOADING_S)
    except PyMongoError as error:
        raise LedgerError(what_to_do(error, uri)) from error
    if config is None:
        raise LedgerError("it has no configuration of a set")
    return tuple(each["host"] for each in sorted(config["members"], key=lambda each: int(each["_id"])))


def _loaded_config(client: MongoClient[Document]) -> Document | None:
    """The configuration of a member; None while it still loads it."""
    try:
        config: Document = client.admin.command("replSetGetConfig")["config"]
    except AutoReconnect:
        return None
    except OperationFailure as error:
        if error.code != NOT_YET_INITIALIZED:
            raise
        return None
    return config


def _replica(member: Document, seen: Document, newest: Any) -> Replica:
    state = str(seen.get("stateStr", "UNKNOWN")) if seen.get("health", 0) else "DOWN"
    reached = seen.get("optimeDate")
    lag_s = (newest - reached).total_seconds() if newest is not None and reached is not None else None
    return Replica(
        number=member["_id"],
        address=member["host"],
        votes=round(member["votes"]),
        state=state,
        lag_s=lag_s,
        is_leaving=bool(member.get("tags")),
    )
