"""The one client of a name server: asks who is registered, and registers. Every wait here is short and bounded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TypeVar

import msgspec
from Pyro5.core import URI

from nameserver.names import (
    CARD,
    CLOSING,
    NAME_SERVER_OBJECT,
    PREFIX,
    is_trader_name,
    name_of,
    number_in,
    read_tags,
    tags_of,
    trader_name,
    trader_tags_of,
)
from peers.core.membership.members import Member
from peers.endpoints import endpoint
from peers.errors import TownError, WireError
from peers.rpc.rpc_connection import CallFailed, Faulted, RpcConnection

T = TypeVar("T")


class _Entry(msgspec.Struct, array_like=True):
    """One of the entries that a name server lists."""

    uri: str
    tags: set[str]


class _Found(msgspec.Struct, array_like=True):
    """The one entry that a name server was asked for."""

    uri: URI
    tags: set[str]


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """One peer as the name server knows it. `area` is empty in a town with one post."""

    name: str
    uri: str
    rank: int | None
    role: str | None
    area: str = ""


class RegisteredTrader(msgspec.Struct, frozen=True, kw_only=True):
    """Who is trader as the name server knows it; `term` is 0 where the entry does not say it."""

    uri: str
    term: int


class NameServerClient:
    """A connection to the name server at `host` and `port`, for one thread; made when first needed, and again after
    a failure. Whatever goes wrong is a TownError."""

    def __init__(self, host: str, port: int, timeout_s: float = 1.0) -> None:
        self._where = f"{host} port {port}"
        self._connection = RpcConnection(f"PYRO:{NAME_SERVER_OBJECT}@{endpoint(host, port)}", timeout_s)

    def __enter__(self) -> NameServerClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection; the next question makes another."""
        self._connection.close()

    def limit(self, timeout_s: float, longest_s: float = math.inf) -> None:
        """Bounds each question from now on by `timeout_s`, above 0; by `longest_s` also where its answer is large."""
        self._connection.limit(timeout_s, longest_s)

    @property
    def connected(self) -> bool:
        """Whether there is a connection. The next one may be to a new name server, which knows nobody."""
        return self._connection.connected

    def fileno(self) -> int:
        """Returns the file number of the connection, to wait for its end; -1 while there is none."""
        return self._connection.fileno()

    # -- asking --------------------------------------------------------------------------------------------

    def ping(self) -> None:
        """Returns if it answers; TownError if it does not."""
        self._call("ping")

    def peers(self) -> list[Registered]:
        """Returns the registered peers, by rank (those without one last); TownError if it does not answer."""
        found = self._read(self._call("list", prefix=PREFIX, return_metadata=True), dict[str, _Entry])
        peers = [
            _registered(name, entry.uri, read_tags(entry.tags))
            for name, entry in found.items()
            if not is_trader_name(name)
        ]
        return sorted(peers, key=lambda peer: (peer.rank is None, peer.rank or 0, peer.name))

    def look_up_peer(self, name: str) -> str | None:
        """Returns the address of the peer of that name, None if it is not listed; TownError if it does not answer."""
        found = self._look_up(name_of(name))
        return None if found is None else found[0]

    def trader(self, area: str = "") -> RegisteredTrader | None:
        """Returns who is registered as trader of `area`, None if nobody is; TownError if it does not answer."""
        found = self._look_up(trader_name(area))
        return None if found is None else RegisteredTrader(uri=found[0], term=number_in(found[1], "term") or 0)

    def card(self) -> dict[str, str] | None:
        """Returns what the town's card says (`mongo_uri`, `database`, …), None where there is none; TownError if it
        does not answer."""
        found = self._look_up(CARD)
        return None if found is None else found[1]

    # -- registering ---------------------------------------------------------------------------------------

    def register(self, member: Member) -> None:
        """Registers a peer, whatever stood under its name before; TownError if it does not answer."""
        self._register(name_of(member.name), member.uri, tags_of(member))

    def register_trader(self, member: Member, term: int) -> None:
        """Registers who is in office for `term`, unless it is there already, or a later trader was faster; TownError
        if it does not answer."""
        listed = self.trader(member.area) or RegisteredTrader(uri="", term=0)
        if listed.term < term or (listed.term == term and listed.uri != member.uri):
            self._register(trader_name(member.area), member.uri, trader_tags_of(member, term))

    def unregister(self, member: Member | Registered) -> None:
        """Takes a peer's entry away, unless another has it by now; TownError if it does not answer."""
        self._take_away(name_of(member.name), member.uri)

    def unregister_trader(self, member: Member) -> None:
        """Takes the trader's entry away, unless another has it by now; TownError if it does not answer."""
        self._take_away(trader_name(member.area), member.uri)

    def leave_card(self, entries: Mapping[str, str]) -> None:
        """Leaves the town's card; TownError if it does not answer."""
        self._register(CARD, self._connection.uri, [f"{key}:{value}" for key, value in entries.items()])

    def say_closing(self) -> None:
        """Leaves word on the card that the town is over; TownError if it does not answer."""
        self.leave_card({**(self.card() or {}), CLOSING: "yes"})

    # -- the protocol --------------------------------------------------------------------------------------

    def _register(self, name: str, uri: str, tags: list[str]) -> None:
        self._call("register", name, uri, metadata=tags)

    def _take_away(self, name: str, uri: str) -> None:
        found = self._look_up(name)
        if found is not None and found[0] == uri:
            self._call("remove", name)

    def _look_up(self, name: str) -> tuple[str, dict[str, str]] | None:
        try:
            found = self._connection.call("lookup", name, return_metadata=True)
        except Faulted:  # A name server answers with an error of Pyro5's when there is no such name.
            return None
        except (CallFailed, WireError) as error:
            raise self._failed(error) from error
        entry = self._read(found, _Found)
        return str(entry.uri), read_tags(entry.tags)

    def _call(self, method: str, *arguments: object, **named: object) -> Any:
        try:
            return self._connection.call(method, *arguments, **named)
        except (CallFailed, WireError) as error:
            raise self._failed(error) from error

    def _read(self, answer: object, kind: type[T]) -> T:
        """Returns an answer of that kind. The name server may be another machine's, and not what it should be."""
        try:
            return msgspec.convert(answer, kind)
        except msgspec.ValidationError as error:
            self.close()
            raise TownError(f"what answers at {self._where} is no name server of a town ({error})") from error

    def _failed(self, error: CallFailed | WireError) -> TownError:
        if isinstance(error, WireError):
            return TownError(f"the name server at {self._where} refuses: {error}")
        if isinstance(error, Faulted):
            return TownError(f"the name server at {self._where} has failed: {error}")
        self.close()
        return TownError(f"no name server answers at {self._where} ({error})")


def _registered(full_name: str, uri: str, tags: dict[str, str]) -> Registered:
    return Registered(
        name=full_name.removeprefix(PREFIX),
        uri=str(uri),
        rank=number_in(tags, "rank"),
        role=tags.get("role"),
        area=tags.get("area", ""),
    )


def find(host: str, port: int, timeout_s: float = 1.0) -> NameServerClient:
    """Returns a client of the name server there; TownError if nobody answers in time."""
    client = NameServerClient(host, port, timeout_s)
    client.ping()
    return client
