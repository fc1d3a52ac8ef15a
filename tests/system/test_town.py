"""The town around its peers, with peers that only speak the channel: starting, dying, joining, ending."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.helpers.waiting import wait_until
from tests.system.helpers.towns import RunningTown, Window, bazaar, stub_town

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

Start = Callable[..., RunningTown]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    towns = []

    def start_one(name: str = "town", **options: object) -> RunningTown:
        town = stub_town(tmp_path / name, **options)  # type: ignore[arg-type]
        towns.append(town)
        return town

    yield start_one
    for town in reversed(towns):
        town.kill()


def test_ctrl_c_ends_everything_in_order(start: Start) -> None:
    town = start(seed=7)
    town.says("I am the new coordinator")
    wait_until(lambda: len(town.network()) == 4, "the graph is written")
    # At least the name server, mongod, the forkserver and four peers run.
    assert len(town.note_family()) >= 7
    town.interrupt()
    assert town.wait() == 0, town.text
    town.left_nothing()
    assert "audit: holds" in town.text
    assert "Traceback" not in town.text
    assert town.state()["phase"] == "closed"
    assert town.peers() == {}


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_the_second_ctrl_c_kills(start: Start, number: signal.Signals) -> None:
    town = start()
    town.says("I am the new coordinator")
    for peer in town.note_family():
        peer.send_signal(signal.SIGSTOP)
    town.process.send_signal(number)
    town.says("the market closes")
    town.process.send_signal(number)
    assert town.wait(10) == 130
    town.left_nothing()


@pytest.mark.parametrize(
    "left",
    ["", *(pytest.param(each, marks=pytest.mark.long) for each in ('{"phase": "clos', '{"phase": "of another"}'))],
)
def test_state_files_that_a_loss_of_power_left_torn_do_not_keep_the_town(start: Start, left: str) -> None:
    first = start()
    first.says("I am the new coordinator")
    first.interrupt()
    assert first.wait() == 0, first.text
    for name in ("town.json", "network.json"):
        (first.directory / name).write_text(left)
    audit = bazaar("audit", "--dir", str(first.directory))
    assert (audit.returncode, "Traceback" in audit.stderr) == (0, False), audit.stderr
    assert "town.json is torn" in audit.stderr
    again = start()
    again.says("I am the new coordinator")
    assert "town.json is torn" in again.text
    again.interrupt()
    assert again.wait() == 0, again.text
    assert "audit: holds" in again.text
    assert again.state()["phase"] == "closed"
    assert bazaar("audit", "--dir", str(again.directory)).stderr == ""


def test_a_background_job_under_nohup_outlives_its_terminal_and_ends_by_kill_int(start: Start) -> None:
    """`nohup` has it ignore SIGHUP, which is meant, and a shell SIGINT, which is not."""
    town = start(ignores="HUP INT")
    town.says("I am the new coordinator")
    town.note_family()
    # A second signal that the town heeded would kill it at once.
    for number in (signal.SIGHUP, signal.SIGINT):
        town.process.send_signal(number)
    assert town.wait() == 0, town.text
    town.left_nothing()
    assert "audit: holds" in town.text


@pytest.fixture
def heeded_hangup() -> Iterator[None]:
    """Whoever runs the tests under `nohup` has them, and so the town, ignore SIGHUP."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("heeded_hangup")
def test_the_end_of_its_terminal_ends_it_in_order(start: Start) -> None:
    town = start()
    town.says("I am the new coordinator")
    town.note_family()
    town.process.send_signal(signal.SIGHUP)
    town.says("the market closes")
    town.process.send_signal(
        signal.SIGHUP
    )  # A shell hangs up its jobs, and the kernel does when the shell has ended.
    assert town.wait() == 0, town.text
    town.left_nothing()
    assert "audit: holds" in town.text


@pytest.mark.usefixtures("heeded_hangup")
def test_a_window_that_is_closed_ends_the_town_in_it_in_order(tmp_path: Path) -> None:
    directory, out = tmp_path / "town", tmp_path / "said.txt"
    window = Window(
        [sys.executable, "-m", "peers.cli", "run", "localhost", "4", "--dir", str(directory)], directory, out
    )
    town = window.shell
    try:
        town.says(" bought ")
        town.note_family()
        window.close()
        town.wait()
        wait_until(lambda: not town.left(), "the town in the window ends")
        assert "audit: holds" in town.text, town.text
        assert town.state()["phase"] == "closed"
        assert "Traceback" not in town.text
    finally:
        window.close()
        town.kill()


def test_ctrl_c_while_it_starts(start: Start) -> None:
    town = start(n=30)
    town.says("the trading post: 30 peers")
    town.interrupt()
    assert town.wait() == 130, town.text
    town.left_nothing()
    assert "Traceback" not in town.text


def test_hung_peers_do_not_keep_the_town(start: Start) -> None:
    town = start()
    town.says("I am the new coordinator")
    victim = wait_until(lambda: next(iter(town.peers().values()), None), "a peer answers")
    psutil.Process(victim["pid"]).suspend()
    town.interrupt()
    assert town.wait() == 0, town.text
    assert f"killed, for they did not end in 4 s: {victim['name']}" in town.text
    town.left_nothing()


def test_a_killed_town_leaves_nothing(start: Start) -> None:
    town = start()
    town.says("I am the new coordinator")
    wait_until(lambda: len(town.peers()) == 4, "all peers answer, and are known by their processes")
    psutil.Process(next(iter(town.peers().values()))["pid"]).suspend()
    town.note_family()
    town.process.kill()
    town.wait()
    town.left_nothing()


def test_a_killed_town_can_be_started_again(start: Start) -> None:
    town = start(seed=11)
    town.says("I am the new coordinator")
    town.note_family()
    town.process.kill()
    town.wait()
    again = start(duration_s=0.2)
    assert again.wait() == 0, again.text
    assert "seed 11" in again.text


def test_a_peer_that_dies_is_told_of(start: Start) -> None:
    town = start(n=5)
    town.says("I am the new coordinator")
    victim = wait_until(lambda: town.peers().get("buyer0") or town.peers().get("seller0"), "a peer of rank 0")
    psutil.Process(victim["pid"]).kill()
    town.says(f"{victim['name']} (process {victim['pid']}) died: killed by SIGKILL")
    wait_until(lambda: len(town.network()) == 4, "the graph is without it")
    status = json.loads(bazaar("status", "--json", "--dir", str(town.directory)).stdout)
    assert {peer["name"]: peer["alive"] for peer in status["peers"]}[victim["name"]] is False
    assert sum(peer["alive"] for peer in status["peers"]) == 4
    town.interrupt()
    town.wait()
    town.left_nothing()


def test_services_are_started_again(start: Start) -> None:
    town = start()
    town.says("I am the new coordinator")
    state = town.state()
    psutil.Process(state["nameserver_pid"]).kill()
    town.says("the name server is back")
    psutil.Process(state["mongod_pid"]).kill()
    town.says("mongod is back")
    status = json.loads(bazaar("status", "--json", "--dir", str(town.directory)).stdout)
    assert status["nameserver"] == {"host": "127.0.0.1", "port": state["nameserver_port"], "alive": True}
    assert all(peer["alive"] for peer in status["peers"])
    town.interrupt()
    assert town.wait() == 0, town.text
    town.left_nothing()


def test_status_of_a_running_town(start: Start) -> None:
    town = start(n=3)
    town.says("I am the new coordinator")
    peers = wait_until(lambda: town.peers() if len(town.peers()) == 3 else None, "three peers")
    hung = next(iter(peers.values()))
    psutil.Process(hung["pid"]).suspend()
    done = bazaar("status", "--json", "--dir", str(town.directory))
    assert done.returncode == 0, done.stderr
    status = json.loads(done.stdout)
    assert status["mongo_uri"].startswith("mongodb://127.0.0.1:")
    assert (status["database"], status["phase"]) == ("bazaar", "open")
    assert {peer["name"] for peer in status["peers"]} == set(peers)
    for peer in status["peers"]:
        assert peer.keys() >= {"name", "rank", "role", "pid", "uri", "neighbours", "alive"}
        assert peer["pid"] == peers[peer["name"]]["pid"]
        assert peer["alive"] is (peer["name"] != hung["name"])
    assert "alive" in bazaar("status", "--dir", str(town.directory)).stdout


def test_one_more_joins_and_leaves(start: Start) -> None:
    town = start(n=4)
    town.says("the market opens")
    guest = start(n=2)
    guest.says("2 peers have joined")
    wait_until(lambda: {peer["rank"] for peer in town.peers().values()} == set(range(6)), "six peers")
    guest.interrupt()
    assert guest.wait() == 0, guest.text
    assert "the town goes on" in guest.text
    guest.left_nothing()
    assert town.process.poll() is None
    third = start(n=1)
    third.says("1 peer has joined")
    assert 6 in {peer["rank"] for peer in town.peers().values()}, "a rank is never given twice"
    third.note_family()
    town.interrupt()
    assert town.wait() == 0, town.text
    assert third.wait() == 0, third.text
    assert "the town closes" in third.text
    third.left_nothing()
    town.left_nothing()


def test_joining_by_the_name_server_alone(start: Start) -> None:
    town = start()
    town.says("the market opens")
    state = town.state()
    where = f"127.0.0.1:{state['nameserver_port']}"
    guest = start("elsewhere", n=2, nameserver=where)
    guest.says("2 peers have joined")

    def all_six() -> bool:
        status = json.loads(bazaar("status", "--json", "--dir", str(guest.directory)).stdout)
        return len(status["peers"]) == 6

    wait_until(all_six, "the peers of both terminals in the status of one that joined")
    guest.interrupt()
    assert guest.wait() == 0, guest.text
    guest.left_nothing()


def test_two_towns_side_by_side(start: Start) -> None:
    one, two = start("one"), start("two")
    for town in (one, two):
        town.says("I am the new coordinator")
    assert one.state()["nameserver_port"] != two.state()["nameserver_port"]
    assert one.state()["mongo_uri"] != two.state()["mongo_uri"]
    for town in (one, two):
        town.interrupt()
    for town in (one, two):
        assert town.wait() == 0, town.text
        town.left_nothing()


def test_a_peer_that_cannot_start_is_named(start: Start) -> None:
    town = start(target="tests.system.helpers.stub_peer:run_broken")
    assert town.wait() != 0
    assert "could not start: " in town.text
    assert "exit code 1" in town.text


def test_a_taken_port_is_named(start: Start) -> None:
    town = start("one")
    town.says("the market opens")
    other = start("two", nameserver_port=town.state()["nameserver_port"])
    assert other.wait() != 0
    assert f"port {town.state()['nameserver_port']}" in other.text


def test_a_hundred_peers_start_in_seconds(start: Start) -> None:
    town = start(n=100, picture=False)
    town.says("are ready after", patience_s=20)
    town.says("I am the new coordinator")
    town.interrupt()
    assert town.wait() == 0, town.text
    town.left_nothing()


def test_the_picture_is_drawn(start: Start) -> None:
    town = start()
    wait_until((town.directory / "network.png").exists, "a picture")
    assert (town.directory / "network.png").read_bytes().startswith(b"\x89PNG")
    town.interrupt()
    assert town.wait() == 0, town.text
