"""What is wrong with a town of several machines, seen from this one, each with what to do about it.

Each look is short and bounded, and asks the real thing: resolves the name, connects to the port, shakes hands, asks
for the town's card, reads the database's clock. Nothing is changed anywhere.
"""

from __future__ import annotations

import datetime
import socket
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Literal

import msgspec

from db.clock import clock_of
from db.uri import hosts_of
from nameserver.client import NameServerClient, Registered
from peers.books_address import address_from_environment, is_hidden
from peers.endpoints import endpoint, split_endpoint
from peers.errors import BazaarError, TownError, WireError
from peers.rpc.rpc_connection import CallFailed, RpcConnection
from peers.rpc.security.certificates import Validity, validity_of
from peers.rpc.security.identity import Identity
from peers.rpc.security.tls import TlsFiles, secure
from peers.rpc.shortcuts import call_directly, nearest
from peers.town.files.directory import Directory, TownState
from peers.town.machines.addresses import DEFAULT_PORTS, check_loopback, is_own, look_up
from peers.town.machines.invitation import known_machines
from peers.version import program_version

Verdict = Literal["well", "wrong", "unknown"]

# None of these is a setting: what takes longer is not well, and clocks that differ by less disturb nobody.
_ANSWER_S = 3.0
_MOST_SKEW_S = 2.0
_SOON = datetime.timedelta(days=14)
_AT_ONCE = 50


class Finding(msgspec.Struct, frozen=True):
    """What was looked at, how it is, what was seen, and what to do where it is not well."""

    what: str
    verdict: Verdict
    seen: str
    advice: str = ""


class Diagnosis(msgspec.Struct, frozen=True):
    """All findings. The exit code: 0 all is well, 1 something is wrong, 2 something could not be told."""

    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """What the command exits with."""
        verdicts = {finding.verdict for finding in self.findings}
        return 1 if "wrong" in verdicts else 2 if "unknown" in verdicts or not verdicts else 0


class Doctor:
    """Looks at the town that the terminal of `directory` is, or was, part of, or at what runs on `host`."""

    def __init__(self, directory: Directory, host: str | None) -> None:
        self._directory = directory
        self._host = host
        self._state = directory.read_town()
        self._files = TlsFiles(directory.tls)
        self._validity: Validity | None = None

    def look(self) -> Diagnosis:
        """Returns what was found, in the order in which one thing rests on the other."""
        findings = [*self._names(), *self._certificates()]
        nameservers = self._nameservers()
        if not nameservers:
            advice = "name a machine of the town (bazaar doctor <host>), or its directory (--dir)"
            seen = f"nothing in {self._directory.path} tells where it is"
            findings.append(Finding("town", "unknown", seen, advice))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            books = pool.submit(self._books)
            answers = list(pool.map(self._nameserver, nameservers))
            findings += [finding for found, _peers in answers for finding in found]
            peers = {peer.uri: peer for _found, listed in answers for peer in listed}
            findings += pool.map(_peer, peers.values())
            findings += books.result()
        return Diagnosis(tuple(findings))

    # -- this machine --------------------------------------------------------------------------------------

    def _names(self) -> Iterable[Finding]:
        """Whether the host that was named, and the one that the town is open on, are what others can call."""
        hosts = [self._host, self._state.advertised or self._state.host if self._state is not None else None]
        for host in dict.fromkeys(host for host in hosts if host):
            try:
                address = look_up(host)
                if address.startswith("127."):
                    check_loopback(host, address)
            except TownError as error:
                yield Finding(f"name {host}", "wrong", str(error), "give an address that the other machines can call")
                continue
            whose = "of this machine" if is_own(address) else "of another machine, or of a router"
            yield Finding(f"name {host}", "well", f"is {address}, {whose}")

    def _certificates(self) -> Iterable[Finding]:
        """Whether this machine has what a member shows; without, only a town on loopback can be looked at."""
        if not self._files.authority.exists() and not self._files.member.exists():
            if self._state is not None and self._state.tls:
                yield Finding("certificate", "wrong", f"is missing from {self._files.directory}", _invite(self._host))
            return
        now = datetime.datetime.now(datetime.UTC)
        try:
            self._validity = found = validity_of(self._files)
        except TownError as error:
            yield Finding("certificate", "wrong", str(error), _invite(self._host))
            return
        if not found.is_of_authority:
            advice = f"it is of another town; {_invite(self._host)}"
            yield Finding("certificate", "wrong", f"{self._files.member} is not signed by the authority here", advice)
        elif now < found.begins:
            yield Finding("certificate", "wrong", f"holds from {found.begins:%Y-%m-%d} on", "mend the clock here")
        elif now > found.ends:
            yield Finding("certificate", "wrong", f"has expired on {found.ends:%Y-%m-%d}", _invite(self._host))
        elif (misnamed := self._misnamed(found.identity)) is not None:
            yield misnamed
        else:
            soon = f"; soon: {_invite(self._host)}" if found.ends - now < _SOON else ""
            until = "for good" if found.ends.year == datetime.MAXYEAR else f"until {found.ends:%Y-%m-%d}"
            yield Finding("certificate", "well", f"holds {until}{soon}")
        with suppress(TownError):  # What is wrong with it has been said.
            secure(self._files)

    def _misnamed(self, identity: Identity | None) -> Finding | None:
        """What is wrong with the name in this machine's certificate, None if nothing is."""
        if identity is None or identity.kind != "machine":
            advice = f"it is of an older version; {_invite(self._host)}"
            return Finding("certificate", "wrong", "names no machine, so that no other lets this one in", advice)
        state = self._state
        called = state.advertised or state.host if state is not None and state.tls else None
        if called is None or identity.is_called(called):
            return None
        seen = f"does not say that this machine is called {called}, so that no other takes it for that"
        return Finding("certificate", "wrong", seen, _invite(self._host, called))

    # -- the others ----------------------------------------------------------------------------------------

    def _nameservers(self) -> list[str]:
        """Where the machines of the town are: those of the host that was named, or all that are known here."""
        known = known_machines(self._directory)
        if self._state is not None and self._state.nameserver_port:
            called = self._state.advertised or self._state.nameserver_host
            call_directly(called, self._state.nameserver_host)
            known.insert(0, endpoint(called, self._state.nameserver_port))
        if self._host is None:
            return list(dict.fromkeys(known))
        with suppress(TownError):
            address = look_up(self._host)
            there = [each for each in known if look_up(split_endpoint(each)[0]) == address]
            ports = dict.fromkeys([*(split_endpoint(each)[1] for each in known), DEFAULT_PORTS[0]])
            return list(dict.fromkeys(there)) or [endpoint(address, port) for port in ports]
        return []

    def _nameserver(self, where: str) -> tuple[list[Finding], list[Registered]]:
        """What a name server says, and whom it lists."""
        what = f"name server {where}"
        closed = _closed(where)
        if closed is not None:
            return [Finding(what, "wrong", *closed)], []
        try:
            with NameServerClient(*split_endpoint(where), _ANSWER_S) as names:
                card, peers = names.card(), names.peers()
        except TownError as error:
            return [self._not_let_in(what, error)], []
        if card is None or "settings" not in card:
            return [Finding(what, "wrong", "answers, but no town is open there", "open it, or try later")], peers
        findings = [Finding(what, "well", f"answers, and lists {len(peers)} peers")]
        theirs, ours = card.get("version", ""), program_version()
        if theirs and theirs != ours:
            advice = "use the same version of this program on all machines"
            findings.append(Finding(f"version at {where}", "wrong", f"is {theirs}, and here {ours}", advice))
        return findings, peers

    def _not_let_in(self, what: str, error: TownError) -> Finding:
        text = str(error)
        if "mismatch" in text:
            seen = f"shows the certificate of a machine that is called otherwise ({text})"
            advice = "is that another machine, at an address that one had before? If not, start it there again"
            return Finding(what, "wrong", seen, advice)
        if "CERTIFICATE_VERIFY_FAILED" in text or "TLSV1_ALERT" in text or "certificate" in text.lower():
            seen = "shows a certificate of another town, or does not take ours"
            return Finding(what, "wrong", seen, f"this machine is not a member of that town: {_invite(self._host)}")
        if self._validity is None:
            seen = "does not speak to this machine, which has no certificate"
            return Finding(what, "wrong", seen, _invite(self._host))
        return Finding(what, "wrong", text, "is another program listening there? See logs/nameserver.log there")

    def _books(self) -> list[Finding]:
        """Whether the database can be reached and used from here, and what its clock says; each area's own, too."""
        try:
            areas = [area.read_town() for area in self._directory.areas() if area.area_name]
            uris = [self._address_of_books(self._state), *(area.mongo_uri for area in areas if area is not None)]
        except BazaarError as error:
            return [Finding("database", "unknown", str(error), "mend the address of the books")]
        wanted = dict.fromkeys(uri for uri in uris if uri and not is_hidden(uri))
        return [finding for uri in wanted for finding in self._books_at(uri)]

    def _books_at(self, uri: str) -> list[Finding]:
        try:
            hosts = hosts_of(uri)
        except BazaarError as error:
            return [Finding("database", "unknown", str(error), "mend the address of the books")]
        findings = []
        for host, port in hosts:
            where = endpoint(host, port)
            closed = _closed(where)
            if closed is not None:
                findings.append(Finding(f"database {where}", "wrong", *closed))
        if len(findings) == len(hosts):
            return findings
        before_s = time.time()
        try:
            theirs_s = clock_of(uri, _ANSWER_S)
        except BazaarError as error:
            advice = f"is the password, or the certificate, that of this town? If not: {_invite(self._host)}"
            return [*findings, Finding("database", "wrong", str(error), advice)]
        skew_s = theirs_s - (before_s + time.time()) / 2
        findings.append(Finding("database", "well", f"answers at {', '.join(endpoint(*each) for each in hosts)}"))
        if abs(skew_s) > _MOST_SKEW_S:
            way = "behind" if skew_s > 0 else "ahead of"
            advice = "set the clocks of all machines by NTP (timedatectl set-ntp true)"
            findings.append(Finding("clock", "wrong", f"is {abs(skew_s):.1f} s {way} that of the database", advice))
        else:
            findings.append(Finding("clock", "well", f"differs from the database's by {abs(skew_s):.2f} s"))
        return findings

    def _address_of_books(self, state: TownState | None) -> str | None:
        """None where nobody says where they are."""
        if state is not None and state.mongo_uri and not is_hidden(state.mongo_uri):
            return state.mongo_uri
        return address_from_environment()


def _peer(peer: Registered) -> Finding:
    """Whether a peer answers at the address it is registered with."""
    what = f"peer {peer.name}"
    where = peer.uri.rpartition("@")[2]
    closed = _closed(where)
    if closed is not None:
        return Finding(what, "wrong", *closed)
    connection = RpcConnection(peer.uri, _ANSWER_S)
    try:
        connection.call("ping")
    except (CallFailed, WireError) as error:
        return Finding(what, "wrong", str(error), "see its log (logs/<peer>.log) on its machine: is it stopped?")
    finally:
        connection.close()
    return Finding(what, "well", f"answers at {where}")


def _closed(where: str) -> tuple[str, str] | None:
    """What stands in the way of connecting to `where`, and what to do; None if nothing does."""
    try:
        place = split_endpoint(nearest(where))
        with socket.create_connection(place, _ANSWER_S):
            return None
    except ConnectionRefusedError:
        return f"nobody listens at {where}", "has it ended? Start it there again; its machine itself can be reached"
    except TimeoutError:
        advice = "let this machine in at that port (firewall, security group), or see whether that machine is up"
        return f"no answer from {where} within {_ANSWER_S:g} s", advice
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        return f"{where} cannot be reached ({why})", "see whether that machine is up, and there is a way to it"


def _invite(host: str | None, called: str = "<address of this one>") -> str:
    there = host or "<a machine of the town>"
    return (
        f"have one made on a machine of the town: bazaar invite {called} --out FILE; here: bash run.sh "
        f"{there} <n> --invite FILE"
    )
