"""How a terminal finds its place: where it listens, what others call it, by which ports, and whose town it is.

Two ways lead into a town of several machines: its own address, for who opens it or is remembered by it, and an
invitation, for who comes for the first time, with the address of any machine that is there already.
"""

from __future__ import annotations

import time

import msgspec

from nameserver.client import NameServerClient
from peers.endpoints import endpoint, split_endpoint
from peers.errors import TownError
from peers.rpc.security.tls import TlsFiles, secure
from peers.town.files.directory import Directory
from peers.town.machines.addresses import (
    DEFAULT_PORTS,
    address_towards,
    can_be_reached,
    check_advertised,
    is_own,
    look_up,
    pick_port,
    resolve_host,
)
from peers.town.machines.invitation import (
    Invitation,
    accept,
    invitation_from_environment,
    known_machines,
    read_invitation,
)
from peers.town.plan.options import SERVICE_PORTS, RunOptions

_ANSWER_S = 3.0
"""No setting: how long to wait for one name server before the next is tried."""


def invitation_for(options: RunOptions) -> Invitation | None:
    """Returns the invitation that was given, None if none was; SettingsError if it cannot be read."""
    return read_invitation(options.invite) if options.invite is not None else invitation_from_environment()


def settle(options: RunOptions, invitation: Invitation | None) -> RunOptions:
    """Returns the options with `host` an address of this machine, and `advertise` what others call if it is another.

    With an invitation, `host` may be any machine of the town: this one's address is the one that was invited, and
    where that is none of its own, it is what the town calls it by (NAT). TownError for a host that will not do."""
    advertise = options.advertise
    if advertise is not None:
        check_advertised(advertise)  # A name stays one: what it means may change, as in containers.
    if invitation is None or is_own(look_up(options.host)):
        host = resolve_host(options.host, advertised=advertise)
    else:
        invited = look_up(invitation.address)
        host = invited if is_own(invited) else address_towards(options.host)
        advertise = advertise or invited
    return msgspec.structs.replace(options, host=host, advertise=None if advertise == host else advertise)


def with_ports(options: RunOptions, remembered: int) -> RunOptions:
    """Returns the options with the ports to use: those given, else the usual ones where others can call, else any.

    The name server keeps its port from run to run (`remembered`), for other machines know it by that. TownError if
    all are taken."""
    ports = options.ports
    if ports is None and can_be_reached(options.host) and not options.insecure:
        first, last = DEFAULT_PORTS
        ports = (first, max(last, first + options.n + SERVICE_PORTS - 1))
    nameserver_port = options.nameserver_port
    if ports is not None and not nameserver_port:
        nameserver_port = pick_port(options.host, ports, preferred=remembered)
    return msgspec.structs.replace(options, ports=ports, nameserver_port=nameserver_port)


def join_invited(options: RunOptions, invitation: Invitation, directory: Directory, asked: str) -> RunOptions:
    """Takes the invitation in, and returns the options as they are for joining: a name server that answers and the
    address of the books. `asked`: the host that was named on the command line. TownError if no machine answers."""
    books = accept(invitation, directory, now_s=time.time())
    secure(TlsFiles(directory.tls))
    options = msgspec.structs.replace(options, mongo=options.mongo or books)
    try:
        found = _answering(_candidates(invitation, directory, asked), asked)
    except TownError:
        if directory.read_machines() is None:
            raise
        return options  # Who has been in this town before looks for its machines until one answers.
    return msgspec.structs.replace(options, nameserver=found)


def _candidates(invitation: Invitation, directory: Directory, asked: str) -> list[str]:
    """Name servers to try: of the host that was named first, then all that are known."""
    known = [*invitation.town, *known_machines(directory)]
    places = [split_endpoint(each) for each in known]
    target = look_up(asked)
    named = [endpoint(host, port) for host, port in places if target in (host, look_up(host))]
    elsewhere = [] if named or is_own(target) else [endpoint(target, port) for port in {port for _, port in places}]
    return list(dict.fromkeys([*named, *elsewhere, *known]))


def _answering(candidates: list[str], asked: str) -> str:
    refusals = []
    for each in candidates:
        try:
            with NameServerClient(*split_endpoint(each), _ANSWER_S) as names:
                names.ping()
            return each
        except TownError as error:
            refusals.append(str(error))
    raise TownError(
        f"no machine of the town answers ({'; '.join(refusals)}): is the town open, and do the firewalls of its "
        f"machines let this one in? `bazaar doctor {asked}` says more"
    )
