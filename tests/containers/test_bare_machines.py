"""A machine on which nothing was installed: one command brings what is missing, or says in a line what to type."""

from __future__ import annotations

import pytest

from tests.containers.bare import BareMachine, Said, System, image_of

pytestmark = [pytest.mark.system, pytest.mark.timeout(1800)]

TOWN = "bash run.sh localhost 6 --purchases 20"
PYTHON = System("python-3.11", "python:3.11-slim")
UBUNTU = "http://archive.ubuntu.com/ubuntu"
UBUNTUS_KEYS = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"


def sources(suite: str) -> tuple[str, ...]:
    return tuple(f"deb {UBUNTU} {each} main universe" for each in (suite, f"{suite}-updates"))


SYSTEMS = [
    System("bookworm", "debian:bookworm-slim"),
    System("trixie", "debian:trixie-slim"),
    System("forky", "debian:forky-slim", script="sid"),
    System("jammy", "ubuntu:22.04", UBUNTU, sources=sources("jammy"), keyring=UBUNTUS_KEYS),
    System("noble", "ubuntu:24.04", UBUNTU, "gutsy", sources=sources("noble"), keyring=UBUNTUS_KEYS),
]
TOO_OLD = System("bullseye", "debian:bullseye-slim", include="ca-certificates,python3")


def trades(said: Said) -> None:
    assert said.code == 0, said.text
    assert "audit: holds" in said.text, said.text


def refuses_in_a_line(said: Said, *words: str) -> None:
    assert said.code == 2, said.text
    assert len(said.lines) == 1, said.text
    for each in words:
        assert each in said.text, said.text


def test_a_machine_with_python_and_pip_and_nothing_else(engine: dict[str, str]) -> None:
    with BareMachine(engine, image_of(engine, PYTHON)) as machine:
        machine.add_user("anna")
        refuses_in_a_line(
            machine.run(TOWN, user="anna"),
            "run.sh: this machine lacks libcurl.so.4, which the bundled mongod needs",
            "type: su -c 'apt-get update && apt-get install -y libcurl4'",
        )
        refuses_in_a_line(
            machine.run("bash tests/run.sh tests/unit", user="anna"), "tests/run.sh: this machine lacks"
        )
        assert machine.run("ls -d .venv .bazaar").code != 0, "who is refused has changed nothing"

        first = machine.run(TOWN)
        trades(first)
        command = "apt-get install -y --no-install-recommends libcurl4"
        assert first.text.startswith(
            f"run.sh: this machine lacks libcurl.so.4, which the bundled mongod needs; installing it: {command}\n"
        )
        assert machine.run("dpkg --remove --force-depends libcurl4").code == 0
        second = machine.run(TOWN)
        assert second.code == 2
        assert "run.sh:" not in second.text, "as far as it can tell without asking, all is there"
        assert second.lines[1:] == [
            "bazaar: mongod needs libcurl.so.4, which this machine does not have: apt-get install libcurl4"
        ]


@pytest.mark.long
@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.suite)
def test_a_bare_release_of_debian_or_ubuntu(engine: dict[str, str], system: System) -> None:
    """Not even Python is there. By an ordinary user with sudo, whose home is read-only, from a place with a name that
    few expect, without a locale, and where nothing in /tmp may be run."""
    place = "/srv/Märkte & (andere)"
    with BareMachine(engine, image_of(engine, system), "--tmpfs", "/tmp:noexec,mode=1777", place=place) as machine:
        machine.add_user("anna")
        refuses_in_a_line(machine.run(TOWN, user="anna"), "run.sh: this machine lacks Python", "type: su -c '")
        machine.add_user("bert", sudo=True)
        machine.run("chmod 555 /home/bert")
        first = machine.run(TOWN, user="bert", environment={"HOME": "/home/bert", "LC_ALL": "C"})
        trades(first)
        assert "; installing it: sudo apt-get install -y " in first.text
        again = machine.run("env -u HOME " + TOWN, user="bert")
        trades(again)
        assert "run.sh:" not in again.text
        tests = machine.run("bash tests/run.sh -q -p no:cacheprovider tests/unit/test_version.py", user="bert")
        assert tests.code == 0, tests.text
        assert " passed" in tests.text


@pytest.mark.long
def test_a_release_that_has_no_python_new_enough(engine: dict[str, str]) -> None:
    with BareMachine(engine, image_of(engine, TOO_OLD)) as machine:
        said = machine.run(TOWN)
        assert said.code == 2
        assert "its packages have no newer one: install one from elsewhere, and name it: PYTHON=" in said.lines[-1]


@pytest.mark.long
def test_without_a_network_it_is_said_in_a_sentence(engine: dict[str, str]) -> None:
    with BareMachine(engine, image_of(engine, PYTHON), "--network", "none") as machine:
        said = machine.run(TOWN)
        assert said.code == 2
        assert "The first start needs the network" in said.lines[-1]
        said = machine.run(TOWN + " --mongo mongodb://127.0.0.1:1")
        assert said.code == 2
        assert "run.sh: the package index cannot be reached: the first start needs the network" in said.lines[-1]
