"""Show the running town: services, term and trader, and each peer.

A peer whose process has ended is listed as gone for five minutes, with `--all` for ever; JSON has all of them.

**Examples**

- `bazaar status`
- `bazaar status --dir /tmp/town --json`
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from peers.cli.options import DirOption, JsonOption


def command(
    directory: DirOption = Path(".bazaar"),
    everybody: Annotated[bool, typer.Option("--all", help="Also those who have been gone for long.")] = False,
    as_json: JsonOption = False,
) -> int:
    from peers.town.files.directory import Directory
    from peers.town.view.status import print_status, read_status, to_json

    status = read_status(Directory(directory))
    if as_json:
        print(to_json(status))
    else:
        print_status(status, everybody=everybody)
    return 0
