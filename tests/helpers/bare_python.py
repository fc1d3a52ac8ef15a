"""A Python that has only Pyro5 (and its serializers) on its path: the client that anybody might write."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

PYRO5 = ("Pyro5", "serpent", "msgpack")


def run_bare(
    directory: Path,
    program: str,
    *arguments: object,
    serializer: str = "serpent",
    besides: tuple[str, ...] = (),
    environment: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Runs `program` in `directory` with nothing but Pyro5 and `besides` to import, and `environment` besides what it
    needs; returns what it prints.

    Fails if it fails, and if it could have imported what is ours.
    """
    packages = directory / "packages"
    packages.mkdir(exist_ok=True)
    for name in (*PYRO5, *besides):
        if not (packages / name).exists() and not (packages / f"{name}.py").exists():
            place = _place_of(name)
            (packages / place.name).symlink_to(place)
    script = directory / "program.py"
    script.write_text(program)
    done = subprocess.run(
        [sys.executable, "-P", "-S", "-s", "-c", _ALONE, str(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=directory,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(packages), "PYRO_SERIALIZER": serializer, **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


_ALONE = """
import importlib.util, runpy, sys
assert not any(map(importlib.util.find_spec, ("peers", "db", "nameserver", "msgspec")))
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def _place_of(package: str) -> Path:
    found = importlib.util.find_spec(package)
    assert found is not None, package
    assert found.origin is not None, package
    origin = Path(found.origin)
    return origin.parent if origin.name == "__init__.py" else origin
