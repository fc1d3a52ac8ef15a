"""What a peer process is told when it starts, and what it and its town say to each other.

The channel between town and peer is a socket pair that carries JSON lines. The town sends `Begin` once all peers
are ready, and `Finish` to end the peer; the end of the channel means that the town is gone, and the peer ends too.
The peer sends `Ready`, then what it has to tell people (`Told`), and `Finished`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from peers.core.membership.members import Member, Snapshot
from peers.core.names import Role
from peers.core.reports import AnyReport
from peers.points import Point


class PeerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One peer process. `settings` is `Settings.model_dump(mode="json")`; `incarnation` is the wall clock in ms
    at its start, so that it grows from one start of the same peer to the next."""

    name: str
    rank: int
    role: Role
    # The address to listen on.
    host: str
    # The address that others call, where it is another.
    advertised: str | None = None
    # The first and the last port to listen on, where a firewall lets only these through.
    ports: tuple[int, int] | None = None
    # The directory of the town, where journals and logs are.
    directory: str
    nameserver_host: str
    nameserver_port: int
    mongo_uri: str
    database: str
    # How long a question to the books and its answer take, in seconds.
    books_s: float = 0.0
    seed: int
    incarnation: int
    settings: dict[str, object]
    # Whether the town is told only of elections and losses, not of trade; benches ask for that.
    quiet: bool = False
    # The directory of the town's certificates, None where the town does not speak TLS.
    tls: str | None = None
    # Whether it buys and sells of its own accord; otherwise all customers come from outside.
    trades: bool = True
    # The area whose post it trades at, and all areas there are; "" and none in a town with one post.
    area: str = ""
    areas: tuple[str, ...] = ()
    # In a chaos town, the port of the switch that everybody is reached through.
    switch: int | None = None
    # The town that it is of, a word that no other town has.
    town: str = ""

    @property
    def object_id(self) -> str:
        """What the peer is called at its address. Its port may have been that of a peer of this name in another town:
        who still calls that one finds nobody. Otherwise the two towns would become one."""
        return f"{self.name}.{self.town[:12]}" if self.town else self.name


class Begin(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Town to peer: the market opens."""

    snapshot: Snapshot
    starts_election: bool


class Finish(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Town to peer: end. `leave`: say goodbye to the market first (it goes on without you)."""

    leave: bool = False


class Quiesce(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Town to peer: the market is about to close; buy and sell nothing more of your own accord."""


class CutLinks(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Town to peer, for chaos runs and tests: behave as if links were cut (`peers.runtime.links.cuts`).

    `neighbours` are ranks, none for all there are; `way` is seen from the peer that is told: with "out" nothing of
    its own gets through, with "in" nothing of the others'."""

    neighbours: tuple[int, ...] = ()
    seconds: float
    way: Literal["out", "in", "both"] = "both"


class LieInWait(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Town to peer, in chaos towns: when you next reach this point, within so many seconds, die; or hold the thread
    that does for `hold_s`, where that is not 0 (`peers.runtime.faults.ambush`)."""

    point: Point
    within_s: float
    hold_s: float = 0.0


class SetClock(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Town to peer, in chaos towns: your clock on the wall is off by `step_s`, and by `drift` more each second."""

    step_s: float = 0.0
    drift: float = 0.0


class SpoilDisk(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Town to peer, in chaos towns: for so many `seconds`, what you write to files and have synced fails, or takes
    `takes_s` each time (`peers.runtime.faults.disk`)."""

    seconds: float
    fails: bool = False
    takes_s: float = 0.0


class EatMemory(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Town to peer, in chaos towns: once you are limited, take all memory there is but so many bytes, for so many
    `seconds` (`peers.runtime.faults.memory`)."""

    seconds: float
    spare: int


class TellBelief(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Town to peer: say what you believe of the market, unless it is still what has this checksum."""

    unless: int = 0


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Peer to town: listening, registered with the name server."""

    member: Member
    pid: int


class Told(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Peer to town: tell people."""

    report: AnyReport


class Believed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Peer to town: what it believes of the market, with a checksum; `snapshot` is None where the town has that."""

    name: str
    checksum: int
    snapshot: Snapshot | None


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Peer to town: ended in order; nothing follows."""

    name: str


ToPeer = Begin | Quiesce | Finish | CutLinks | TellBelief | LieInWait | SetClock | SpoilDisk | EatMemory
ToTown = Ready | Told | Believed | Finished
