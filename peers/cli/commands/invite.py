"""Invite another machine into the town that runs here: one file for it, with all it needs to join.

The file says where the town is, and holds a certificate for that machine and how to reach the books, with their
password. Only its owner can read it; bring it there by a way that nobody else can read either (`scp`), and remove it
when the machine has joined. Whoever has the file can join the town.

The first machine of a town may invite, and so may each that was invited, unless its invitation was made with
`--no-right`: it does not hold the key of the town's authority then.

**Examples**

- `bazaar invite 192.0.2.11 --out pass.json`, and on that machine `bash run.sh 192.0.2.10 4 --invite pass.json`
- `bazaar invite 192.0.2.12 --out guest.json --hours 1 --no-right`
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from peers.cli.options import DirOption
from peers.errors import SettingsError

_MOST_HOURS = 24 * 365


def command(
    address: Annotated[str, typer.Argument(help="Address or name that others call the new machine by.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the invitation.")],
    directory: DirOption = Path(".bazaar"),
    hours: Annotated[float, typer.Option(metavar="H", help="How long it may be used for the first time.")] = 24.0,
    no_right: Annotated[
        bool, typer.Option("--no-right", help="The new machine shall not invite others in its turn.")
    ] = False,
) -> int:
    if not 0 < hours <= _MOST_HOURS:
        raise SettingsError(f"--hours {hours:g}: more than 0, up to {_MOST_HOURS}")
    from peers.endpoints import split_endpoint
    from peers.town.directory import Directory
    from peers.town.invitation import make_invitation, write_invitation

    invitation = make_invitation(
        Directory(directory), address, hours=hours, may_invite=not no_right, now_s=time.time()
    )
    write_invitation(invitation, out)
    here = split_endpoint(invitation.town[0])[0]
    print(f"{out} lets {address} in, for {hours:g} hours. Bring it there, and nothing else, and run on that machine:")
    print(f"bash run.sh {here} <n> --invite {out.name}")
    return 0
