"""On which machine a peer is, as far as is known here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from nameserver.client import NameServerClient
from peers.core.membership.members import Snapshot
from peers.endpoints import host_of
from peers.errors import TownError

_ANSWER_S = 0.5
"""How long the name server of this machine may take. No setting: it is beside us, and the caller will ask again."""


class Homes:
    """Asks the peer here, which gives a `snapshot`, and else the name server of this machine: it lists the peers of
    all areas, of which one may trade here while its own has no trader."""

    def __init__(self, snapshot: Callable[[], Snapshot], nameserver: tuple[str, int]) -> None:
        self._snapshot = snapshot
        self._nameserver = nameserver

    def home_of(self, name: str) -> str | None:
        """Returns the host that the peer of this name is called at, None if nobody here knows it. May wait."""
        for member in self._snapshot().members:
            if member.name == name:
                return host_of(member.uri) or None
        with suppress(TownError), NameServerClient(*self._nameserver, _ANSWER_S) as names:
            uri = names.look_up_peer(name)
            return None if uri is None else host_of(uri) or None
        return None
