"""Which mongod is run: the one named, else the one on PATH, else the one in the wheel, else an error that helps."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import sys
from pathlib import Path

import pytest

from db.mongod import process as mongod
from db.mongod.process import free_port
from db.mongod.program import WHEELS, find_mongod, how_to_bring, missing_libraries
from peers.errors import LedgerError


def program(directory: Path, name: str = "mongod", mode: int = 0o755) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


@pytest.fixture
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))

    def distribution(name: str) -> importlib.metadata.Distribution:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)


def test_the_one_named_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = program(tmp_path / "named", "mongod-8")
    monkeypatch.setenv("PATH", str(program(tmp_path / "path").parent))
    assert find_mongod(named) == named
    assert find_mongod(str(named)) == named


def test_then_the_one_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = program(tmp_path / "path")
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert find_mongod() == on_path


def test_then_the_one_in_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if not {each.metadata["Name"].replace("_", "-") for each in importlib.metadata.distributions()} & set(WHEELS):
        pytest.skip("no such wheel for this platform")
    assert find_mongod().parts[-4:] == ("fiftyone", "db", "bin", "mongod")
    assert "fiftyone" not in sys.modules


@pytest.mark.usefixtures("nothing_installed")
def test_without_any_the_error_says_what_to_do() -> None:
    with pytest.raises(LedgerError, match=r"install MongoDB 6 or newer.*--mongo URI"):
        find_mongod()


@pytest.mark.parametrize("mode", [None, 0o644])
def test_one_named_that_cannot_run_is_an_error_even_if_there_are_others(tmp_path: Path, mode: int | None) -> None:
    named = tmp_path / "mongod" if mode is None else program(tmp_path, mode=mode)
    with pytest.raises(LedgerError, match="not a program that can be run"):
        find_mongod(named)


def test_a_free_port_is_free() -> None:
    assert mongod._is_free("127.0.0.1", free_port("127.0.0.1"))


def test_a_mongod_whose_library_is_missing_is_said_to_lack_it(tmp_path: Path) -> None:
    lacking = program(tmp_path, mode=0o755)
    # A program of this machine, which is made to ask for a library that is not there.
    asked_for = Path("/bin/true").read_bytes().replace(b"libc.so.6", b"libZ.so.6")
    lacking.write_bytes(asked_for)
    if b"libZ.so.6" not in asked_for or shutil.which("ldd") is None:
        pytest.skip("no such loader here")
    assert missing_libraries(lacking) == ["libZ.so.6"]
    with pytest.raises(LedgerError) as refused:
        mongod.MongodProcess(tmp_path / "mongo", mongod=lacking).start()
    assert "mongod needs libZ.so.6, which this machine does not have" in str(refused.value)
    assert "ended with code" not in str(refused.value)


def test_nothing_is_missing_for_a_program_that_runs() -> None:
    assert missing_libraries(Path(sys.executable).resolve()) == []


@pytest.mark.parametrize(
    ("missing", "has_apt", "says"),
    [
        (
            ["libcurl.so.4"],
            True,
            "mongod needs libcurl.so.4, which this machine does not have: apt-get install libcurl4",
        ),
        (["libssl.so.3", "libcrypto.so.3"], True, r"libssl.so.3 and libcrypto.so.3, .*: apt-get install libssl3$"),
        (["libcurl.so.4", "libodd.so.9"], True, r"apt-get install libcurl4 \(and the package that has libodd.so.9\)"),
        (
            ["libcurl.so.4"],
            False,
            "install it by your system's packages, or use a running replica set with --mongo URI",
        ),
    ],
)
def test_the_package_is_named_where_packages_are_debians(missing: list[str], has_apt: bool, says: str) -> None:
    assert re.search(says, how_to_bring(missing, has_apt=has_apt))
