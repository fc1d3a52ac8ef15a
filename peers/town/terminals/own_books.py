"""The `mongod`s of a town that has no database given: alone on loopback, or shared with the town's other machines."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote

import msgspec

from db.mongod.guard import KEY_FILE, Guard, make_guard
from db.mongod.process import MongodProcess
from db.mongod.replica_set import PARAMETERS
from db.uri import hosts_of, parsed
from peers.endpoints import endpoint, split_endpoint
from peers.errors import LedgerError, SettingsError, TownError
from peers.files import write_json
from peers.rpc.security.tls import TlsFiles, is_secured
from peers.town.database.record_again import restore_replication
from peers.town.database.replicas import Replicas, all_here
from peers.town.database.replication import (
    Replication,
    check_level,
    members_elsewhere,
    members_wanted,
    read_replication,
)
from peers.town.files.directory import Directory
from peers.town.machines.addresses import can_be_reached, is_own, look_up, names_of_machine, pick_port
from peers.town.plan.options import SWITCHED, RunOptions
from peers.town.view.console import Console


def founded_books(directory: Directory, console: Console, options: RunOptions, before_at: str = "") -> Replicas:
    """Returns the books of the town in `directory`, which is where they began; nothing is started. `before_at`: the
    address they had last, empty if they had none.

    Where other machines can reach the host, the `mongod` listens there, to members that know the password; the port
    is kept from run to run, for the others remember it. Elsewhere it listens on loopback, at the port of before if it
    can, and all members of a set are here. LedgerError if its secrets cannot be kept, TownError if no port is left or
    nobody knows in which members the books are, SettingsError for a number of members that the books there are not to
    have, or that are fewer than the write level asks for.
    """
    home, host = directory.mongo, options.host
    restore_replication(home, console.warn, before_at)
    before = read_replication(home)
    wanted = members_wanted(home, options.replicas, options.usual_replicas)
    check_level(options.settings.ledger.write_level, wanted)
    if before is not None and wanted < before.wanted:
        raise SettingsError(f"--replicas {wanted}: the books here are in {before.wanted} members; leave that out")
    is_shared = is_secured() and can_be_reached(host)
    if before is not None and _is_spread(before) != is_shared and len(before.known) > 1:
        where = " or ".join(before.own)
        raise TownError(f"the books here are those of a set with members at {where}: open the town there, as before")
    others = members_elsewhere(home)
    if others and not directory.has_private_books():
        raise TownError(
            f"the books of this machine are gone from {home}; other members have them ({', '.join(others)}): let one "
            "of those machines make an invitation for this one, and join by that"
        )
    record = msgspec.structs.replace(before or Replication(wanted=wanted), wanted=wanted)
    if not is_shared:
        called = SWITCHED if options.member_ports else None
        members = all_here(
            home,
            record,
            _parameters(options),
            called=called,
            ports=options.member_ports,
            preferred=_port_of(before_at),
        )
        return Replicas(home, console, members, record)
    called = options.advertise
    if wanted > 1 and called is not None and not is_own(look_up(called)):
        raise TownError(
            f"--replicas {wanted}: this machine is called at {called}, which is not its own address (NAT), and "
            "members of a set must reach each other, and themselves, at one: use one network, or a name that is "
            "right on both sides (--advertise NAME)"
        )
    files = TlsFiles(directory.tls)
    guard = make_guard(files.directory, files.authority, files.member)
    port = _port_to_keep(files.directory, options)
    called = called if wanted > 1 else _called_alone(options)
    process = MongodProcess(home, host, port, guard=guard, called=called, parameters=PARAMETERS)
    return Replicas(home, console, [process], record)


def _called_alone(options: RunOptions) -> str | None:
    """What a single `mongod` is called by this machine itself, where that is not its host: one that listens at all
    addresses is called at one that others can reach too. Behind NAT, an invitation says what it is called outside."""
    if not ip_address(options.host).is_unspecified:
        return None
    if options.advertise is not None and is_own(look_up(options.advertise)):
        return options.advertise
    return next(iter(names_of_machine(options.host, None)), None)


def joined_books(directory: Directory, console: Console, options: RunOptions) -> Replicas | None:
    """Returns what this machine, which joins, has of the books of its town: nothing is started. None where they are
    no set of several. LedgerError for an address of the books that is none, or for a port that cannot be
    kept, TownError if no port is left."""
    record, uri = read_replication(directory.mongo), options.mongo
    if record is None or uri is None:
        return None
    files = TlsFiles(directory.tls)
    key = files.directory / KEY_FILE
    processes = []
    may_listen = options.advertise is None or is_own(look_up(options.advertise))
    if may_listen and key.exists() and is_secured() and can_be_reached(options.host):
        guard = Guard(files.authority, files.member, key, unquote(parsed(uri)["password"] or ""))
        processes = [
            MongodProcess(
                directory.mongo,
                options.host,
                _port_to_keep(files.directory, options),
                guard=guard,
                called=options.advertise,
                founds=False,
                parameters=PARAMETERS,
            )
        ]
    known = tuple(dict.fromkeys((*record.known, *(endpoint(*each) for each in hosts_of(uri)))))
    return Replicas(directory.mongo, console, processes, msgspec.structs.replace(record, known=known), uri)


def _parameters(options: RunOptions) -> dict[str, object]:
    """What a `mongod` is started with of which something is asked that only tests may ask: in a chaos town."""
    return {"enableTestCommands": 1} if options.switch is not None else {}


def _is_spread(record: Replication) -> bool:
    """Whether its members are on several machines."""
    return any(can_be_reached(look_up(split_endpoint(each)[0])) for each in record.own)


def _port_to_keep(folder: Path, options: RunOptions) -> int:
    """The port that other machines remember, or one that they will; 0, which is any, if no ports are to be kept.

    LedgerError if it cannot be kept."""
    if options.ports is None:
        return 0
    remembered = folder / "mongod.port"
    port = pick_port(options.host, options.ports, preferred=_read_port(remembered), without=[options.nameserver_port])
    try:
        write_json(remembered, port)
    except OSError as error:
        raise LedgerError(f"the port of the books cannot be kept in {folder} ({error.strerror or error})") from error
    return port


def _port_of(before_at: str) -> int:
    """Where the only `mongod` of a town on loopback was last: terminals that have joined it know it by that, and may
    have gone on without this one. 0 if there was none."""
    hosts = hosts_of(before_at) if before_at else []
    return hosts[0][1] if len(hosts) == 1 else 0


def _read_port(path: Path) -> int:
    try:
        return msgspec.json.decode(path.read_bytes(), type=int)
    except (OSError, msgspec.MsgspecError):
        return 0
