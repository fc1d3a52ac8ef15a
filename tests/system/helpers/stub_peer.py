"""A peer that only speaks the channel: for tests of the town that need no market."""

from __future__ import annotations

import os
import socket
import threading

import msgspec
from Pyro5.api import Daemon, expose

from nameserver.client import NameServerClient
from peers.core.membership.members import Member, Snapshot
from peers.core.names import peer_name
from peers.core.reports import Elected, Opened
from peers.endpoints import endpoint
from peers.rpc.wire import unpack_member
from peers.runtime.spec import Begin, Believed, Finished, PeerSpec, Quiesce, Ready, TellBelief, Told, ToPeer


@expose
class Stub:
    def __init__(self, spec: PeerSpec) -> None:
        self._spec = spec
        self.snapshot: Snapshot | None = None

    def ping(self) -> str:
        return self._spec.name

    def status(self) -> dict[str, object]:
        return {"name": self._spec.name, "neighbours": [], "term": 1, "trader": None}

    def introduce(self, packed: bytes) -> bytes:
        assert self.snapshot is not None
        member = unpack_member(packed)
        self.snapshot = msgspec.structs.replace(self.snapshot, members=(*self.snapshot.members, member))
        return msgspec.msgpack.encode(self.snapshot)


def run_stub(spec: PeerSpec, channel: socket.socket) -> None:
    """Ready; opened, and in office if of the highest rank; finished."""
    assert threading.active_count() == 1
    stub = Stub(spec)
    with Daemon(host=spec.host) as daemon, channel.makefile("rwb") as lines:
        uri = str(daemon.register(stub, spec.name))
        threading.Thread(target=daemon.requestLoop, daemon=True).start()
        member = Member(
            rank=spec.rank,
            name=spec.name,
            role=spec.role,
            uri=uri,
            incarnation=spec.incarnation,
            nameserver=endpoint(spec.nameserver_host, spec.nameserver_port),
        )
        with NameServerClient(spec.nameserver_host, spec.nameserver_port) as names_client:
            names_client.register(member)

        def say(message: object) -> None:
            lines.write(msgspec.json.encode(message) + b"\n")
            lines.flush()

        say(Ready(member=member, pid=os.getpid()))
        for line in lines:
            message = msgspec.json.decode(line, type=ToPeer)
            if isinstance(message, TellBelief):
                say(Believed(name=spec.name, checksum=0, snapshot=stub.snapshot))
                continue
            if isinstance(message, Quiesce):
                continue
            if not isinstance(message, Begin):
                say(Finished(name=spec.name))
                return
            stub.snapshot = message.snapshot
            ranks = {m.rank for m in message.snapshot.members}
            links = [b if a == spec.rank else a for a, b in message.snapshot.edges if spec.rank in (a, b)]
            names = {m.rank: peer_name(m.role, m.rank) for m in message.snapshot.members}
            say(Told(report=Opened(peer=spec.name, role=spec.role, neighbours=tuple(names[r] for r in links))))
            if spec.rank == max(ranks):
                say(Told(report=Elected(peer=spec.name, rank=spec.rank, term=1, pending=0, took_ms=1.0)))


def run_broken(spec: PeerSpec, channel: socket.socket) -> None:
    """A peer that cannot start."""
    del channel
    raise RuntimeError(f"{spec.name} is broken")
