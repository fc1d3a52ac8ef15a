"""Machines on which nothing was installed for this project: containers of bare systems, each with a copy of it."""

from __future__ import annotations

import io
import itertools
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import pytest

from tests.helpers.composition import ROOT

LONGEST_S = 900.0
"""For one command there; it may bring a Python, and all that the trading post needs, over a slow network."""
CHECKOUT = "trading-post"
_LEFT_OUT = {".venv", ".git", ".bazaar", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
_CERTIFICATES = "/etc/certificates-of-the-index.pem"
_number = itertools.count()


@dataclass(frozen=True)
class System:
    """A release. `image`: where images are pulled from; `mirror` and `script` (of debootstrap, the release's own by
    default) make a stand-in where they cannot be; `sources`: what it knows of packages."""

    suite: str
    image: str
    mirror: str = "http://deb.debian.org/debian"
    script: str = ""
    sources: tuple[str, ...] = ()
    keyring: str = ""
    include: str = "ca-certificates"


@dataclass(frozen=True)
class Said:
    """What a command there said, on both channels together, and how it ended."""

    code: int
    text: str

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


class BareMachine:
    """A container that waits for commands; `place` is where the copy of the checkout is."""

    def __init__(self, environment: dict[str, str], image: str, *options: str, place: str = "/srv") -> None:
        self._environment = {**os.environ, **environment}
        self._name = f"bazaar-bare-{os.getpid()}-{next(_number)}"
        self.checkout = f"{place}/{CHECKOUT}"
        self._options = list(options)
        self._image = image
        self._place = place

    def __enter__(self) -> BareMachine:
        for name in ("PIP_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT"):
            if name in os.environ:
                self._options += ["--env", name]
        certificates = os.environ.get("PIP_CERT")
        if certificates:
            self._options += ["--env", f"PIP_CERT={_CERTIFICATES}"]
        self._docker("run", "--detach", "--init", "--name", self._name, *self._options, self._image, "sleep", "3600")
        try:
            self.run(f"mkdir -p '{self._place}'")
            self._docker("cp", "-", f"{self._name}:{self._place}", stdin=_packed())
            if certificates:
                self._docker("cp", str(Path(certificates).resolve()), f"{self._name}:{_CERTIFICATES}")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._docker("rm", "--force", self._name)

    def run(self, script: str, *, user: str = "root", environment: dict[str, str] | None = None) -> Said:
        """Has a shell there run `script`, in the checkout if it is there."""
        words = ["exec", "--user", user]
        for name, value in (environment or {}).items():
            words += ["--env", f"{name}={value}"]
        there = f"cd '{self.checkout}' 2>/dev/null; exec 2>&1; {script}"
        done = self._docker(*words, self._name, "bash", "-c", there, check=False)
        return Said(done.returncode, done.stdout.decode(errors="replace"))

    def add_user(self, name: str, *, sudo: bool = False) -> None:
        """Makes an ordinary user, who is given the checkout; with `sudo`, one who may do all without a password."""
        said = self.run(
            f"useradd --create-home {name} && chown -R {name} '{self._place}' && chmod a+rx '{self._place}'"
        )
        assert said.code == 0, said.text
        if sudo:
            said = self.run(
                "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "
                f"sudo && echo '{name} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/{name}; rm -rf /var/lib/apt/lists/*"
            )
            assert said.code == 0, said.text

    def _docker(
        self, *words: str, stdin: bytes | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            ["docker", *words],
            env=self._environment,
            input=stdin,
            capture_output=True,
            timeout=LONGEST_S,
            check=False,
        )
        assert done.returncode == 0 or not check, f"docker {' '.join(words)}: {done.stderr.decode()}"
        return done


def _packed() -> bytes:
    """The checkout as an archive, without what is made in it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(
            ROOT, CHECKOUT, filter=lambda entry: None if Path(entry.name).name in _LEFT_OUT else _of_root(entry)
        )
    return packed.getvalue()


def _of_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    return entry


def image_of(environment: dict[str, str], system: System) -> str:
    """Returns the name of an image of that system; pulls it, or makes it of the release's own packages, at first."""
    whole = {**os.environ, **environment}
    made = f"bazaar-bare:{system.suite}"
    for name in (system.image, made):
        if (
            subprocess.run(
                ["docker", "image", "inspect", name], env=whole, capture_output=True, check=False
            ).returncode
            == 0
        ):
            return name
    if subprocess.run(["docker", "pull", system.image], env=whole, capture_output=True, check=False).returncode == 0:
        return system.image
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        pytest.skip(f"{system.image} cannot be pulled here, and debootstrap, run by root, is not there to make one")
    if system.keyring and not Path(system.keyring).exists():
        pytest.skip(f"{system.image} cannot be pulled here, and {system.keyring} is not there to check packages by")
    with tempfile.TemporaryDirectory(prefix="bazaar-bare-") as directory:
        _make(Path(directory) / "root", system, made, whole)
    return made


def _make(root: Path, system: System, name: str, environment: dict[str, str]) -> None:
    command = ["unshare", "--mount", "debootstrap", "--variant=minbase", f"--include={system.include}"]
    command += [f"--keyring={system.keyring}"] if system.keyring else []
    command += [system.suite, str(root), system.mirror]
    command += [f"/usr/share/debootstrap/scripts/{system.script}"] if system.script else []
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    for made in ("var/lib/apt/lists", "var/cache/apt/archives"):
        shutil.rmtree(root / made)
        (root / made / "partial").mkdir(parents=True)
    if system.sources:
        (root / "etc/apt/sources.list").write_text("\n".join(system.sources) + "\n")
    # A mirror may be a copy of some day that is kept.
    (root / "etc/apt/apt.conf.d/99-any-day").write_text('Acquire::Check-Valid-Until "false";\n')
    subprocess.run(
        ["bash", "-c", 'set -o pipefail; tar -C "$1" -c . | docker import - "$2"', "bash", str(root), name],
        env=environment,
        capture_output=True,
        check=True,
    )
