"""What can be known of `docker-compose.yml` without an engine: that it is one, that what it names is there, that its
commands exist, and that it opens nothing to the outside.
"""

from __future__ import annotations

import copy
import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import typer
import yaml
from compose_spec import PyCompose

from db.mongod.program import find_mongod
from peers.cli.main import app
from tests.helpers.composition import ROOT, bazaar_commands, composition

SERVICES = composition()["services"]
BY_SERVICE = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def check_specification(loaded: dict[str, Any]) -> None:
    PyCompose.from_json(json.dumps(loaded)).validate()


def test_it_follows_the_compose_specification() -> None:
    check_specification(composition())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda services: services["mongo"].update(heathcheck={}),
        lambda services: services["mongo"]["depends_on"]["certs"].update(condition="healthy"),
        lambda services: services["peers"].update(networks=["nowhere"]),
        lambda services: services["peers"].update(restart="sometimes"),
    ],
)
def test_the_check_would_find_mistakes(spoil: Callable[[dict[str, Any]], None]) -> None:
    loaded = copy.deepcopy(composition())
    spoil(loaded["services"])
    with pytest.raises(ValueError, match=r"."):
        check_specification(loaded)


def test_what_was_asked_for_is_there() -> None:
    assert {"mongo", "nameserver", "peers"} <= SERVICES.keys()
    assert "--replSet=bazaar" in SERVICES["mongo"]["command"]


def test_peers_scale() -> None:
    # Only one container could have a given name, host name or port.
    assert not SERVICES["peers"].keys() & {"container_name", "hostname", "ports", "deploy"}
    # Every container is a host of its own name; the file's `$$` leaves the `$` to its shell.
    assert '--advertise="$$(hostname)"' in SERVICES["peers"]["command"][-1]


def test_no_two_containers_write_to_the_same_volume() -> None:
    shared = [
        mount.split(":")[0]
        for service in SERVICES.values()
        for mount in service.get("volumes", [])
        if ":" in mount and not mount.endswith(":ro")
    ]
    assert len(shared) == len(set(shared))
    assert not any(mount.startswith("/") and ":" in mount for mount in shared)


def test_one_service_builds_the_image_of_all() -> None:
    builders = [name for name, service in SERVICES.items() if "build" in service]
    assert len(builders) == 1
    images = {service["image"] for name, service in SERVICES.items() if name != "mongo"}
    assert images == {SERVICES[builders[0]]["image"]}


@BY_SERVICE
def test_what_a_service_waits_for_exists_and_can_come_about(service: dict[str, Any]) -> None:
    for other, how in service.get("depends_on", {}).items():
        assert other in SERVICES
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        if how["condition"] == "service_completed_successfully":
            assert SERVICES[other]["restart"] == "no"


@BY_SERVICE
def test_volumes_are_declared(service: dict[str, Any]) -> None:
    for mount in service.get("volumes", []):
        if ":" not in mount:
            continue  # a volume of this container alone
        source, target, *_ = mount.split(":")
        assert source in composition()["volumes"], f"{mount}: no volume, or a part of the host"
        assert target.startswith("/")


def test_every_volume_and_network_is_used() -> None:
    loaded = composition()
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    mounted = {mount.split(":")[0] for mount in mounts if ":" in mount}
    joined = {network for service in SERVICES.values() for network in service.get("networks", [])}
    assert mounted == loaded["volumes"].keys()
    assert joined == loaded["networks"].keys()


@BY_SERVICE
def test_nothing_is_open_to_the_outside(service: dict[str, Any]) -> None:
    for port in service.get("ports", []):
        assert str(port).startswith(("127.0.0.1:", "[::1]:")), port
    assert service.get("network_mode", "none") == "none"
    assert not service.get("privileged")
    assert "cap_add" not in service
    assert all(composition()["networks"][name]["internal"] for name in service.get("networks", []))


def test_what_listens_asks_for_a_certificate() -> None:
    assert {"--tlsMode=requireTLS", "--tlsCAFile=/tls/ca.pem"} <= set(SERVICES["mongo"]["command"])
    assert not any("AllowConnectionsWithoutCertificates" in word for word in SERVICES["mongo"]["command"])
    for place, words in bazaar_commands().items():
        if words[0] == "run":
            assert "--tls" in words, place
            assert "--insecure" not in words, place


def test_the_books_ask_for_a_password_that_stands_nowhere_here() -> None:
    assert {"--keyFile=/tls/mongod.key", "--setParameter=enableLocalhostAuthBypass=false"} <= set(
        SERVICES["mongo"]["command"]
    )
    for service in SERVICES.values():
        for value in service.get("environment", {}).values():
            assert value.startswith("@"), "a value that `docker inspect` shows"
    holders = {name for name, service in SERVICES.items() if any("password:" in m for m in service["volumes"])}
    assert holders == {"certs", "replica-set", "nameserver", "peers"}


def test_the_authoritys_key_is_for_the_machines_of_the_town_only() -> None:
    holders = {name for name, service in SERVICES.items() if any("authority:" in m for m in service["volumes"])}
    assert holders == {"certs", "nameserver", "peers"}
    for name, service in SERVICES.items():
        for mount in service["volumes"]:
            is_kept = mount.startswith(("tls:", "authority:", "password:"))
            assert name == "certs" or not is_kept or mount.endswith(":ro"), f"{name}: {mount}"


@pytest.mark.parametrize("place", bazaar_commands())
def test_commands_and_options_exist(place: str) -> None:
    name, *words = bazaar_commands()[place]
    group: Any = typer.main.get_command(app)
    command = group.get_command(None, name)
    assert command is not None, f"bazaar {name}"
    # The command line is parsed but not run: wrong options, missing arguments and wrong values are errors.
    command.make_context(name, list(words), resilient_parsing=False)


def test_options_of_mongod_exist() -> None:
    known = subprocess.run([find_mongod(), "--help"], capture_output=True, text=True, check=True).stdout
    for word in SERVICES["mongo"]["command"][1:]:
        assert re.search(rf"^\s+{re.escape(word.split('=')[0])}\b", known, re.MULTILINE), word


def test_the_image_has_what_it_copies() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = {word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == allowed
    for name in copied:
        assert (ROOT / name).exists(), name
    # What the project consists of is what the image gets, but for what measures and draws.
    packages = yaml.safe_load((ROOT / "pyproject.toml").read_text().split("include = ")[1].splitlines()[0])
    assert {package.rstrip("*") for package in packages} <= copied | {"plots"}
