"""The machines of a town: which there are, which of them answer, and how parts that were apart meet.

Each has a name server, whose address travels with its peers' records and is remembered in the town's directory. So
who comes back after a while finds the others, whichever of them are left.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import msgspec

from nameserver.client import NameServerClient, Registered, find
from nameserver.names import CLOSING
from peers.core.membership.members import Member, Snapshot
from peers.endpoints import endpoint, host_of, split_endpoint
from peers.errors import TownError
from peers.town.machines.introduction import introduced

# None of these is a setting: they bound what asking costs that is never answered.
MOST_REMEMBERED = 32
_ANSWER_S = 1.5
_LISTENS_S = 0.3
_MOST_ASKED = 4
_AT_ONCE = 64


class Answering(msgspec.Struct, frozen=True, kw_only=True):
    """A machine whose name server answers: its card, and whom it lists."""

    nameserver: str
    card: dict[str, str]
    peers: tuple[Registered, ...]


def ask(nameserver: str, timeout_s: float = _ANSWER_S) -> Answering:
    """Asks a machine what it says of its town; TownError if it does not answer, or has no town that is open."""
    with find(*split_endpoint(nameserver), timeout_s) as names:
        card, peers = names.card(), names.peers()
    if card is None or "settings" not in card or CLOSING in card:
        raise TownError(f"the name server at {nameserver} knows of no town that is open")
    return Answering(nameserver=nameserver, card=card, peers=tuple(peers))


def ask_any(host: str, port: int) -> Answering:
    """Asks the machine that is called so; where a name is that of several, as in containers, any that answers.

    TownError if none does."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TownError(f"{host} cannot be found ({getattr(error, 'strerror', None) or error})") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if len(addresses) == 1:
        return ask(endpoint(host, port))
    with ThreadPoolExecutor(len(addresses)) as pool:
        answers = list(pool.map(_asked, [endpoint(address, port) for address in addresses]))
    for answer in answers:
        if answer is not None:
            return answer
    raise TownError(f"no machine that is called {host} knows of a town that is open, at port {port}")


def who_answers(nameservers: Iterable[str], town: str | None) -> list[Answering]:
    """Asks these machines, many at once; returns those in that town, or in any (None), in the order given."""
    wanted = list(dict.fromkeys(nameservers))
    if not wanted:
        return []
    with ThreadPoolExecutor(min(len(wanted), _AT_ONCE)) as pool:
        found = pool.map(_asked, wanted)
        return [each for each in found if each is not None and town in (None, each.card.get("town"))]


def _asked(nameserver: str) -> Answering | None:
    try:
        return ask(nameserver)
    except TownError:
        return None


def remembered(latest: Iterable[str], known: Iterable[str], without: str) -> tuple[str, ...]:
    """Returns the name servers to remember: the latest, then those known before, but not too many."""
    return tuple(each for each in dict.fromkeys((*latest, *known)) if each != without)[:MOST_REMEMBERED]


def introduce(member: Member, nameservers: Iterable[str], ours: Collection[str]) -> Snapshot:
    """Has `member` introduced by some peer that one of these machines lists; returns what it must know.

    TownError if nobody can."""
    why = TownError(f"there is no town to introduce {member.name} to")
    for nameserver in nameservers:
        try:
            with NameServerClient(*split_endpoint(nameserver), _ANSWER_S) as names:
                sponsors = [peer for peer in names.peers() if peer.area == member.area]
            # Peers of other terminals come first, for the last of ours may not have begun yet. Of those the ones on
            # the machine that has just answered do: others may have died with theirs a moment ago.
            here = split_endpoint(nameserver)[0]
            random.Random(member.name).shuffle(sponsors)
            sponsors.sort(key=lambda sponsor: (sponsor.name in ours, host_of(sponsor.uri) != here))
            return introduced(member, [(sponsor.name, sponsor.uri) for sponsor in sponsors])
        except TownError as error:
            why = error
    raise why


def meet(ours: Collection[Member], believed: Snapshot, away: Iterable[str], town: str) -> None:
    """Looks whether machines of which no peer is known to be up are in the town all the same, and has one of ours,
    which are all of one area, introduced to that area there. The maps of members that meet so are exchanged by the
    peers.

    Parts of a town that were cut from each other find each other without this, by their peers' knocking at those who
    count as gone. Those that have never heard of each other, for both have begun anew since, do not."""
    asked = list(away)
    random.shuffle(asked)
    up = {member.uri for member in believed.members if member.up}
    areas = {member.area for member in ours}
    for found in who_answers(asked[:_MOST_ASKED], town):
        strangers = [(peer.name, peer.uri) for peer in found.peers if peer.uri not in up and peer.area in areas]
        if strangers:
            with suppress(TownError):
                introduced(random.choice(list(ours)), strangers)


def say_closing(nameservers: Iterable[str], town: str) -> list[str]:
    """Tells those of these machines that are in the town that it is over; returns which were told.

    Who does not answer is not told, and goes on."""
    told = []
    for found in who_answers(nameservers, town):
        with suppress(TownError), NameServerClient(*split_endpoint(found.nameserver), _ANSWER_S) as names:
            names.say_closing()
            told.append(found.nameserver)
    return told


def listens(nameserver: str) -> bool:
    """Whether a machine's name server is still there."""
    with suppress(OSError, UnicodeError), socket.create_connection(split_endpoint(nameserver), _LISTENS_S):
        return True
    return False
