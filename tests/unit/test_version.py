"""Every machine of a town can say which version of the program it runs, however that came there."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from peers import version

ROOT = Path(__file__).parents[2]


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_found(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(version, "version", not_found)


def test_where_it_is_run_from_its_source_that_says_the_version(not_installed: None) -> None:
    del not_installed
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert version.program_version() == project["version"]


@pytest.mark.parametrize("text", [None, "", "[project]\nname = 'x'", "torn ["])
def test_where_nothing_tells_it_is_empty(not_installed: None, tmp_path: Path, text: str | None) -> None:
    del not_installed
    source = tmp_path / "pyproject.toml"
    if text is not None:
        source.write_text(text)
    assert version.program_version(source) == ""
