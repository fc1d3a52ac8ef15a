"""Has a mongod that was started with `--replSet` be a replica set of one member, reached at one address.

Only a replica set says what a majority has, hence a set of one. As a program it does so for a mongod that others
run, such as that of docker-compose.yml: `python -m db.mongod.set_of_one @FILE KEY` returns once the set takes writes.
FILE holds its address, with the user and the password that are made where it knows none yet; KEY is the file by which
its members know each other, for whoever has that may do all.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from db.mongod.guard import make_user
from db.uri import with_options
from peers.books_address import address_given, without_secrets
from peers.endpoints import endpoint
from peers.errors import BazaarError
from peers.waiting import wait_until

SET_NAME = "bazaar"

# Error codes of the server.
NOT_YET_INITIALIZED = 94
ALREADY_INITIALIZED = 23

# No settings: a mongod that recovers large books takes a while, and looking again costs next to nothing.
_PATIENCE_S = 120.0
_LOOK_S = 0.1


FAILOVER_SETTINGS = {
    "electionTimeoutMillis": 1000,
    "heartbeatIntervalMillis": 200,
    "heartbeatTimeoutSecs": 2,
    # Whoever is elected has all that a majority had. Waiting for longer is waiting for the one that fell; meanwhile
    # the others find that they cannot copy from the new primary yet, and only look again a second later.
    "catchUpTimeoutMillis": 200,
    # Everybody copies from the primary. Otherwise one copies from another, and if that one's disk stalls, the first
    # stays behind with it for half a minute: then a majority has nothing new, though only one member is unwell.
    "chainingAllowed": False,
}
"""What a set that is to fail over within seconds is told; the server's own values are for half a minute."""


def first_config(address: str) -> dict[str, object]:
    """Returns what such a set is initiated with."""
    # Alone, it elects itself at once; should that fail on a busy machine, it tries again after a second.
    return {"_id": SET_NAME, "members": [{"_id": 0, "host": address}], "settings": FAILOVER_SETTINGS}


def configure_set(client: MongoClient[dict[str, object]], address: str) -> bool:
    """Initiates the set, or tells it its new address: it was last run at another. Returns whether it is one of one.

    A set that others have joined is left as it is: forced to be one of one, it would have two lives.
    PyMongoError where that does not work; AutoReconnect among them means that one may look again."""
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != NOT_YET_INITIALIZED:
            raise
        _initiate(client, address)
        return True
    if len(config["members"]) > 1:
        return False
    if config["members"][0]["host"] == address:
        return True
    config["members"] = [{**config["members"][0], "host": address}]
    config["version"] += 1
    client.admin.command("replSetReconfig", config, force=True)
    return True


def _initiate(client: MongoClient[dict[str, object]], address: str) -> None:
    try:
        client.admin.command("replSetInitiate", first_config(address))
    except OperationFailure as error:
        if error.code != ALREADY_INITIALIZED:
            raise
        # It has a configuration, and was still loading it when it was asked which: so one has to ask it again.
        raise AutoReconnect("the set is loading its configuration") from error


def is_writable(client: MongoClient[dict[str, object]], address: str) -> bool:
    """Configures the set if that is still to be done; returns whether it takes writes by now, or is of several
    members, who decide that among themselves.

    The server ends connections as its state changes: then the answer is no, and one looks again. PyMongoError
    where there is more wrong."""
    with contextlib.suppress(AutoReconnect):
        if not configure_set(client, address):
            return True
        hello = client.admin.command("hello")
        # Without the latter, whoever reads a snapshot is refused: the set has just elected its primary.
        return bool(hello.get("isWritablePrimary")) and _has_majority(hello)
    return False


def _has_majority(hello: Mapping[str, Any]) -> bool:
    """Whether a majority has anything at all that could be read."""
    committed = hello.get("lastWrite", {}).get("majorityOpTime", {}).get("ts")
    return committed is not None and committed.time > 0


def main(given: str, key: str) -> int:
    """Returns the exit code: 0 once the set takes writes, and lets in whom the address names; 2 where it does not."""
    try:
        uri = address_given(given) or ""
        named = parse_uri(uri)
        address = endpoint(*named["nodelist"][0])
        password = Path(key).read_text(encoding="ascii").strip()
    except (BazaarError, PyMongoError, OSError, UnicodeError) as error:
        print(without_secrets(f"the address of the books, or their key, cannot be used: {error}"), file=sys.stderr)
        return 2
    client: MongoClient[dict[str, object]]
    with MongoClient(
        with_options(uri, {"replicaSet": None}),  # It is none yet.
        username="__system",  # So its members call themselves: by the key, whoever else knows it is one.
        password=password,
        authSource="local",
        authMechanism="SCRAM-SHA-256",
        directConnection=True,
        serverSelectionTimeoutMS=500,
    ) as client:
        try:
            if wait_until(lambda: is_writable(client, address), _PATIENCE_S, look_s=_LOOK_S):
                make_user(client, named["username"], named["password"])
                print(f"the books at {address} take writes")
                return 0
            client.admin.command("ping")
            why = "it takes no writes"
        except PyMongoError as error:
            why = str(error)
    print(without_secrets(f"the books at {address} cannot be used: {why}"), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
