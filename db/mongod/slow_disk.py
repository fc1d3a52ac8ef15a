"""Has the disk of a `mongod` seem slow: whoever flushes its journal is held up by a fail point. For chaos runs."""

from __future__ import annotations

import time
from contextlib import suppress

from pymongo import MongoClient
from pymongo.errors import PyMongoError

_FLUSHER = "pauseJournalFlusherBeforeFlush"
_FREE_S = 0.02  # Between two syncs that are held there is so much time. No setting.
_ASK_S = 1.0


class NoFailPoint(Exception):
    """The `mongod` does not take its fail point: it was not started with `enableTestCommands`, or it ends."""


def hold_syncs(uri: str, held_s: float, lasts_s: float) -> None:
    """Has each flush of the journal of the `mongod` at `uri` wait `held_s` seconds, for `lasts_s`. NoFailPoint if it
    does not take that."""
    until_s = time.monotonic() + lasts_s
    limit_ms = round(_ASK_S * 1000)
    client = MongoClient[dict[str, object]](
        uri, serverSelectionTimeoutMS=limit_ms, connectTimeoutMS=limit_ms, socketTimeoutMS=limit_ms
    )
    with client:
        try:
            while time.monotonic() < until_s:
                client.admin.command("configureFailPoint", _FLUSHER, mode="alwaysOn")
                time.sleep(held_s)
                client.admin.command("configureFailPoint", _FLUSHER, mode="off")
                time.sleep(_FREE_S)
        except PyMongoError as error:
            raise NoFailPoint(f"it did not take its fail point: {error}") from error
        finally:
            _release(client)


def _release(client: MongoClient[dict[str, object]]) -> None:
    """Lets it flush its journal again; one that does not answer has ended, and its fail point with it."""
    with suppress(PyMongoError):
        client.admin.command("configureFailPoint", _FLUSHER, mode="off")
