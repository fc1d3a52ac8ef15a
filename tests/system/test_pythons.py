"""The other releases of Python that the project is for: unit tests, and a town, under each that is to be had here."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.system.helpers.towns import ROOT

pytestmark = [pytest.mark.system, pytest.mark.long, pytest.mark.timeout(3600)]

LONGEST_S = 1800.0


def interpreter(release: str) -> str:
    """Returns the path of that Python; skips where there is none."""
    kept = sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{release}.*/bin/python"))
    for candidate in (shutil.which(f"python{release}"), *map(str, reversed(kept))):
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    pytest.skip(f"no Python {release} here")


def run(*words: str | Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    done = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LONGEST_S, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.parametrize("release", ["3.12", "3.13", "3.14"])
def test_unit_tests_and_a_town(release: str, tmp_path: Path) -> None:
    """Warnings are errors in the tests there too."""
    run(interpreter(release), "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--editable", f"{ROOT}[dev]")
    assert " passed" in run(python, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "tests/unit")
    town = tmp_path / "town"
    command = ["-W", "error", "-m", "peers.cli", "run", "localhost", "6", "--purchases", "30", "--dir", str(town)]
    assert "audit: holds" in run(python, *command)
