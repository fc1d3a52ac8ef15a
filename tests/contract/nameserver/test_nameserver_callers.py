"""The name server among callers that say nothing, stop in the middle, or do not read: all others are served."""

from __future__ import annotations

import contextlib
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from Pyro5 import protocol
from Pyro5.api import Proxy
from Pyro5.errors import TimeoutError as PyroTimeoutError
from Pyro5.serializers import serializers

from nameserver.client import NameServerClient
from nameserver.names import NAME_SERVER_OBJECT
from nameserver.process import NameServerProcess
from peers.core.membership.members import Member
from peers.rpc.security.certificates import ensure_certificates
from peers.rpc.security.tls import TlsFiles
from peers.rpc.transport import HEADER, MAGIC
from tests.helpers.raw_caller import RawCaller
from tests.helpers.silent_callers import MANY, is_sent_away, silent_callers

URI = "PYRO:buyer0@127.0.0.1:4711"
# The time is generous for a busy machine, and far less than waiting for many silent callers one by one would take.
TIMEOUT_S = 30.0

_MEMBER = """
import sys
from pathlib import Path
from nameserver.client import NameServerClient
from nameserver.names import NAME_SERVER_OBJECT
from peers.core.membership.members import Member
from peers.rpc.security.tls import TlsFiles, secure
secure(TlsFiles(Path(sys.argv[2])))
with NameServerClient("127.0.0.1", int(sys.argv[1]), {timeout_s}) as names:
    names.register(Member(rank=0, name="buyer0", role="buyer", uri="{uri}", incarnation=1))
    print([peer.uri for peer in names.peers()])
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NameServerProcess]:
    process = NameServerProcess(log=tmp_path / "nameserver.log")
    process.start()
    yield process
    process.stop()


def serves(server: NameServerProcess) -> bool:
    """Whether a newcomer is registered and found."""
    newcomer = Member(rank=0, name="buyer0", role="buyer", uri=URI, incarnation=1)
    with NameServerClient(server.host, server.port, TIMEOUT_S) as names:
        names.register(newcomer)
        found = [peer.uri for peer in names.peers()] == [URI]
        names.unregister(newcomer)
        return found


def test_many_that_say_nothing_keep_nobody_waiting(server: NameServerProcess) -> None:
    with (
        NameServerClient(server.host, server.port, TIMEOUT_S) as old,
        silent_callers(server.host, server.port) as silent,
    ):
        assert serves(server)
        old.ping()
        assert all(map(is_sent_away, silent))
        old.ping()  # A connection that has been greeted may be idle for as long as it likes.


def test_many_that_say_nothing_keep_no_member_waiting(tmp_path: Path) -> None:
    files = TlsFiles(tmp_path / "tls")
    ensure_certificates(files, ["127.0.0.2"])
    server = NameServerProcess(log=tmp_path / "nameserver.log", tls=files.directory)
    server.start()
    try:
        with silent_callers(server.host, server.port) as silent:
            program = _MEMBER.format(timeout_s=TIMEOUT_S, uri=URI)
            done = subprocess.run(
                [sys.executable, "-c", program, str(server.port), str(files.directory)],
                capture_output=True,
                text=True,
                timeout=2 * TIMEOUT_S,
                check=False,
            )
            assert (done.returncode, done.stdout.strip()) == (0, str([URI])), done.stderr
            assert all(map(is_sent_away, silent))
    finally:
        server.stop()


def test_a_stranger_without_tls_is_sent_away_and_no_member_notices(tmp_path: Path) -> None:
    files = TlsFiles(tmp_path / "tls")
    ensure_certificates(files, ["127.0.0.2"])
    server = NameServerProcess(log=tmp_path / "nameserver.log", tls=files.directory)
    server.start()
    try:
        with silent_callers(server.host, server.port, 1) as [stranger]:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
            assert is_sent_away(stranger)
        assert server.alive()
    finally:
        server.stop()


def test_one_that_does_not_speak_pyro_is_sent_away(server: NameServerProcess) -> None:
    with silent_callers(server.host, server.port, 1) as [browser]:
        browser.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: a browser\r\n\r\n")
        assert is_sent_away(browser)
    assert serves(server)


def test_one_that_stops_in_the_middle_keeps_nobody_waiting(server: NameServerProcess) -> None:
    with Proxy(f"PYRO:Pyro.NameServer@{server.host}:{server.port}") as stopped:
        stopped._pyroBind()
        stopped._pyroConnection.send(HEADER.pack(b"PYRO", 0, 1, 1000, 0, MAGIC) + b"and then nothing")
        assert serves(server)


def test_one_that_does_not_read_keeps_nobody_waiting(server: NameServerProcess) -> None:
    with Proxy(f"PYRO:Pyro.NameServer@{server.host}:{server.port}") as deaf:
        deaf._pyroBind()
        deaf.register("town.long", URI, metadata=["x" * 100_000])
        deaf._pyroConnection.settimeout(0.2)
        with pytest.raises(PyroTimeoutError):  # The server takes no more of its calls.
            _ask_without_end(deaf)
        assert serves(server)
        # The answers to what it asked before come all the same, whole.
        deaf._pyroConnection.settimeout(TIMEOUT_S)
        for _ in range(3):
            answer = protocol.recv_stub(deaf._pyroConnection, [protocol.MSG_RESULT])
            assert answer.data_size > 100_000


def _ask_without_end(proxy: Proxy) -> None:
    packed = serializers["msgpack"]
    payload = packed.dumpsCall("Pyro.NameServer", "list", (), {"return_metadata": True})
    call = protocol.SendingMessage(protocol.MSG_INVOKE, 0, 1, packed.serializer_id, payload)
    while True:
        proxy._pyroConnection.send(call.data)


def test_more_callers_than_sockets_keep_nobody_waiting_for_long(server: NameServerProcess) -> None:
    assert server.pid is not None
    if sys.platform != "linux":
        pytest.skip("elsewhere a process cannot be given another limit")
    psutil.Process(server.pid).rlimit(resource.RLIMIT_NOFILE, (50, 50))
    with silent_callers(server.host, server.port) as silent:
        assert serves(server)
        assert all(map(is_sent_away, silent))
    assert serves(server)


def test_many_that_greet_and_then_say_nothing_make_room_for_others(server: NameServerProcess) -> None:
    assert server.pid is not None
    server.stop()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, limit[1]))  # The next process has half of that for its callers.
    try:
        server.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    with contextlib.ExitStack() as stack:
        idle = [
            stack.enter_context(RawCaller((server.host, server.port))).greet(NAME_SERVER_OBJECT) for _ in range(MANY)
        ]
        assert serves(server)
        assert all(is_sent_away(each.sock) for each in idle[: MANY - 100])
