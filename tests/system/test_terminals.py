"""Terminals that joined: each says what its own peers did and judges what it can see, and outlives the first one."""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from db.mongod.process import MongodProcess
from tests.helpers.waiting import wait_until
from tests.system.helpers.towns import RunningTown, bazaar

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

RUN = (sys.executable, "-m", "peers.cli", "run", "localhost")


class Terminals:
    """A first terminal and one that joined it, each in a directory of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.started: list[RunningTown] = []

    def start(self, name: str, n: int, *options: str) -> RunningTown:
        directory = self.place / name
        command = [*RUN, str(n), "--dir", str(directory), "--think-s", "0.05", *options]
        if "--nameserver" in options:  # The settings are those of the town.
            command = [word for word in command if word not in ("--think-s", "0.05")]
        started = RunningTown(command, directory, self.place / f"{name}.txt")
        self.started.append(started)
        return started

    def both(self, *options: str) -> tuple[RunningTown, RunningTown]:
        first = self.start("first", 4, *options)
        first.says(" bought ")
        where = f"127.0.0.1:{first.state()['nameserver_port']}"
        guest = self.start("guest", 4, "--nameserver", where)
        guest.says("4 peers have joined")
        names = guest.peers().keys()
        wait_until(lambda: any(f"{name} bought " in guest.text for name in names), "a guest buys")
        wait_until(lambda: any(f"{name} earned " in guest.text for name in names), "a guest sells")
        return first, guest


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    both = Terminals(tmp_path)
    yield both
    for each in both.started:
        each.kill()


def status_of(terminal: RunningTown) -> dict[str, Any]:
    done = bazaar("status", "--json", "--dir", str(terminal.directory))
    status: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
    return status


def summary_of(terminal: RunningTown) -> str:
    return terminal.text.rpartition("the whole market, while the peers of this terminal were in it:")[2]


def sold_to(terminal: RunningTown) -> Counter[str]:
    """How many purchases each peer of the terminal was told of, by its journal."""
    journals = [each.read_text() for each in terminal.directory.glob("journals/*.jsonl")]
    entries = [json.loads(line) for text in journals for line in text.splitlines()]
    told = [entry["outcome"] for entry in entries if entry["kind"] == "told"]
    return Counter(outcome["buyer"] for outcome in told if outcome["status"] == "sold")


def test_who_leaves_sums_up_its_own_peers_and_audits(terminals: Terminals) -> None:
    first, guest = terminals.both()
    ours, theirs = guest.peers().keys(), first.peers().keys()
    guest.interrupt()
    assert guest.wait() == 0, guest.text
    said = summary_of(guest)
    assert "its own: 4 peers" in said
    assert any(f"\n{name} " in said for name in ours), said
    assert not any(f"\n{name} " in said for name in theirs), said
    # Also what the first of them bought while the others were still joining.
    rows = [line.split() for line in said.splitlines() if line.split(" ")[0] in ours]
    bought = Counter({name: int(number) for name, number, *_ in rows if number != "-"})
    assert sold_to(guest) <= bought, said
    assert "audit: holds" in said
    first.interrupt()
    assert first.wait() == 0, first.text


def test_where_the_town_closes_all_terminals_judge(terminals: Terminals) -> None:
    first, guest = terminals.both()
    guest.note_family()
    first.interrupt()
    assert first.wait() == 0, first.text
    assert guest.wait() == 0, guest.text
    for each in first, guest:
        assert "audit: holds" in each.text
    guest.left_nothing()
    # What it was told there is not for the books of another town.
    other = terminals.start("other", 2)
    other.says("the market opens")
    again = terminals.start("guest", 2, "--nameserver", f"127.0.0.1:{other.state()['nameserver_port']}")
    assert again.wait() == 2, again.text
    assert "are those of another town than this one: choose another --dir" in again.text


def test_what_a_terminal_was_told_and_the_books_do_not_have_is_a_violation(terminals: Terminals) -> None:
    first, guest = terminals.both()
    buyer = next(name for name in guest.peers() if "buyer" in name)
    journal = guest.directory / "journals" / f"{buyer}.jsonl"

    def tell() -> str | None:
        lines = journal.read_text().splitlines()
        return next((line for line in lines if '"kind":"told"' in line.replace(" ", "")), None)

    told = wait_until(tell, "the buyer was told something")
    entry = json.loads(told)
    outcome = entry["outcome"]
    outcome["_id" if "_id" in outcome else "request_id"] = f"{buyer}-nobody-knows-1"
    with journal.open("a") as file:
        file.write(json.dumps(entry) + "\n")
    guest.interrupt()
    assert guest.wait() == 1, guest.text
    assert "acknowledged_is_recorded" in summary_of(guest)
    # Whoever audits elsewhere finds it as well, and says where it was told.
    first.interrupt()
    assert first.wait() == 1, first.text
    assert f"(in a journal of 127.0.0.1 (--dir {guest.directory}))" in first.text


@pytest.mark.long
def test_the_first_is_killed_and_the_other_shows_the_town_and_could_not_tell(terminals: Terminals) -> None:
    """With it went the books, which were its own."""
    first, guest = terminals.both()
    gone = first.peers().keys()
    first.kill()

    def alone() -> bool:
        peers = status_of(guest).get("peers", [])
        return len(peers) == 4 and all(peer["alive"] for peer in peers)

    wait_until(alone, "the status of the one that is left, without those who are gone")
    text = bazaar("status", "--dir", str(guest.directory)).stdout
    assert not any(name in text.split() for name in gone), text
    guest.interrupt()
    assert guest.wait() == 2, guest.text
    assert "audit: could not tell" in guest.text


def test_the_first_is_killed_with_the_books_and_is_found_again_where_it_was(terminals: Terminals) -> None:
    first, guest = terminals.both()
    first.kill()
    back = terminals.start("first", 4)
    back.says("have joined it again")
    before = guest.text.count(" bought ")
    wait_until(lambda: guest.text.count(" bought ") > before, "who stayed trades again")
    newcomer = terminals.start("new", 2, "--nameserver", f"127.0.0.1:{guest.state()['nameserver_port']}")
    newcomer.says("2 peers have joined")
    back.interrupt()
    for each in (back, guest, newcomer):
        assert each.wait() == 0, each.text


def test_one_peer_alone_comes_back_to_the_town_that_it_was_in(terminals: Terminals) -> None:
    first = terminals.start("first", 4)
    first.says(" bought ")
    guest = terminals.start("guest", 1, "--nameserver", f"127.0.0.1:{first.state()['nameserver_port']}")
    guest.says("1 peer has joined")
    guest.interrupt()
    assert guest.wait() == 0, guest.text
    back = RunningTown([*RUN, "1", "--dir", str(guest.directory)], guest.directory, terminals.place / "back.txt")
    terminals.started.append(back)
    back.says("1 peer has joined")
    first.interrupt()
    for each in (first, back):
        assert each.wait() == 0, each.text


def test_the_first_is_killed_and_the_other_goes_on_in_books_of_their_own(
    terminals: Terminals, tmp_path: Path
) -> None:
    with MongodProcess(tmp_path / "books") as mongod:
        first, guest = terminals.both("--mongo", mongod.uri)
        first.kill()
        wait_until(lambda: status_of(guest).get("trader") in guest.peers(), "a trader of those that are left")
        before = guest.text.count(" bought ")
        wait_until(lambda: guest.text.count(" bought ") > before, "trade goes on")
        guest.interrupt()
        assert guest.wait() == 0, guest.text
        assert "audit: holds" in summary_of(guest)


@pytest.mark.long
@pytest.mark.parametrize("where", ["first", "guest"])
def test_a_new_town_is_not_begun_in_books_that_others_still_trade_in(terminals: Terminals, where: str) -> None:
    first = terminals.start("first", 4)
    first.says(" bought ")
    if where == "first":
        guest = RunningTown(
            [*RUN, "3", "--dir", str(first.directory)], first.directory, terminals.place / "guest.txt"
        )
        terminals.started.append(guest)
    else:
        guest = terminals.start("guest", 3, "--nameserver", f"127.0.0.1:{first.state()['nameserver_port']}")
    guest.says("3 peers have joined")
    first.says(" is in the market")  # It knows of the other one, and remembers it.
    first.kill()
    refused = terminals.start("first", 4, "--fresh")
    assert refused.wait() == 2, refused.text
    assert "end its other terminals first (Ctrl-C in each), or choose another --dir" in refused.text
    guest.interrupt()
    guest.wait()
    anew = terminals.start("first", 4, "--fresh", "--purchases", "5")
    assert anew.wait() == 0, anew.text
    assert ", empty" in anew.text


@pytest.mark.long
def test_who_was_away_when_a_new_town_was_begun_does_not_come_into_its_books(terminals: Terminals) -> None:
    first, guest = terminals.both()
    first.kill()
    family = guest.note_family()
    for each in family:
        each.suspend()
    anew = terminals.start("first", 4, "--fresh")
    anew.says(" bought ")
    said = guest.text
    for each in family:
        each.resume()
    wait_until(lambda: guest.text != said, "who was away is back")
    before = anew.text.count(" bought ")
    wait_until(lambda: anew.text.count(" bought ") > before + 10, "the new town trades")
    anew.interrupt()
    assert anew.wait() == 0, anew.text


def test_the_name_server_is_frozen_and_the_status_is_that_of_another_machine(terminals: Terminals) -> None:
    first, guest = terminals.both()
    known = {peer["name"] for peer in status_of(guest)["peers"]}
    assert known == first.peers().keys() | guest.peers().keys()
    frozen = next(each for each in guest.note_family() if "nameserver" in each.cmdline())
    frozen.send_signal(signal.SIGSTOP)
    status = status_of(guest)
    # It is started again soon, so this look may come too late to see it away.
    assert {peer["name"] for peer in status["peers"]} == known


def test_who_died_is_said_to_be_gone(terminals: Terminals) -> None:
    first = terminals.start("first", 4)
    first.says(" bought ")
    status = status_of(first)
    victim = next(peer for peer in status["peers"] if peer["name"] != status["trader"])
    next(each for each in first.note_family() if each.pid == victim["pid"]).kill()
    first.says("the market goes on without it")
    wait_until(lambda: "(killed by SIGKILL)" in bazaar("status", "--dir", str(first.directory)).stdout, "it is said")
    peers = {peer["name"]: peer for peer in status_of(first)["peers"]}
    assert peers[victim["name"]]["gone"] == "killed by SIGKILL"
    assert [name for name, peer in peers.items() if peer["gone"] is not None] == [victim["name"]]


def test_a_further_terminal_that_is_killed_is_gone_and_is_no_fault_of_the_graph(terminals: Terminals) -> None:
    first = terminals.start("first", 4)
    first.says(" bought ")
    ours = first.peers().keys()

    def join(which: str) -> RunningTown:
        command = [*RUN, "4", "--dir", str(first.directory)]
        further = RunningTown(command, first.directory, terminals.place / f"{which}.txt")
        terminals.started.append(further)
        further.says("4 peers have joined")
        return further

    further = join("further")
    theirs = first.peers().keys() - ours
    further.kill()
    wait_until(lambda: first.network().keys() == ours, "the graph that is written down is that of the living")
    gone = {peer["name"]: peer["gone"] for peer in status_of(first)["peers"] if peer["gone"] is not None}
    assert gone == dict.fromkeys(theirs, "its terminal ended")
    # The same again, for whose sake the graph is drawn anew; what is left must hold, as the audits see it.
    again = join("again")
    audited = bazaar("audit", "--dir", str(first.directory))
    assert audited.returncode == 0, audited.stdout + audited.stderr
    again.kill()
    first.interrupt()
    assert first.wait() == 0, first.text
    assert "audit: holds" in first.text
