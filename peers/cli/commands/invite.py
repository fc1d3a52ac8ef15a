"""Invite another machine into the town that runs here, or a client: one file for it, with all it needs.

The file says where the town is, and holds a certificate for that machine and how to reach the books, with their
password. Only its owner can read it; bring it there by a way that nobody else can read either (`scp`), and remove it
when the machine has joined. Whoever has the file can join the town.

The first machine of a town may invite, and so may each that was invited, unless its invitation was made with
`--no-right`: it does not hold the key of the town's authority then.

With `--client NAME` the file is for a program that trades from outside, as `client-NAME`: it may look, buy and
deposit in that name, and nothing else, for as long as the town is there. Pyro5's own settings take the file as it is,
and so does `bazaar shop`.

**Examples**

- `bazaar invite 192.0.2.11 --out pass.json`, and on that machine `bash run.sh 192.0.2.10 4 --invite pass.json`
- `bazaar invite 192.0.2.12 --out guest.json --hours 1 --no-right`
- `bazaar invite --client anna --out anna.pem`, and then `bazaar shop --client anna.pem --nameserver 192.0.2.10:9090`
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from peers.cli.given import only_with
from peers.cli.options import DirOption
from peers.errors import SettingsError

_MOST_HOURS = 24 * 365


def command(
    context: typer.Context,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the invitation.")],
    address: Annotated[
        str | None, typer.Argument(help="Address or name that others call the new machine by.")
    ] = None,
    client: Annotated[str | None, typer.Option(metavar="NAME", help="Invite a client of this name instead.")] = None,
    directory: DirOption = Path(".bazaar"),
    hours: Annotated[float, typer.Option(metavar="H", help="How long it may be used for the first time.")] = 24.0,
    no_right: Annotated[
        bool, typer.Option("--no-right", help="The new machine shall not invite others in its turn.")
    ] = False,
) -> int:
    if not 0 < hours <= _MOST_HOURS:
        raise SettingsError(f"--hours {hours:g}: more than 0, up to {_MOST_HOURS}")
    if client is not None:
        only_with(context, f"the file of a client ({client}), who is no machine,", "out", "client", "directory")
        return _invite_client(client, out, directory)
    if address is None:
        raise SettingsError("say whom to invite: the address of a machine, or --client NAME")
    from peers.endpoints import split_endpoint
    from peers.town.files.directory import Directory
    from peers.town.machines.invitation import make_invitation, write_invitation

    invitation = make_invitation(
        Directory(directory), address, hours=hours, may_invite=not no_right, now_s=time.time()
    )
    write_invitation(invitation, out)
    here = split_endpoint(invitation.town[0])[0]
    print(f"{out} lets {address} in, for {hours:g} hours. Bring it there, and nothing else, and run on that machine:")
    print(f"bash run.sh {here} <n> --invite {out.name}")
    return 0


def _invite_client(name: str, out: Path, directory: Path) -> int:
    from peers.endpoints import endpoint
    from peers.town.files.directory import Directory
    from peers.town.machines.invitation import write_client_file

    here = Directory(directory)
    customer = write_client_file(here, name, out)
    state = here.running_town()
    where = endpoint(state.advertised or state.host, state.nameserver_port) if state is not None else "HOST:PORT"
    print(f"{out} lets {name} in, who trades as {customer}. Whoever has the file is that client.")
    print("A program that uses Pyro5 needs nothing else but, in its environment:")
    print(f"PYRO_SSL=true PYRO_SSL_CACERTS={out.name} PYRO_SSL_CLIENTCERT={out.name}")
    print(f"By hand: bazaar shop --client {out.name} --nameserver {where}")
    return 0
