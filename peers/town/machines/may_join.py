"""How a terminal that would have opened a second town on books in use may join the first: the very command.

Whether this machine is a member of that town already is found out by asking it: one that has lost its directory and
kept its certificates is, and so is a second directory on the same machine.
"""

from __future__ import annotations

import shlex

from db.address import database_of
from db.terminals import Place
from peers.books_address import has_secret
from peers.errors import BazaarError, TownError
from peers.town.database.books import Books
from peers.town.files.directory import Directory
from peers.town.machines.addresses import address_towards, can_be_reached, look_up
from peers.town.machines.remembered import ask, listens
from peers.town.plan.options import RunOptions

_ANSWER_S = 5.0
"""No setting: a wrong answer would send the user to make an invitation that is not needed."""


def how_to_join(town: Place, directory: Directory, uri: str, host: str, given: RunOptions) -> str:
    """Returns, in words, how the terminal of `directory`, at address `host` and with these options, may join `town`,
    one that uses the books at `uri`."""
    if not town.nameserver:
        return "it is just starting, so try again in a moment, to be told how to join it"
    if _is_member(town.nameserver, uri):
        return f"join that one: {_directly(town.nameserver, directory, uri, given)}"
    if _is_loopback(town.host) and not listens(town.nameserver):
        return (
            f"join that one, on its own machine, for nobody else can call {town.host}; or end it and open it again "
            "with an address of that machine that others can call"
        )
    invited = ["bazaar", "invite", _own_address(host, town, given), "--out", "FILE", "--dir", town.directory]
    joins = ["bash", "run.sh", town.host, str(given.n), "--invite", "FILE", *_places(directory, given)]
    return f"join that one. Where it is: {shlex.join(invited)}. Bring FILE here, then: {shlex.join(joins)}"


def _is_member(nameserver: str, uri: str) -> bool:
    """Whether that machine answers us, and is in the town of these books."""
    books = None
    try:
        answer = ask(nameserver, _ANSWER_S)
        books = Books(uri, database_of(uri))
        return answer.card.get("town") == books.town()
    except BazaarError:
        return False
    finally:
        if books is not None:
            books.close()


def _directly(nameserver: str, directory: Directory, uri: str, given: RunOptions) -> str:
    words = ["bash", "run.sh", given.host, str(given.n), "--nameserver", nameserver, *_places(directory, given)]
    for option, wanted in ("--tls", given.tls), ("--insecure", given.insecure):
        words += [option] * wanted
    # The town tells where its books are, but for a password; what the environment says need not be said again.
    if has_secret(uri) and given.mongo is not None:
        words += ["--mongo", "@FILE"]
    return shlex.join(words)


def _places(directory: Directory, given: RunOptions) -> list[str]:
    words = ["--dir", str(directory.path)]
    if given.advertise is not None:
        words += ["--advertise", given.advertise]
    if given.nameserver_port:
        words += ["--nameserver-port", str(given.nameserver_port)]
    if given.ports is not None:
        words += ["--peer-ports", "{}-{}".format(*given.ports)]
    return words


def _is_loopback(host: str) -> bool:
    try:
        return not can_be_reached(look_up(host))
    except TownError:
        return False  # A name that only others can look up.


def _own_address(host: str, town: Place, given: RunOptions) -> str:
    """What the town is to invite this machine by."""
    if given.advertise is not None or can_be_reached(host) or _is_loopback(town.host):
        return given.advertise or host
    try:
        return address_towards(town.host)
    except TownError:
        return "<address of this one>"
