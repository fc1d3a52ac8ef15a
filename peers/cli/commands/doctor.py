"""Say what is wrong with a town of several machines, seen from this one, each with what to do.

Looks at names and addresses, the certificate of this machine, the name servers and peers of all machines that it
knows of, the database, the clocks, and the versions. With HOST, at that machine only. Nothing is changed.
Exit code 0: all is well; 1: something is wrong; 2: it could not be told.

**Examples**

- `bazaar doctor`
- `bazaar doctor 192.0.2.10 --json`
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from peers.cli.options import DirOption, JsonOption


def command(
    host: Annotated[str | None, typer.Argument(help="A machine of the town; default: all known here.")] = None,
    directory: DirOption = Path(".bazaar"),
    as_json: JsonOption = False,
) -> int:
    import msgspec

    from peers.town.files.directory import Directory
    from peers.town.machines.doctor import Doctor

    diagnosis = Doctor(Directory(directory), host).look()
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(diagnosis), indent=2).decode())
        return diagnosis.exit_code
    for finding in diagnosis.findings:
        print(f"{finding.verdict:8} {finding.what}: {finding.seen}")
        if finding.advice:
            print(f"{'':8} → {finding.advice}")
    wrong = sum(finding.verdict != "well" for finding in diagnosis.findings)
    print("all is well" if not wrong else f"{wrong} of {len(diagnosis.findings)} things are not well")
    return diagnosis.exit_code
