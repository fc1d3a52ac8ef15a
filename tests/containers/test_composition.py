"""`docker-compose.yml` with a real engine: it trades, and goes on whatever happens to its containers.

One town lives through all of it, in the order of this file. `pytest -s` shows how long trade paused each time.
"""

from __future__ import annotations

import re
import shlex
import shutil
import time
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from tests.containers.composition import IMAGE, Bystander, Composition
from tests.containers.conftest import PEERS
from tests.helpers.composition import ROOT

# Starting an engine and building the image have limits of their own.
pytestmark = [pytest.mark.system, pytest.mark.timeout(400, func_only=True)]

FOUNDERS = 4
ALL = FOUNDERS + PEERS
FIRST_SALE_S = 20.0
"""On a machine that has nothing else to do."""


def tell(sales: Bystander, what: str, since: float) -> None:
    print(f"\n{what}: no sale for {sales.longest_pause_s(since):.2f} s at most", flush=True)


def first(town: Composition, service: str) -> str:
    return town.containers(service)[0]


def test_it_trades_within_seconds(town: Composition, sales: Bystander) -> None:
    took_s = sales.wait_for_sales(town.began_s) - town.began_s
    print(
        f"\nfrom up to the first sale: {took_s:.1f} s, on a machine {town.slowness:.1f} times slower than when idle"
    )
    assert took_s < FIRST_SALE_S * town.slowness
    peers = town.wait_for_peers(first(town, "nameserver"), ALL)
    print(f"all {ALL} peers known {time.time() - town.began_s:.1f} s after up")
    # Those that come at the same moment do not all see each other; but no side is left to the founders alone.
    assert {peer.role for peer in peers if peer.container != first(town, "nameserver")} == {"buyer", "seller"}


def test_one_small_image_is_all_there_is_and_it_has_no_database(town: Composition) -> None:
    running = town.inspect(*town.compose("ps", "--all", "--quiet").split())
    ours = {each["Image"] for each in running if each["Config"]["Image"] == IMAGE}
    assert len(ours) == 1
    assert int(town.docker("image", "inspect", "--format", "{{.Size}}", IMAGE)) < 400_000_000
    found = town.docker("run", "--rm", "--user=0", IMAGE, "find", "/", "-xdev", "-name", "mongod", "-type", "f")
    assert found == ""


_EVERYTHING = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; true"
# What others than its owner may read, of what the town writes and is given.
_READABLE = "find /town /password -type f -perm /044 -exec cat {} + 2>/dev/null; true"
_WITHOUT_PASSWORD = """
from pymongo import MongoClient
from pymongo.errors import OperationFailure
tls = {"tls": True, "tlsCAFile": "/town/tls/ca.pem", "tlsCertificateKeyFile": "/town/tls/member.pem"}
try:
    print(MongoClient("mongo", 27017, **tls).bazaar.log.find_one())
except OperationFailure as error:
    print("refused", error.code)
"""


def test_the_password_of_the_books_is_seen_by_nobody(town: Composition) -> None:
    machine = first(town, "nameserver")
    password = town.docker("exec", machine, "cat", "/password/mongod.password").strip()
    key = town.docker("exec", machine, "cat", "/password/mongod.key").strip()
    assert len(password) > 20
    seen = [town.docker("inspect", *town.compose("ps", "--all", "--quiet").split()), town.compose("logs")]
    for service in ("mongo", "nameserver", "peers"):
        seen += [town.docker("exec", first(town, service), "sh", "-c", looked) for looked in (_EVERYTHING, _READABLE)]
    seen.append(town.docker("exec", machine, "bazaar", "status", "--dir", "/town", "--json"))
    assert "***" in seen[-1]
    assert "mongod" in "".join(seen)
    assert not [each for each in seen if password in each or key in each]
    assert town.docker("exec", machine, "python", "-c", _WITHOUT_PASSWORD).startswith("refused")


def test_what_the_image_leaves_out_is_said(town: Composition) -> None:
    program = "from peers.version import program_version; print(program_version())"
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert town.docker("run", "--rm", IMAGE, "python", "-c", program).strip() == version
    for words in ["bench", "--quick"], ["experiment", "sequential"], ["chaos", "--quick"]:
        said = town.docker("run", "--rm", IMAGE, "sh", "-c", f"bazaar {shlex.join(words)} 2>&1; echo code $?")
        assert "left out here" in said, said
        assert said.endswith("code 2\n"), said


def test_no_container_writes_where_another_does(town: Composition, sales: Bystander) -> None:
    del sales
    running = town.inspect(*town.compose("ps", "--all", "--quiet").split())
    writers = Counter(
        mount.get("Name") or mount["Source"] for each in running for mount in each["Mounts"] if mount["RW"]
    )
    assert writers
    assert max(writers.values()) == 1, writers
    for each in running:
        assert each["HostConfig"]["PidMode"] == ""


def test_a_change_of_one_line_leaves_what_is_installed_as_it_is(town: Composition, tmp_path: Path) -> None:
    for name in ("Dockerfile", ".dockerignore", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("peers", "nameserver", "db"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    changed = tmp_path / "peers" / "errors.py"
    changed.write_text(changed.read_text() + "\n# one line more\n")
    tag = f"{town.project}-changed"
    began_s = time.monotonic()
    town.docker("build", "--quiet", "--tag", tag, str(tmp_path))
    print(f"\nbuilt again after a change of one line: {time.monotonic() - began_s:.1f} s")
    try:
        before, after = (each["RootFS"]["Layers"] for each in town.inspect(IMAGE, tag))
    finally:
        town.docker("rmi", tag)
    same = [one == other for one, other in zip(before, after, strict=True)]
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    instructions = [line for line in lines if re.match("RUN|COPY|WORKDIR", line)]
    installing = next(i for i, line in enumerate(instructions) if "pyproject" in line)
    assert not all(same)
    assert same.index(False) > installing


@pytest.mark.parametrize("service", ["peers", "nameserver", "mongo"])
def test_it_goes_on_when_one_is_killed(town: Composition, sales: Bystander, service: str) -> None:
    killed_s = time.time()
    town.docker("kill", first(town, service))
    if service != "mongo":
        sales.wait_for_sales(time.time(), 3)
        tell(sales, f"{service} killed", killed_s)
    else:
        time.sleep(2)
    healed_s = time.time()
    town.up(PEERS)
    started_s = time.time()
    sales.wait_for_sales(started_s, 3)
    print(f"\n{service} is back: `up` took {started_s - healed_s:.1f} s")
    tell(sales, f"{service} killed and back", killed_s)
    town.wait_for_peers(first(town, "nameserver"), ALL)


def test_it_goes_on_when_the_trader_is_killed(town: Composition, sales: Bystander) -> None:
    killed_s = time.time()
    town.docker("kill", town.trader_container(first(town, "nameserver")))
    sales.wait_for_sales(time.time(), 3)
    tell(sales, "the trader's container killed", killed_s)
    town.up(PEERS)
    town.wait_for_peers(first(town, "nameserver"), ALL)


def test_it_goes_on_when_the_trader_is_paused(town: Composition, sales: Bystander) -> None:
    trader = town.trader_container(first(town, "peers"))
    paused_s = time.time()
    town.docker("pause", trader)
    sales.wait_for_sales(time.time() + 1, 3)
    tell(sales, "the trader's container paused", paused_s)
    healed_s = time.time()
    town.docker("unpause", trader)
    town.wait_for_peers(first(town, "nameserver"), ALL)
    sales.wait_for_sales(time.time(), 3)
    tell(sales, "and unpaused", healed_s)


@pytest.mark.parametrize("service", ["peers", "nameserver"])
def test_it_goes_on_when_one_is_cut_off_and_comes_back(town: Composition, sales: Bystander, service: str) -> None:
    apart = first(town, service)
    network = f"{town.project}_market"
    cut_s = time.time()
    town.docker("network", "disconnect", network, apart)
    sales.wait_for_sales(time.time() + 1, 3)
    tell(sales, f"{service} disconnected", cut_s)
    # A container that comes in between takes the address that has become free.
    town.docker(
        "run", "--detach", "--rm", "--name", f"{town.project}-squatter", "--network", network, IMAGE, "sleep", "60"
    )
    healed_s = time.time()
    # As the compose file has it: `town` is what newcomers look for.
    town.docker("network", "connect", "--alias", "town", network, apart)
    town.docker("rm", "--force", f"{town.project}-squatter")
    other = next(each for each in town.containers("peers") if each != apart)
    peers = town.wait_for_peers(other, ALL)
    print(f"\n{service} connected: all {ALL} peers reached after {time.time() - healed_s:.1f} s")
    tell(sales, f"{service} connected", healed_s)
    assert apart in {peer.container for peer in peers}


def test_who_was_connected_again_without_its_name_can_be_joined(town: Composition, sales: Bystander) -> None:
    """As `docker network connect` does it by itself: none of them is called `town` any more."""
    network = f"{town.project}_market"
    machines = [*town.containers("nameserver"), *town.containers("peers")]
    for machine in machines:
        town.docker("network", "disconnect", network, machine)
        town.docker("network", "connect", network, machine)
    began_s = time.time()
    town.wait_for_peers(first(town, "nameserver"), ALL)
    print(f"\nall {ALL} peers reached {time.time() - began_s:.1f} s after all were connected again without alias")
    town.docker("rm", "--force", "--volumes", machines[-1])
    town.up(PEERS)
    town.wait_for_peers(first(town, "nameserver"), ALL)
    newcomer = next(each for each in town.containers("peers") if each not in machines)
    town.wait_for_peers(newcomer, ALL)
    sales.wait_for_sales(time.time(), 3)
    tell(sales, "all connected again, and one more joins", began_s)


def test_it_grows_and_shrinks(town: Composition, sales: Bystander) -> None:
    began_s = time.time()
    town.up(PEERS + 2)
    town.wait_for_peers(first(town, "nameserver"), ALL + 2)
    town.up(1)
    town.wait_for_peers(first(town, "nameserver"), FOUNDERS + 1)
    sales.wait_for_sales(time.time(), 3)
    tell(sales, "two more, then five fewer", began_s)
    town.up(PEERS)
    town.wait_for_peers(first(town, "nameserver"), ALL)


def test_damaged_files_of_its_directory_end_nothing(town: Composition, sales: Bystander) -> None:
    spoil = "cd /town; echo '{torn' > network.png; rm -f peers/*.json; "
    spoil += "until rm -f network.json; mkdir network.json 2>/dev/null; do :; done"  # It is written again in between.
    for service in ("nameserver", "peers"):
        spoilt = first(town, service)
        restarts = town.inspect(spoilt)[0]["RestartCount"]
        town.docker("exec", spoilt, "sh", "-c", spoil)
        sales.wait_for_sales(time.time() + 1, 3)
        assert town.inspect(spoilt)[0]["RestartCount"] == restarts
        assert first(town, service) == spoilt


def test_it_goes_on_when_all_are_killed(town: Composition, sales: Bystander) -> None:
    before = sales.sold
    killed_s = time.time()
    town.docker("kill", *town.compose("ps", "--quiet").split())
    healed_s = time.time()
    town.up(PEERS)
    when = sales.wait_for_sales(time.time(), 3)
    print(f"\nall killed: the next sale {when - healed_s:.1f} s after `up` was asked for")
    tell(sales, "all killed", killed_s)
    town.wait_for_peers(first(town, "nameserver"), ALL)
    assert sales.sold > before


def test_the_audit_holds_at_the_end_and_the_books_are_kept(town: Composition, sales: Bystander) -> None:
    for _ in range(2):
        began_s = time.time()
        town.compose("stop")
        said = town.compose("logs", "--no-log-prefix", "nameserver")
        # A machine was removed with its disk before, and with it what its peer was told.
        assert said.rpartition("audit: ")[2].startswith(("holds", "could not tell")), said[-3000:]
        assert "violated" not in said.rpartition("the whole market")[2], said[-3000:]
        before = sales.sold
        print(f"\nstopped within {time.time() - began_s:.1f} s, after {before} sales")
        began_s = time.time()
        town.up(PEERS)
        when = sales.wait_for_sales(began_s, 3)
        print(f"second up: first sale after {when - began_s:.1f} s")
        assert sales.sold > before
