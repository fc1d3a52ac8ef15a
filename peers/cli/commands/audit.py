"""Check every invariant against the books and the peers' journals.

Works while the town trades and after it has ended. Exit code 0: all hold; 1: one is violated; 2: it could not
be told.

A password is not for the command line, which everybody on the machine can read: `@FILE` names a file with the
address in it. Where the directory does not tell where the books are, `BAZAAR_MONGO` in the environment may.

**Examples**

- `bazaar audit`
- `bazaar audit --dir /tmp/town --json`
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from peers.cli.options import DirOption, JsonOption


def command(
    directory: DirOption = Path(".bazaar"),
    as_json: JsonOption = False,
    mongo: Annotated[
        str | None, typer.Option(metavar="URI|@FILE", help="Audit this database, whatever the directory says.")
    ] = None,
) -> int:
    from rich.console import Console

    from db.audit.report import to_json
    from peers.books_address import address_given
    from peers.town.directory import Directory
    from peers.town.view.audit_report import print_audit
    from peers.town.view.inspection import inspect

    report = inspect(Directory(directory), address_given(mongo))
    if as_json:
        print(to_json(report))
    else:
        print_audit(report, Console(highlight=False, markup=False, emoji=False))
    return report.exit_code
