"""Make the authority of a town, if it has none, and a certificate for what is called by the names given.

`bazaar run` makes them by itself where it needs them, and `bazaar invite` those of further machines. This is for
services that start before the town does.

**Examples**

- `bazaar certs`
- `bazaar certs --dir /town --host mongo --authority-key /authority/ca.key`
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from peers.cli.options import DirOption


def command(
    directory: DirOption = Path(".bazaar"),
    host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name or address of what shows the certificate; repeatable."),
    ] = None,
    authority_key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the authority's key is kept, with its certificate; tls/ca.key."),
    ] = None,
) -> int:
    from peers.rpc.security.certificates import check_called, ensure_certificates
    from peers.rpc.security.tls import TlsFiles
    from peers.town.files.directory import Directory

    files = TlsFiles(Directory(directory).tls)
    made = ensure_certificates(files, host or (), authority_key=authority_key)
    for each in host or ():  # A machine that was invited cannot make itself another.
        check_called(files, each)
    print(f"certificates {'made' if made else 'are there already'}: {files.authority} and {files.member}")
    return 0
