"""A town over several machines, each a network namespace: all by `run.sh`, `bazaar invite` and nothing else."""

from __future__ import annotations

import json
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.processes import words_of
from tests.helpers.waiting import wait_until
from tests.system.helpers.lan import IPTABLES, Lan, Machine, lan
from tests.system.helpers.towns import ROOT, RunningTown

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

RUN = ("env", f"VIRTUAL_ENV={sys.prefix}", "bash", ROOT / "run.sh")
BAZAAR = (sys.executable, "-m", "peers.cli")
PORTS = range(9090, 9190)


class Towns:
    """Terminals on several machines, each in a directory of its own. They are ended with the test."""

    def __init__(self, net: Lan, place: Path) -> None:
        self.net = net
        self.place = place
        self.started: list[RunningTown] = []

    def run(self, machine: Machine, host: str, n: int, *options: object, name: str = "") -> RunningTown:
        directory = self.directory(machine, name)
        started = machine.start(directory, *RUN, host, n, "--dir", directory, *options)
        self.started.append(started)
        return started

    def directory(self, machine: Machine, name: str = "") -> Path:
        return self.place / (machine.namespace + name)

    def open(self, machine: Machine, n: int = 3, *options: object) -> RunningTown:
        town = self.run(machine, machine.address, n, *options)
        town.says(" bought ")
        return town

    def ask(self, machine: Machine, *words: object) -> tuple[int, str]:
        """Runs a command about the town on a machine."""
        return machine.said("env", f"PYTHONPATH={ROOT}", *BAZAAR, *words, "--dir", self.directory(machine))

    def invite(self, host: Machine, guest: str, *options: object) -> Path:
        file = self.place / f"invitation-{guest}.json"
        code, text = self.ask(host, "invite", guest, "--out", file, *options)
        assert code == 0, text
        return file

    def end(self) -> None:
        for town in self.started:
            town.kill()


@pytest.fixture
def towns(tmp_path: Path) -> Iterator[Towns]:
    with ExitStack() as stack:
        made = Towns(stack.enter_context(lan()), tmp_path)
        stack.callback(made.end)
        yield made


def listening(machine: Machine) -> set[int]:
    """The ports that are listened on there, beyond loopback."""
    places = [line.split()[3] for line in machine.said("ss", "-ltnH")[1].splitlines()]
    return {int(place.rpartition(":")[2]) for place in places if not place.startswith("127.")}


def listed(towns: Towns, machine: Machine, n: int) -> dict[str, Any]:
    """The peers of the town as a machine lists them, once there are `n`: those elsewhere it has by hearsay."""

    def peers() -> dict[str, Any] | None:
        code, text = towns.ask(machine, "status", "--json")
        found = {peer["name"]: peer for peer in json.loads(text)["peers"]} if code == 0 else {}
        return found if len(found) == n else None

    return wait_until(peers, f"{n} peers listed on {machine.address}")


def trades(town: RunningTown, names: set[str]) -> None:
    """Waits until one of these peers has bought and one has sold, by what their terminal says."""
    try:
        wait_until(lambda: any(f"{name} bought " in town.text for name in names), "somebody buys")
        wait_until(lambda: any(f"{name} earned " in town.text for name in names), "somebody sells")
    except AssertionError as error:
        raise AssertionError(f"{names}: {error}\n{town.text}") from error


def holds(towns: Towns, machine: Machine) -> None:
    code, text = towns.ask(machine, "audit")
    assert "violated" not in text, text
    assert code == 0, text


def joined(towns: Towns, guest: Machine, host: Machine, file: Path, n: int = 2) -> RunningTown:
    town = towns.run(guest, host.address, n, "--invite", file)
    town.says("peers have joined")
    return town


def test_a_machine_is_invited_with_one_file_and_both_trade(towns: Towns) -> None:
    first, second = towns.net.machine(10), towns.net.machine(11)
    town = towns.open(first, 4)
    town.says(f"bash run.sh {first.address} <n> --invite")
    file = towns.invite(first, second.address)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    guest = joined(towns, second, first, file, 4)

    peers = listed(towns, second, 8)
    ours = {name for name, peer in peers.items() if second.address in peer["uri"]}
    theirs = peers.keys() - ours
    assert len(ours) == 4
    for terminal, names in (guest, ours), (town, theirs):
        trades(terminal, names)
    assert listening(first) | listening(second) <= set(PORTS)
    password = re.search(r"bazaar:(\w+)@", file.read_text())
    assert password is not None
    for each in town, guest:
        assert password.group(1) not in each.text
        members = [each.process.pid, *(process.pid for process in each.note_family())]
        assert not [member for member in members if password.group(1) in " ".join(words_of(member))]
    holds(towns, first)
    guest.interrupt()
    assert guest.wait() == 0, guest.text
    town.interrupt()
    assert town.wait() == 0, town.text
    assert "audit: holds" in town.text


def test_the_books_of_the_first_machine_are_for_members_who_know_the_password(towns: Towns) -> None:
    first, second = towns.net.machine(10), towns.net.machine(11)
    town = towns.open(first)
    uri = (towns.directory(first) / "mongo-address").read_text().strip()
    assert first.address in uri
    probe = (
        "import sys; from pymongo import MongoClient; "
        "print(MongoClient(sys.argv[1], serverSelectionTimeoutMS=2000).bazaar.posts.count_documents({}))"
    )
    files = towns.directory(first) / "tls"
    certificates = f"tls=true&tlsCAFile={files}/ca.pem&tlsCertificateKeyFile={files}/member.pem"
    where = uri.partition("@")[2].partition("/")[0]
    without_password = f"mongodb://{where}/?directConnection=true&tlsAllowInvalidHostnames=true&{certificates}"
    without_certificate = re.sub(r"&tls[A-Za-z]+=[^&]*", "", uri).replace("tls=true", "tls=true&tlsInsecure=true")
    for address, works in (uri, True), (without_password, False), (without_certificate, False):
        code, text = second.said(sys.executable, "-c", probe, address)
        assert (code == 0) == works, f"{address}: {text}"
    town.interrupt()
    assert town.wait() == 0, town.text


def test_a_machine_that_was_invited_invites_the_next_and_one_without_the_right_does_not(towns: Towns) -> None:
    first, second, third = (towns.net.machine(number) for number in (10, 11, 12))
    towns.open(first)
    joined(towns, second, first, towns.invite(first, second.address))
    file = towns.invite(second, third.address, "--no-right")
    joined(towns, third, second, file)
    code, text = towns.ask(third, "invite", "192.0.2.13", "--out", towns.place / "not.json")
    assert code == 2
    assert "can let nobody in" in text
    holds(towns, first)


def test_a_machine_that_nobody_can_call_is_refused_with_its_address(towns: Towns) -> None:
    if IPTABLES is None:
        pytest.skip("there is no iptables here to have a firewall with")
    first, second = towns.net.machine(10), towns.net.machine(11)
    town = towns.open(first)
    file = towns.invite(first, second.address)
    second.drop_incoming()
    refused = towns.run(second, first.address, 2, "--invite", file)
    assert refused.wait() == 2, refused.text
    assert re.search(rf"cannot call \w+ back.*{second.address}:9\d\d\d", refused.text), refused.text
    assert not re.search(rf"Dear.*{second.address}", town.text)
    terms = json.loads(towns.ask(first, "status", "--json")[1])["trader"]
    assert terms is not None
    holds(towns, first)


def test_behind_nat_a_machine_is_called_at_what_it_was_invited_by(towns: Towns) -> None:
    if IPTABLES is None:
        pytest.skip("there is no iptables here to translate addresses with")
    first, hidden = towns.net.machine(10), towns.net.behind_nat(20)
    towns.open(first)
    guest = joined(towns, hidden, first, towns.invite(first, hidden.address))
    ours = {name: peer for name, peer in listed(towns, first, 5).items() if f"@{hidden.address}:" in peer["uri"]}
    assert len(ours) == 2
    assert all(peer["alive"] for peer in ours.values())
    wait_until(
        lambda: any(f"{name} bought " in guest.text or f"{name} earned" in guest.text for name in ours), "trade"
    )
    holds(towns, first)


def test_a_town_that_listens_at_all_addresses_is_joined_at_the_one_it_is_called_by(towns: Towns) -> None:
    first, second = towns.net.machine(10), towns.net.machine(11)
    town = towns.run(first, "0.0.0.0", 3, "--advertise", first.address)
    town.says(" bought ")
    town.says(f"bash run.sh {first.address} <n> --invite")
    joined(towns, second, first, towns.invite(first, second.address))
    holds(towns, second)


@pytest.mark.parametrize("host", ["198.51.100.2", pytest.param("0.0.0.0", marks=pytest.mark.long)])
def test_a_town_opens_behind_nat_and_others_join_it(towns: Towns, host: str) -> None:
    if IPTABLES is None:
        pytest.skip("there is no iptables here to translate addresses with")
    hidden, second = towns.net.behind_nat(20), towns.net.machine(11)
    town = towns.run(hidden, host, 3, "--advertise", hidden.address)
    town.says(" bought ")
    town.says(f"bash run.sh {hidden.address} <n> --invite")
    joined(towns, second, hidden, towns.invite(hidden, second.address))
    holds(towns, hidden)


def test_the_ports_are_those_given(towns: Towns) -> None:
    first, second = towns.net.machine(10), towns.net.machine(11)
    towns.open(first, 3, "--peer-ports", "7000-7004")
    assert listening(first) == set(range(7000, 7005))
    guest = towns.run(
        second, first.address, 2, "--invite", towns.invite(first, second.address), "--peer-ports", "7-9"
    )
    assert guest.wait() == 2
    assert "3 ports are too few for 2 peers" in guest.text


def test_the_command_of_the_first_machine_says_on_the_second_how_to_join(towns: Towns) -> None:
    first, second = towns.net.machine(10), towns.net.machine(11)
    towns.open(first)
    lost = towns.run(second, first.address, 2)
    assert lost.wait() == 2
    assert f"bazaar invite {second.address} --out FILE" in lost.text
    assert f"bash run.sh {first.address} <n> --invite FILE" in lost.text


def test_the_doctor_says_what_is_wrong_from_where_it_is_asked(towns: Towns) -> None:
    if IPTABLES is None:
        pytest.skip("there is no iptables here to have a firewall with")
    first, second, stranger = (towns.net.machine(number) for number in (10, 11, 12))
    towns.open(first)
    guest = joined(towns, second, first, towns.invite(first, second.address))
    code, text = towns.ask(second, "doctor")
    assert code == 0, text
    for what in f"name server {first.address}:9090", "database", "clock", "certificate", "peer buyer":
        assert f"well     {what}" in text, text

    code, text = towns.ask(stranger, "doctor", first.address)
    assert code == 1, text
    assert f"bazaar invite <address of this one> --out FILE; here: bash run.sh {first.address} <n>" in text

    second.drop_incoming()
    code, text = towns.ask(first, "doctor", "--json")
    assert code == 1, text
    wrong = [each for each in json.loads(text)["findings"] if each["verdict"] == "wrong"]
    assert wrong
    assert all(second.address in each["seen"] and "firewall" in each["advice"] for each in wrong), wrong
    guest.kill()


def test_names_will_do_and_one_that_means_loopback_does_not(towns: Towns) -> None:
    first, second = towns.net.machine(10), towns.net.machine(11)
    for machine in first, second:
        machine.knows({"alpha": first.address, "beta": second.address, "debian": "127.0.1.1"})
    misled = towns.run(first, "debian", 3, name="-misled")
    assert misled.wait() == 2
    assert "debian resolves to 127.0.1.1 here, which is loopback" in misled.text
    assert f"({first.address})" in misled.text
    town = towns.run(first, "alpha", 3)
    town.says(" bought ")
    file = towns.invite(first, "beta")
    guest = towns.run(second, "alpha", 2, "--invite", file)
    guest.says("peers have joined")
    holds(towns, first)
