"""Finds a running name server and asks it who is registered. Every wait here is short and bounded.

A peer is registered as `bazaar.<name>` and the trader in office also as `bazaar.trader`; the town itself leaves its
card as `town.card`, whose metadata say where its books are, so that others can join knowing only the name server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

import msgspec
from Pyro5.api import Proxy
from Pyro5.errors import NamingError, PyroError

from nameserver.wire import prepare
from peers.errors import TownError

NAME_SERVER_OBJECT = "Pyro.NameServer"
PREFIX = "bazaar."
TRADER = "bazaar.trader"
CARD = "town.card"


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """One peer as the name server knows it."""

    name: str
    uri: str
    rank: int | None
    role: str | None


class Finder:
    """A connection to one name server, for one thread. Anything that goes wrong is a TownError."""

    def __init__(self, host: str, port: int, timeout_s: float = 1.0) -> None:
        prepare()
        self.host = host
        self.port = port
        shown = f"[{host}]" if ":" in host else host
        self.uri = f"PYRO:{NAME_SERVER_OBJECT}@{shown}:{port}"
        self._proxy = Proxy(self.uri)
        self._proxy._pyroTimeout = timeout_s
        self._proxy._pyroSerializer = "msgpack"

    def __enter__(self) -> Finder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._proxy._pyroRelease()

    def ping(self) -> None:
        """Returns if it answers."""
        self._ask("ping")

    def peers(self) -> list[Registered]:
        """Returns the registered peers, by rank (those without one last)."""
        found = self._ask("list", prefix=PREFIX, return_metadata=True)
        peers = [_registered(name, *entry) for name, entry in found.items() if name != TRADER]
        return sorted(peers, key=lambda peer: (peer.rank is None, peer.rank or 0, peer.name))

    def register(self, name: str, uri: str, metadata: Iterable[str] = ()) -> None:
        """Registers `name`, whatever it stood for before."""
        self._ask("register", name, uri, metadata=list(metadata))

    def remove(self, name: str) -> None:
        """Removes `name`, if it is registered."""
        self._ask("remove", name)

    def card(self) -> dict[str, str] | None:
        """Returns what the town's card says (`mongo_uri`, `database`, …), None where there is none."""
        try:
            _, metadata = self._ask("lookup", CARD, return_metadata=True)
        except NamingError:
            return None
        return dict(entry.split(":", 1) for entry in metadata if ":" in entry)

    def leave_card(self, entries: Mapping[str, str]) -> None:
        """Leaves the town's card. Not among the peers' names, so that nobody takes it for one."""
        self.register(CARD, self.uri, [f"{key}:{value}" for key, value in entries.items()])

    def _ask(self, method: str, *arguments: object, **named: object) -> Any:
        try:
            return getattr(self._proxy, method)(*arguments, **named)
        except NamingError:
            raise
        except (PyroError, OSError) as error:
            self._proxy._pyroRelease()
            raise TownError(f"no name server answers at {self.host} port {self.port} ({error})") from error


def _registered(full_name: str, uri: str, metadata: Iterable[str]) -> Registered:
    tags = dict(entry.split(":", 1) for entry in metadata if ":" in entry)
    rank = tags.get("rank", "")
    return Registered(
        name=full_name.removeprefix(PREFIX),
        uri=uri,
        rank=int(rank) if rank.isdigit() else None,
        role=tags.get("role"),
    )


def find(host: str, port: int, timeout_s: float = 1.0) -> Finder:
    """Returns a Finder for the name server there; TownError if nobody answers in time."""
    finder = Finder(host, port, timeout_s)
    try:
        finder.ping()
    except BaseException:
        finder.close()
        raise
    return finder
