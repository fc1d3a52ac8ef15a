"""A program that shows a member's certificate and lies to a town's peers for a while; prints as JSON what came of it.

Its arguments: the directory of the certificate, host and port of the name server, the rank of its own peer, and for
how many seconds it lies.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

from nameserver.client import NameServerClient
from peers.core.bounds import MAX_TIME
from peers.core.calls import ReportStock
from peers.core.context import INCARNATIONS_AHEAD_MS
from peers.core.leadership.elections.bully import ElectionAnswer
from peers.core.leadership.reasons import VacancyReason
from peers.core.membership.clocks import LamportStamp
from peers.core.membership.members import Member
from peers.core.messages import ClockNews, Coordinator, LinkMessage, MemberNews, Vacancy
from peers.core.names import rank_of, role_in
from peers.errors import WireError
from peers.rpc import wire
from peers.rpc.rpc_connection import CallFailed, RpcConnection
from peers.rpc.security.tls import TlsFiles, secure

PAUSE_S = 0.02
BELIEVED_S = 0.6  # A terminal asks its peers four times a second what they believe.


class LyingMember:
    """The holder of a certificate, and the peers it calls."""

    def __init__(self, uris: dict[str, str], rank: int) -> None:
        self.rank = rank
        self.peers = {name: RpcConnection(uri, 5.0) for name, uri in uris.items() if rank_of(name) != rank}
        self.uris = uris

    def tries(self, name: str, method: str, *arguments: object) -> str:
        """Calls a peer; returns what it got: `done`, or the kind of the refusal."""
        try:
            self.peers[name].call(method, *arguments)
        except WireError as error:
            print(f"{method} at {name}: {error}", file=sys.stderr)
            return type(error).__name__
        except CallFailed as error:
            return f"failed: {error}"
        return "done"

    def delivers(self, name: str, message: LinkMessage, *, sender: int | None = None) -> str:
        rank = self.rank if sender is None else sender
        parcel = wire.Parcel(sender=rank, incarnation=1, messages=(message,))
        return self.tries(name, "deliver", wire.pack(parcel))

    def member(self, name: str, **changes: Any) -> Member:
        fields = {
            "rank": rank_of(name), "name": name, "role": role_in(name), "uri": self.uris[name], "incarnation": 1,
            "nameserver": "x",
        }  # fmt: skip
        return Member(**{**fields, **changes})

    def speaks_for_others(self) -> dict[str, list[str]]:
        """What it does in the names of others, at each of them; each must be refused."""
        names = sorted(self.peers)
        vacancy = Vacancy(term=1, reason=VacancyReason.RESIGNED)
        report = wire.pack(ReportStock(seller=names[0], deposit_id="d", handed_over=0, holds=0))
        thief = self.member(names[0], uri=f"PYRO:{names[0]}@127.0.0.3:9")
        return {
            "a link of another": [self.delivers(n, vacancy, sender=rank_of(n) ^ 1) for n in names],
            "a link of nobody": [self.delivers(n, vacancy, sender=77) for n in names],
            "resign": [self.tries(n, "resign") for n in names],
            "told": [self.tries(n, "told", wire.pack(())) for n in names if n != self.trader()],
            "standing": [self.tries(n, "standing", names[0], 0) for n in names],
            "report": [self.tries(n, "report_stock", report) for n in names],
            "reversals": [self.tries(n, "reversals", names[0], 0) for n in names],
            "a newcomer elsewhere": [
                self.tries(n, "introduce", wire.pack(wire.Newcomer(member=self.member(names[0])))) for n in names
            ],
            "another's rank": [self.tries(n, "introduce", wire.pack(wire.Newcomer(member=thief))) for n in names],
        }

    def beyond(self) -> dict[str, list[str]]:
        """What is beyond the bounds of messages."""
        names = sorted(self.peers)
        far = MemberNews(members=(self.member(names[0], incarnation=2**64 - 1),))
        return {
            "incarnation 2**64-1": [self.delivers(n, far) for n in names],
            "term 2**64-1": [self.delivers(n, Vacancy(term=2**64 - 1, reason=VacancyReason.LEFT)) for n in names],
        }

    def trader(self) -> str | None:
        said: Any = next(iter(self.peers.values())).call("heartbeat")
        return None if said["trader"] is None else str(said["trader"])

    def lies(self, for_s: float) -> int:
        """Lies in its own name, of everything there is; returns how often it was not refused."""
        until_s, taken = time.monotonic() + for_s, 0
        for number in itertools.count():
            if time.monotonic() > until_s:
                return taken
            for name, message in zip(itertools.cycle(sorted(self.peers)), self._lies(number), strict=False):
                taken += self.delivers(name, message) == "done"
                time.sleep(PAUSE_S)
        raise AssertionError

    def hides_its_machine(self) -> None:
        """Says of its own peer that the name server of its machine is where none can be, and then where none is."""
        name = next(each for each in self.uris if rank_of(each) == self.rank)
        high = time.time_ns() // 1_000_000 + INCARNATIONS_AHEAD_MS - 60_000
        for later, nameserver in enumerate(("x", "127.0.0.3:9", "x")):
            forged = self.member(name, incarnation=high + later, nameserver=nameserver)
            for other in self.peers:
                self.delivers(other, MemberNews(members=(forged,)))
            time.sleep(BELIEVED_S)

    def _lies(self, number: int) -> list[LinkMessage]:
        names = sorted(self.peers)
        victim = names[number % len(names)]
        said: Any = self.peers[victim].call("heartbeat")
        term, high = int(said["term"]), time.time_ns() // 1_000_000 + INCARNATIONS_AHEAD_MS - 60_000
        crashed = VacancyReason.CRASHED
        moved = f"PYRO:{victim}@127.0.0.3:9"
        return [
            Vacancy(term=10**9, reason=crashed),
            Vacancy(term=term + 1, reason=crashed),
            Coordinator(term=10**9, trader=self.rank, incarnation=high),
            Coordinator(term=term + 1, trader=rank_of(victim), incarnation=high),
            Coordinator(term=term, trader=self.rank, incarnation=high),
            MemberNews(members=(self.member(victim, up=False, incarnation=high),)),
            MemberNews(members=(self.member(victim, incarnation=high + 1, uri=moved),)),
            MemberNews(members=(self.member(victim, incarnation=MAX_TIME),)),
            Vacancy(term=term, reason=VacancyReason.RESIGNED, incarnation=high, barred=(0, 1, 2), barred_for=1000),
            ClockNews(clock=LamportStamp(lamport=MAX_TIME)),
            ElectionAnswer(after_term=term, attempt=0, reason=crashed, rank=rank_of(victim)),
            ElectionAnswer(after_term=term, attempt=MAX_TIME, reason=crashed, rank=998_877),
        ]


def main(tls: str, host: str, port: str, rank: str, seconds: str) -> None:
    secure(TlsFiles(Path(tls)))
    with NameServerClient(host, int(port), 5.0) as names:
        listed = {each.name: each.uri for each in names.peers()}
    liar = LyingMember(listed, int(rank))
    found: dict[str, object] = {**liar.speaks_for_others(), **liar.beyond()}
    found["lies taken in"] = liar.lies(float(seconds))
    liar.hides_its_machine()
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
