"""Has the server itself fail what a ledger asks of it, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient


@contextmanager
def failing(
    client: MongoClient[dict[str, Any]], commands: list[str], mode: object = "alwaysOn", **how: object
) -> Iterator[None]:
    """Makes the server fail these commands of ledgers, and of nobody else."""
    data = {"failCommands": commands, "appName": "bazaar", **how}
    client.admin.command("configureFailPoint", "failCommand", mode=mode, data=data)
    try:
        yield
    finally:
        client.admin.command("configureFailPoint", "failCommand", mode="off")
