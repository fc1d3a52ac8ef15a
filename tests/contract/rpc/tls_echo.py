"""One end of a TLS connection, as a process of its own, for TLS is set for a whole process.

`serve HOST DIR` says its port and answers until its standard input ends; `call HOST PORT DIR|-` makes one call (`-`:
without any certificate) and says what came of it; `line HOST PORT DIR` makes some as peers do.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from Pyro5.api import Proxy, expose
from Pyro5.errors import CommunicationError

from peers.rpc.rpc_connection import RpcConnection, Silent
from peers.rpc.security.tls import TlsFiles, secure
from peers.rpc.serving.server import Server


@expose
class Echo:
    def echo(self, word: str) -> str:
        return word

    def hang(self) -> None:
        time.sleep(2)


def serve(host: str, directory: str) -> None:
    secure(TlsFiles(Path(directory)))
    server = Server(host, Echo(), "echo")
    server.start()
    print(server.uri.rpartition(":")[2], flush=True)
    sys.stdin.read()
    server.close()


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
