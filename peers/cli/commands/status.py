"""Show the running town: services, term and trader, and each peer.

**Examples**

- `bazaar status`
- `bazaar status --dir /tmp/town --json`
"""

from __future__ import annotations

from pathlib import Path

from peers.cli.options import DirOption, JsonOption


def command(directory: DirOption = Path(".bazaar"), as_json: JsonOption = False) -> int:
    from peers.town.directory import Directory
    from peers.town.view.status import print_status, read_status, to_json

    status = read_status(Directory(directory))
    if as_json:
        print(to_json(status))
    else:
        print_status(status)
    return 0
