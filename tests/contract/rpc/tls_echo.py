"""One end of a TLS connection, as a process of its own, for TLS is set for a whole process.

`serve HOST DIR` says its port and answers until its standard input ends; `call HOST PORT DIR|-` makes one call (`-`:
without any certificate) and says what came of it; `line HOST PORT DIR` makes some as peers do.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from Pyro5.api import Daemon, Proxy, expose
from Pyro5.errors import CommunicationError

from peers.rpc.rpc_connection import RpcConnection, Silent
from peers.rpc.security.tls import TlsFiles, check_member, secure


@expose
class Echo:
    def echo(self, word: str) -> str:
        return word

    def hang(self) -> None:
        time.sleep(2)


class MembersOnly(Daemon):  # type: ignore[misc]
    def validateHandshake(self, conn: Any, data: Any) -> str:  # noqa: N802, ARG002 - Pyro5's name and arguments
        check_member(conn)
        return "welcome"


def serve(host: str, directory: str) -> None:
    secure(TlsFiles(Path(directory)))
    with MembersOnly(host=host) as daemon:
        daemon.register(Echo(), "echo")
        threading.Thread(target=daemon.requestLoop, daemon=True).start()
        print(daemon.locationStr.rpartition(":")[2], flush=True)
        sys.stdin.read()
        daemon.shutdown()


def call(host: str, port: str, directory: str) -> None:
    if directory != "-":
        secure(TlsFiles(Path(directory)))
    with Proxy(f"PYRO:echo@{host}:{port}") as proxy:
        proxy._pyroTimeout = 5
        try:
            print("answered", proxy.echo("fish"))
        except CommunicationError as error:
            print("refused", error)


def line(host: str, port: str, directory: str) -> None:
    secure(TlsFiles(Path(directory)))
    line = RpcConnection(f"PYRO:echo@{host}:{port}", 5.0)
    whole = all(line.call("echo", "x" * size) == "x" * size for size in (1, 20_000, 1_000_000))
    line.close()
    hurried = RpcConnection(line.uri, 1.0)
    try:
        hurried.call("hang")
    except Silent:
        print("whole" if whole else "broken", hurried.call("echo", "fish"))
    hurried.close()


if __name__ == "__main__":
    commands: dict[str, Callable[..., None]] = {"serve": serve, "call": call, "line": line}
    commands[sys.argv[1]](*sys.argv[2:])
