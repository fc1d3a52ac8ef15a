"""A town that trades while others attack it: nobody dies, nothing grows, no entry is wrong, and trade goes on.

Who attacks is anybody who reaches its ports: without a certificate, and as a member (without TLS everybody is one).
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from nameserver.names import NAME_SERVER_OBJECT
from peers.endpoints import split_endpoint
from peers.rpc.security.tls import HANDSHAKE_S
from tests.helpers.raw_caller import RawCaller, call, member_context
from tests.helpers.silent_callers import is_sent_away, silent_callers
from tests.helpers.waiting import wait_until
from tests.system.helpers.malformed import Malformed, malformed
from tests.system.helpers.town import Town, running_town

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

BRISK = ("--think-s", "0.02", "--set", "market.restock_probability=1", "--set", "market.period_s=1")
SHARE = 0.2
"""At least so much of the trade before goes on meanwhile: on few processors the attackers take more than the town."""
MORE_MEMORY = 48 * 1024 * 1024
MORE_LOG = 256 * 1024
SLOW = 10


class Target:
    """One port of a town, and the object that is served there."""

    def __init__(self, name: str, where: tuple[str, int], served: str, pid: int) -> None:
        self.name, self.where, self.served, self.pid = name, where, served, pid


class Siege:
    """A town that trades, its three kinds of ports, and how a member calls them."""

    def __init__(self, town: Town) -> None:
        self.town = town
        tls = town.directory / "tls"
        self.context: ssl.SSLContext | None = member_context(tls) if (tls / "member.pem").exists() else None
        status = wait_until(self._settled, "all peers are there, and one is in office")
        server = status["nameserver"]
        pid = json.loads((town.directory / "town.json").read_text())["nameserver_pid"]
        peers = {each["name"]: each for each in status["peers"]}
        other = next(name for name in sorted(peers) if name != status["trader"])
        self.targets = [Target("name server", (server["host"], server["port"]), NAME_SERVER_OBJECT, pid)]
        for kind, name in (("trader", status["trader"]), ("peer", other)):
            served, _, where = peers[name]["uri"].removeprefix("PYRO:").rpartition("@")
            self.targets.append(Target(kind, split_endpoint(where), served, peers[name]["pid"]))
        self.pids = self._pids(status)

    def _settled(self) -> dict[str, Any] | None:
        status = self.town.status()
        return status if status.get("trader") and len(status["peers"]) == 6 else None

    def _pids(self, status: dict[str, Any]) -> list[int]:
        return [self.targets[0].pid, *sorted(each["pid"] for each in status["peers"])]

    def enter(self, target: Target) -> RawCaller:
        return RawCaller(target.where, self.context).greet(target.served)

    def sizes(self) -> dict[str, tuple[int, int, int]]:
        """Of each process attacked: memory, files and threads."""
        found = {}
        for target in self.targets:
            process = psutil.Process(target.pid)
            found[target.name] = (process.memory_info().rss, process.num_fds(), process.num_threads())
        return found

    def log_size(self) -> int:
        return sum(path.stat().st_size for path in (self.town.directory / "logs").iterdir())


@contextlib.contextmanager
def goes_on(siege: Siege) -> Iterator[None]:
    """What happens meanwhile must leave no trace but the time it took."""
    siege.town.sales()  # The first look makes the connection.
    began_s, sold = time.monotonic(), siege.town.sales()
    siege.town.wait_for_sales(60)
    rate = (siege.town.sales() - sold) / (time.monotonic() - began_s)
    before, logged = siege.sizes(), siege.log_size()
    began_s, sold = time.monotonic(), siege.town.sales()
    yield
    took_s = time.monotonic() - began_s
    during = (siege.town.sales() - sold) / took_s
    status = siege.town.status()
    nameserver = json.loads((siege.town.directory / "town.json").read_text())["nameserver_pid"]
    assert [nameserver, *sorted(each["pid"] for each in status["peers"] if each["alive"])] == siege.pids
    print(f"{took_s:.1f} s; {rate:.0f} sales a second before, {during:.0f} meanwhile; {before} -> {siege.sizes()}")
    assert during >= SHARE * rate

    def is_as_before() -> bool:
        after = siege.sizes()
        return all(
            after[name][0] <= memory + MORE_MEMORY and after[name][1] <= files + 8 and after[name][2] <= threads + 3
            for name, (memory, files, threads) in before.items()
        )

    wait_until(is_as_before, f"what it took is given back: {before}, {siege.sizes()}", deadline_s=60)
    assert siege.log_size() - logged < MORE_LOG, "the attackers fill the disk"
    siege.town.wait_for_sales(20)


# Within TLS the same is spoken; who is silent or malformed without it, tests/contract and test_contract.py have too.
@pytest.fixture(params=[pytest.param("plain", marks=pytest.mark.long), "tls"])
def siege(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Siege]:
    options = ["--resign-after", 0, *BRISK, *(["--tls"] if request.param == "tls" else [])]
    with running_town(tmp_path / "town", 6, *options) as town:
        siege = Siege(town)
        yield siege
        assert town.stop() == 0, town.output()[-6000:]


# -- who says nothing, or too slowly -----------------------------------------------------------------------


def _hello(context: ssl.SSLContext) -> bytes:
    """The first words of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


def silent(siege: Siege, many: int = 200) -> None:
    """At each port, many that say nothing, and many that begin a handshake and stop, at once or in the middle."""
    with contextlib.ExitStack() as stack:
        callers = [each for t in siege.targets for each in stack.enter_context(silent_callers(*t.where, many))]
        hello = _hello(siege.context or ssl.create_default_context())
        for number, caller in enumerate(callers):
            if number % 3:
                with contextlib.suppress(OSError):
                    caller.sendall(hello[: len(hello) // (number % 3)])
        began_s = time.monotonic()
        siege.town.wait_for_sales(20)
        assert all(map(is_sent_away, callers))
        assert time.monotonic() - began_s < 30 * HANDSHAKE_S


def members_that_say_nothing(siege: Siege, many: int = 200) -> None:
    """They may: what they take is bounded, and given back."""
    with contextlib.ExitStack() as stack:
        for target in siege.targets:
            for _ in range(many):
                stack.enter_context(siege.enter(target))
        siege.town.wait_for_sales(20)


def slow(siege: Siege, many: int = SLOW) -> None:
    """Those that write a byte at a time, and those that ask for much and do not read it."""
    with contextlib.ExitStack() as stack:
        writers: list[tuple[RawCaller, Iterator[int]]] = []
        for target in siege.targets:
            for _ in range(many):
                reader = stack.enter_context(siege.enter(target))
                reader.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                reader.sock.settimeout(0.05)
                method = "list" if target.served == NAME_SERVER_OBJECT else "status"
                with contextlib.suppress(OSError):
                    for _ in range(1000):
                        reader.sock.sendall(call(target.served, method))
                writers.append((stack.enter_context(siege.enter(target)), iter(call(target.served, "ping"))))
        for _ in range(5):
            for writer, letters in writers:
                writer.sock.sendall(bytes([next(letters)]))
            siege.town.wait_for_sales(5)


# -- who says what makes no sense --------------------------------------------------------------------------


def noise(siege: Siege, many: int = 20) -> None:
    """Random bytes at each port, whatever is spoken there, from somebody who shows no certificate."""
    chance = random.Random(7)
    for target in siege.targets * many:
        with socket.create_connection(target.where, timeout=60) as stranger, contextlib.suppress(OSError):
            stranger.sendall(chance.randbytes(chance.choice((1, 40, 5000, 200_000))))
            stranger.shutdown(socket.SHUT_WR)
            is_sent_away(stranger)


def senseless_calls(siege: Siege, many: int) -> None:
    """As many calls as that to each port, drawn by hypothesis."""
    for target in siege.targets:
        _send_senseless(siege, target, many)


def _send_senseless(siege: Siege, target: Target, many: int) -> None:
    callers: list[RawCaller] = []

    @settings(
        max_examples=many,
        phases=[Phase.generate],
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(malformed(target.served))
    def send(given: Malformed) -> None:
        if not callers:
            callers.append(siege.enter(target))
        try:
            callers[0].sock.sendall(given.data)
            lives = given.whole and callers[0].answer() is not None
        except TimeoutError:
            raise AssertionError(f"the {target.name} neither answers nor hangs up: {given}") from None
        except OSError:
            lives = False
        if not lives:
            callers.pop().close()

    try:
        send()
    finally:
        for caller in callers:
            caller.close()


ATTACKS: list[Callable[[Siege], None]] = [silent, members_that_say_nothing, slow, noise]


def test_attackers_from_outside_change_nothing(siege: Siege) -> None:
    with goes_on(siege):
        for attack in ATTACKS:
            attack(siege)
        senseless_calls(siege, 170)


@pytest.mark.long
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda each: each.__name__)
def test_each_attack_by_itself_changes_nothing(siege: Siege, attack: Callable[[Siege], None]) -> None:
    with goes_on(siege):
        for _ in range(3):
            attack(siege)


@pytest.mark.long
def test_ten_thousand_senseless_calls_change_nothing(siege: Siege) -> None:
    with goes_on(siege):
        senseless_calls(siege, 3400)
