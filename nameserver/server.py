"""The name server, as a process of its own: `python -m nameserver --host H --port P`.

It says where it listens in one JSON line on its standard output, and ends when its standard input does (with
`--lifeline`), so that it cannot outlive the town that started it. There is no broadcast: who wants it is told where
it is, for a lookup by broadcast may find a stranger's. With `--journals` it hands out its machine's journals too.
With `--tls` it speaks to members of the town only.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from Pyro5 import config
from Pyro5.nameserver import NameServer, NameServerDaemon

from nameserver.journal_names import JOURNALS_OBJECT
from nameserver.journal_service import JournalService
from nameserver.names import NAME_SERVER_OBJECT
from nameserver.owners import OwnedNames
from nameserver.reactor import DaemonReactor
from peers.endpoints import split_endpoint
from peers.errors import TownError
from peers.processes import heeded
from peers.rpc.forms.public_errors import send_errors_readably
from peers.rpc.security.identity import Identity
from peers.rpc.security.tls import TlsFiles, check_member, secure
from peers.rpc.transport import configure

PORT_TAKEN = 3
"""The exit code if the port asked for cannot be listened on."""


def main(arguments: list[str] | None = None) -> int:
    """Serves until it is told to stop; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m nameserver", description="A Pyro5 name server for one town.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 has one picked")
    parser.add_argument("--lifeline", action="store_true", help="end when the standard input ends")
    parser.add_argument("--journals", type=Path, metavar="DIR", help="also hand out the journals of this town")
    parser.add_argument("--terminal", default="", help="what the terminal is called whose journals these are")
    parser.add_argument("--tls", type=Path, metavar="DIR", help="serve those with a certificate of this town's only")
    options = parser.parse_args(arguments)
    try:
        _set_up(options.tls)
        daemon = _MembersDaemon(options.host, options.port, options.tls)
    except TownError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"cannot listen on {options.host} port {options.port}: {error.strerror or error}", file=sys.stderr)
        return PORT_TAKEN
    with daemon:
        if options.journals is not None:
            daemon.register(JournalService(options.journals, options.terminal), JOURNALS_OBJECT)
        _serve(daemon, lifeline=options.lifeline)
    return 0


class _MembersDaemon(NameServerDaemon):  # type: ignore[misc]
    """Serves members of the town only, where this process speaks TLS, and keeps entries within bounds."""

    nameserver: NameServer

    def __init__(self, host: str, port: int, tls: Path | None) -> None:
        super().__init__(host=host, port=port)
        owned = OwnedNames(self.nameserver.storage, _machine_of(tls))
        self.unregister(self.nameserver)
        self.register(owned, NAME_SERVER_OBJECT)
        self.nameserver = owned

    def validateHandshake(self, conn: Any, data: Any) -> str:  # noqa: N802, ARG002 - Pyro5's.
        conn.identity = check_member(conn)
        return "welcome"


def _machine_of(tls: Path | None) -> Identity | None:
    """Whom the certificate names that this name server shows, None where it shows none."""
    if tls is None:
        return None
    from peers.rpc.security.certificates import validity_of  # It takes a while to import.

    return validity_of(TlsFiles(tls)).identity


def _set_up(tls: Path | None) -> None:
    configure()
    send_errors_readably()
    if tls is not None:
        secure(TlsFiles(tls))
    # This server's own loop is never entered, for the reactor has one; Pyro's other server would start threads.
    config.SERVERTYPE = "multiplex"


def _serve(daemon: NameServerDaemon, *, lifeline: bool) -> None:
    reactor = DaemonReactor(daemon)

    def end(_signal: int, _frame: FrameType | None) -> None:
        reactor.end()

    for number in heeded(signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    host, port = split_endpoint(daemon.locationStr)
    print(json.dumps({"host": host, "port": port, "pid": os.getpid()}), flush=True)
    if lifeline:
        threading.Thread(target=_exit_with_lifeline, name="lifeline", daemon=True).start()
    reactor.run()


def _exit_with_lifeline() -> None:
    while os.read(0, 1024):
        pass
    # Nothing is kept on disk, so there is nothing to put in order.
    os._exit(0)
