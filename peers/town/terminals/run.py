"""What `bazaar run` does: the first terminal in a directory is the town, every further one joins it."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from contextlib import AbstractContextManager

import msgspec

from peers.books_address import address_from_environment
from peers.errors import SettingsError, TownError
from peers.rpc.shortcuts import call_directly
from peers.town.files.directory import Directory
from peers.town.machines.addresses import can_be_reached, names_of_machine
from peers.town.machines.arrival import invitation_for, join_invited, settle, with_ports
from peers.town.plan.areas import given_books
from peers.town.plan.options import RunOptions
from peers.town.terminals.areas_before import with_areas
from peers.town.view.console import Console

_FILES = (65_536, 10_240)
"""How many files a terminal would like to have open, and what every system that it runs on can grant."""


def run(options: RunOptions) -> int:
    """Runs to the end; returns the exit code.

    Whatever the user can mend is a BazaarError, SettingsError among them."""
    options.check()
    invitation = invitation_for(options)
    if invitation is not None and options.fresh:
        raise SettingsError(
            "an invitation is for joining a town, and --fresh begins a new one: leave out one of them"
        )
    given = options
    options = settle(options, invitation)
    host = options.host
    directory = Directory(options.directory)
    joins = options.nameserver is not None or invitation is not None or _has_joined(directory)
    if not joins and not directory.in_use():
        options.check_first()
        _check_level(options, directory)
    directory.make()
    _raise_file_limit()
    console = Console(quiet=options.quiet)
    claimed = directory.claim()
    try:
        if options.fresh:
            _check_own(directory, claimed=claimed)
        # Its name server is where it was, for other machines know it by that.
        before = directory.read_town() if claimed else None
        options = with_ports(options, before.nameserver_port if before is not None else 0)
        if options.advertise is not None:
            call_directly(options.advertise, host)
        if invitation is not None and claimed:
            options = join_invited(options, invitation, directory, given.host)
        _secure(options, directory, host, claimed=claimed)
        if claimed and options.nameserver is None and not _has_joined(directory):
            return _first(options, given, directory, console, host)
        with _in_books(directory, host, release=True) if claimed else contextlib.nullcontext():
            return _further(options, directory, console, host, claimed=claimed)
    finally:
        directory.let_go()


def _has_joined(directory: Directory) -> bool:
    """Whether this machine has been in a town that began elsewhere, to which it comes back."""
    remembered = directory.read_machines()
    return remembered is not None and not remembered.founded


def _secure(options: RunOptions, directory: Directory, host: str, *, claimed: bool) -> None:
    """What others can reach speaks to members of the town only. The first makes certificates, others bring theirs;
    whoever holds the authority's key makes its own anew when it is called otherwise than before."""
    town = directory.read_town() if options.nameserver is None and directory.in_use() else None
    wanted = options.tls or (can_be_reached(host) and not options.insecure) or (town is not None and town.tls)
    if not wanted:
        return
    from peers.rpc.security.certificates import check_called, ensure_certificates
    from peers.rpc.security.tls import TlsFiles, secure

    files = TlsFiles(directory.tls)
    called = names_of_machine(host, options.advertise)
    if options.nameserver is None or files.authority_key.exists():
        ensure_certificates(files, called, keeps_hosts=not claimed)
    secure(files)
    check_called(files, called[0])


def _first(options: RunOptions, given: RunOptions, directory: Directory, console: Console, host: str) -> int:
    from peers.town.terminals.town import Town

    if options.mongo is None:
        # The environment is asked only here: whoever joins a town is told by its card where the books are.
        options = msgspec.structs.replace(options, mongo=address_from_environment())
        options.check()
    options = with_areas(options.as_first(), directory).with_stock()
    options.check_first()
    for address in (*given_books(options.areas), options.mongo):
        if address is not None:
            from db.address import check_closed, check_reachable

            warning = check_closed(address, insecure=options.insecure)
            check_reachable(address)
            if warning is not None:
                console.say(warning)

    async def live() -> int:
        return await Town(options, directory, console, host).run()

    with _alone_in_books(directory, options.mongo, host, given):
        if options.fresh:
            _check_alone(directory)
            _check_over(directory)
            directory.empty_books()
        return asyncio.run(live())


def _check_level(options: RunOptions, directory: Directory) -> None:
    """Raises SettingsError for a write level that the town's own books cannot reach, before anything is made."""
    from peers.town.database.replication import check_level, members_wanted

    level = options.settings.ledger.write_level
    if options.mongo is None and address_from_environment() is None:
        check_level(level, members_wanted(directory.mongo, options.replicas, options.usual_replicas))


def _check_own(directory: Directory, *, claimed: bool) -> None:
    """Raises TownError where there are no books here that are this terminal's to empty."""
    if not claimed:
        raise TownError(
            f"--fresh begins a new town, and one runs in {directory.path}: end it first, or choose another --dir"
        )
    if _has_joined(directory):
        raise TownError(
            f"--fresh begins a new town, and {directory.path} is of a machine that has joined another machine's: "
            "choose another --dir, or remove that one if you need it no more"
        )


def _check_alone(directory: Directory) -> None:
    """Raises TownError where other machines have members of the books here: emptied, this one would not be theirs."""
    from peers.town.database.replication import members_elsewhere

    elsewhere = members_elsewhere(directory.mongo)
    if elsewhere:
        raise TownError(
            f"--fresh would empty one of several members of the books; there are others at {', '.join(elsewhere)}: "
            "choose another --dir for a new town, or remove the directories of this one on all its machines"
        )


def _check_over(directory: Directory) -> None:
    """Raises TownError where other terminals still live in the town whose books are here: they would go on trading in
    the empty ones."""
    from peers.town.machines.keeping import others_write
    from peers.town.machines.remembered import who_answers

    remembered = directory.read_machines()
    answering = who_answers(remembered.nameservers, remembered.town) if remembered is not None else []
    where = ", ".join(each.nameserver for each in answering)
    if answering or others_write(directory, ()):
        raise TownError(
            f"--fresh begins a new town, and the one in {directory.path} goes on without this terminal"
            f"{f' (at {where})' if where else ''}: end its other terminals first (Ctrl-C in each), or choose "
            "another --dir"
        )


def _alone_in_books(
    directory: Directory, mongo: str | None, host: str, given: RunOptions
) -> AbstractContextManager[None]:
    """Sees to it that nobody else has a town on the books that were given, if any were, as long as that lasts."""
    if mongo is None:
        return _in_books(directory, host, release=False)  # A mongod of our own has ended by then.
    from peers.town.machines.lease import opened_alone

    return opened_alone(directory, mongo, host, given)


def _in_books(directory: Directory, host: str, *, release: bool) -> AbstractContextManager[None]:
    """Says in the books that this terminal uses them, as long as that lasts."""
    from peers.town.machines.lease import held

    return held(directory, host, release=release)


def _further(options: RunOptions, directory: Directory, console: Console, host: str, *, claimed: bool) -> int:
    from peers.town.machines.finding import where_to_join
    from peers.town.terminals.joining import Joining

    nameserver = where_to_join(options, directory, claimed=claimed)
    if options.mongo is None and not claimed:
        # A second terminal of the same user: what the first one knows, it may know too, a password among it.
        town = directory.running_town()
        options = msgspec.structs.replace(options, mongo=town.mongo_uri if town and town.mongo_uri else None)

    async def live() -> int:
        return await Joining(options, directory, console, host, nameserver, claimed=claimed).run()

    return asyncio.run(live())


def _raise_file_limit() -> None:
    """A town of many peers holds a channel to each; the usual soft limit is low for historical reasons only."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for files in _FILES:
        wanted = files if hard == resource.RLIM_INFINITY else min(hard, files)
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            return
        # Where there is no hard limit, the system may have one of its own all the same, as macOS does.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return
