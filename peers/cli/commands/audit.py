"""Check every invariant against the books and the peers' journals.

Works while the town trades and after it has ended. Exit code 0: all hold; 1: one is violated, or something that
somebody was told is lost, as its write level allows (`could be lost at this level`); 2: it could not be told.

A town on several machines is judged as one, whichever of their directories this is: the others are asked for their
journals. Of those that cannot be had it could not be told; with `--json`, `journals` says how many lines were read of
each machine, and what is missing.

In a town with several posts each is judged by itself, and then what must hold over all of them: that no id was
decided at two posts, and that the money adds up.

`--members` compares what the members of the database hold, each asked by itself, and says how far behind each is.

A password is not for the command line, which everybody on the machine can read: `@FILE` names a file with the
address in it. Where the directory does not tell where the books are, `BAZAAR_MONGO` in the environment may.

**Examples**

- `bazaar audit`
- `bazaar audit --dir /tmp/town --json`
- `bazaar audit --members`
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
    members: Annotated[
        bool, typer.Option("--members", help="Compare the members of the database, and nothing else.")
    ] = False,
) -> int:
    import msgspec
    from rich.console import Console

    from db.audit.posts import town_json
    from db.audit.report import EXIT_CODES, to_json, worst
    from peers.books_address import address_given
    from peers.town.files.directory import Directory
    from peers.town.inspection import inspect, inspect_members
    from peers.town.view.audit_report import print_town

    if members:
        compared = inspect_members(Directory(directory), address_given(mongo))
        exit_code = EXIT_CODES[worst(each.answer for each in compared.values())]
        if as_json:
            bodies = {
                name: {"answer": each.answer, "exit_code": each.exit_code, **msgspec.structs.asdict(each)}
                for name, each in compared.items()
            }
            body = bodies.get("", {"exit_code": exit_code, "areas": bodies})
            print(msgspec.json.format(msgspec.json.encode(body), indent=2).decode())
        else:
            for name, each in compared.items():
                print("\n".join([*([f"{name}:"] if name else []), *each.lines()]))
        return exit_code
    report = inspect(Directory(directory), address_given(mongo))
    if as_json:
        print(to_json(report.first) if "" in report.posts else town_json(report))
    else:
        print_town(report, Console(highlight=False, markup=False, emoji=False))
    return report.exit_code
