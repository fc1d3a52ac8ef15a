"""The floor under a purchase: an echo through Pyro5, and one durable insert.

Both as bare as they can be: the echo with a plain daemon and plain proxies of Pyro5, with nothing of ours in between,
the insert by the driver's own call into the very database of the town, in a collection without indexes or rules.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
import uuid
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from pymongo import MongoClient
from pymongo.write_concern import WriteConcern
from Pyro5 import config
from Pyro5.client import Proxy
from Pyro5.server import Daemon, expose

_DURABLE = WriteConcern("majority", j=True)


@expose
class Echoing:
    """Says again what it is told."""

    def echo(self, payload: Any) -> Any:
        return payload


def serve_echo(channel: Connection) -> None:
    """The main program of the echo's process: ends when its channel does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    config.SOCK_NODELAY = True  # Otherwise, each answer might wait for an acknowledgement.
    daemon = Daemon("127.0.0.1")
    uri = daemon.register(Echoing(), "echo")
    threading.Thread(target=daemon.requestLoop, name="accept", daemon=True).start()
    channel.send(str(uri))
    channel.poll(None)


class EchoServer:
    """A process that says again what it was sent."""

    def __init__(self) -> None:
        forks = multiprocessing.get_context("forkserver")
        self._channel, theirs = forks.Pipe()
        self._process = forks.Process(target=serve_echo, args=(theirs,), name="echo", daemon=True)
        self._process.start()
        theirs.close()
        self.uri: str = self._channel.recv()

    def __enter__(self) -> EchoServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()
        self._process.join(2.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def echo_proxy(uri: str) -> Proxy:
    """Returns a plain proxy of the echo, for the thread that makes it. It packs as purchases are packed."""
    config.SOCK_NODELAY = True
    proxy = Proxy(uri)
    proxy._pyroSerializer = "msgpack"
    proxy._pyroTimeout = None  # There is not even a timeout, for Pyro5 is slower with one.
    return proxy


class BareInserts:
    """A small document inserted, as often as asked."""

    def __init__(self, uri: str) -> None:
        self._client: MongoClient[dict[str, Any]] = MongoClient(uri)
        self._inserts = self._client.get_database("bench_floor", write_concern=_DURABLE)["inserts"]
        self._run = uuid.uuid4().hex
        self._number = 0

    def once(self) -> None:
        """One insert that a majority has, in its journal."""
        self._number += 1
        sale = {"_id": f"{self._run}-{self._number}", "buyer": "customer-1", "item": "fish", "quantity": 1}
        self._inserts.insert_one(sale)

    def close(self) -> None:
        """Takes the documents away again."""
        self._client.drop_database("bench_floor")
        self._client.close()


def timed_ms(once: Any, count: int) -> list[float]:
    """Calls `once` so often; returns how long each call took."""
    took = []
    for _ in range(count):
        began = time.perf_counter()
        once()
        took.append((time.perf_counter() - began) * 1000)
    return took
