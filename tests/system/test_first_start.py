"""The first start makes the virtual environment; wherever it is cut short, the next one makes it whole.

The checkout is one of a project without dependencies, that builds itself, so that nothing is fetched.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.waiting import wait_until
from tests.system.helpers.towns import ROOT

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        importlib.util.find_spec("ensurepip") is None, reason="this Python would fetch the pip of an environment"
    ),
]

LONGEST_S = 120.0
WORDS = ("localhost", "2", "--mongo", "mongodb://nowhere")  # Of the system nothing is needed for books elsewhere.
DONE = "run localhost 2 --mongo mongodb://nowhere\n"
ANEW = "run.sh: the virtual environment in .venv is unfinished, or for another Python: making it anew (once)\n"

_PROJECT = """
[project]
name = "post"
version = "1"
[build-system]
requires = []
build-backend = "build_post"
backend-path = ["."]
"""
_BACKEND = """
import zipfile

FILES = {
    "post.py": "import sys\\ndef main():\\n    print(*sys.argv[1:])\\n",
    "post-1.dist-info/METADATA": "Metadata-Version: 2.1\\nName: post\\nVersion: 1\\n",
    "post-1.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: us\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    "post-1.dist-info/entry_points.txt": "[console_scripts]\\nbazaar = post:main\\n",
    "post-1.dist-info/RECORD": "",
}

def build_editable(directory, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(f"{directory}/post-1-py3-none-any.whl", "w") as wheel:
        for name, text in FILES.items():
            wheel.writestr(name, text)
    return "post-1-py3-none-any.whl"
"""


class Checkout:
    """A folder with `run.sh` and what it sources, whose `bazaar` prints what it is given."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.venv = path / ".venv"
        path.mkdir()
        shutil.copy(ROOT / "run.sh", path)
        shutil.copytree(ROOT / "setup", path / "setup")
        (path / "pyproject.toml").write_text(_PROJECT)
        (path / "build_post.py").write_text(_BACKEND)

    def start(self) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
        return subprocess.Popen(
            ["bash", str(self._path / "run.sh"), *WORDS],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**environment, "PYTHON": sys.executable},
        )

    def run(self) -> str:
        """Starts it, which must do; returns what it says."""
        process = self.start()
        try:
            said, _ = process.communicate(timeout=LONGEST_S)
        finally:
            end(process, signal.SIGKILL)
        assert process.returncode == 0, said
        return said

    def packages(self) -> Path:
        (packages,) = self.venv.glob("lib/python*/site-packages")
        return packages


def end(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Sends a signal to all of a start, as a terminal does, and waits for its end."""
    if process.poll() is None:
        os.killpg(process.pid, number)
        process.wait(LONGEST_S)
    if process.stdout is not None:
        process.stdout.close()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "a checkout")


@pytest.mark.parametrize("number", [signal.SIGHUP, pytest.param(signal.SIGKILL, marks=pytest.mark.long)])
def test_a_first_start_that_was_cut_short_is_made_good(checkout: Checkout, number: signal.Signals) -> None:
    first = checkout.start()
    try:
        wait_until((checkout.venv / "bin" / "python").exists, "an environment, still without its pip")
    finally:
        end(first, number)
    assert first.returncode == -number
    said = checkout.run()
    assert ANEW in said
    assert said.endswith(DONE)
    assert checkout.run() == DONE, "all is there"


@pytest.mark.long
def test_an_environment_with_half_of_its_pip_is_made_anew(checkout: Checkout) -> None:
    """So it is if the first start ends while pip is copied; what comes first is all there already."""
    subprocess.run([sys.executable, "-m", "venv", checkout.venv], check=True, timeout=LONGEST_S)
    for program in checkout.venv.glob("bin/pip*"):
        program.unlink()
    shutil.rmtree(checkout.packages() / "pip" / "_vendor")
    assert ANEW in checkout.run()


@pytest.mark.long
def test_an_environment_whose_installation_was_cut_short_is_kept(checkout: Checkout) -> None:
    subprocess.run([sys.executable, "-m", "venv", checkout.venv], check=True, timeout=LONGEST_S)
    ours = checkout.venv / "ours"
    ours.touch()
    assert checkout.run().endswith(DONE)
    assert ours.exists()


@pytest.mark.long
def test_another_version_of_python_under_the_same_name_has_the_environment_made_anew(checkout: Checkout) -> None:
    checkout.run()
    assert checkout.run() == DONE
    packages = checkout.packages()
    packages.parent.rename(packages.parent.with_name("python3.1"))  # The link to Python was of another version then.
    stamp = checkout.venv / ".installed"
    version = " ".join(map(str, sys.version_info[:2]))
    assert stamp.read_text().splitlines()[-1] == version
    stamp.write_text(stamp.read_text().replace(version, "3 1"))
    said = checkout.run()
    assert ANEW in said
    assert said.endswith(DONE)
    assert checkout.packages() == packages, "nothing of the old one stays"
