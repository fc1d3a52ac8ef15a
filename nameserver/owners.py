"""Whose the entries of a name server are, in a town whose callers show certificates.

Each machine has a name server of its own, and lists there what its peers believe; so its own programs may change
every entry. Another machine may replace or take away an entry that leads to itself, and nothing else; and the founder
of the town may add to the card that the town is over. A client may only look.
"""

from __future__ import annotations

from typing import Any

from Pyro5.callcontext import current_context
from Pyro5.server import expose

from nameserver.entries import BoundedNames, tags_in
from nameserver.names import CARD, CLOSING, FOUNDER, closed, read_tags
from peers.endpoints import host_of
from peers.errors import NotAllowed
from peers.rpc.security.identity import Identity


@expose
class OwnedNames(BoundedNames):
    """The names of `machine`. Callers without an identity, which are those of a town on loopback, may do all."""

    def __init__(self, storage: Any, machine: Identity | None) -> None:
        super().__init__(storage)
        self._own_name = machine.name if machine is not None else ""

    def register(self, name: Any, uri: Any, safe: Any = False, metadata: Any = None) -> None:
        """Enters a name. NotAllowed if it is not the caller's, ValueError for what is out of bounds."""
        foreigner = self._foreigner()
        if foreigner is not None and name == CARD:
            self._close(foreigner, metadata)
            return
        if foreigner is not None:
            self._check_leads_to(foreigner, name)
            if not foreigner.is_called(host_of(str(uri))):
                raise NotAllowed(field="uri", why=f"leads to another machine than {foreigner.name}, whose word it is")
        super().register(name, uri, safe, metadata)

    def set_metadata(self, name: Any, metadata: Any) -> None:
        """Changes what an entry says. NotAllowed if it is not the caller's, ValueError for what is out of bounds."""
        foreigner = self._foreigner()
        if foreigner is not None:
            self._check_leads_to(foreigner, name)
        super().set_metadata(name, metadata)

    def remove(self, name: Any = None, prefix: Any = None, regex: Any = None) -> Any:
        """Takes entries away; returns how many. NotAllowed if they are not the caller's."""
        foreigner = self._foreigner()
        if foreigner is not None and (not name or prefix or regex):
            raise NotAllowed(
                field="name", why="must be that of one entry: several are for this machine's own programs"
            )
        if foreigner is not None:
            self._check_leads_to(foreigner, name)
        return super().remove(name, prefix, regex)

    def _foreigner(self) -> Identity | None:
        """Who calls, where that is not this machine itself; NotAllowed if it is a client."""
        caller: Identity | None = getattr(current_context.client, "identity", None)
        if caller is None or (caller.kind == "machine" and caller.name == self._own_name):
            return None
        if caller.kind == "client":
            raise NotAllowed(field="method", why="a client may look up names, and change none")
        return caller

    def _check_leads_to(self, machine: Identity, name: object) -> None:
        entry = self.storage.get(name) if isinstance(name, str) and name != CARD else None
        if entry is None or not machine.is_called(host_of(str(entry[0]))):
            raise NotAllowed(
                field="name", why=f"is none that leads to {machine.name}, and this is another's name server"
            )

    def _close(self, machine: Identity, metadata: object) -> None:
        """Notes on the card that the town is over, where the founder says so; nothing else of it changes."""
        said = read_tags(tags_in(metadata) or ())
        with self.lock:
            uri, tags = self.storage.get(CARD) or ("", None)
            if CLOSING not in said or machine.name != read_tags(tags or ()).get(FOUNDER):
                raise NotAllowed(field="name", why=f"{CARD} is for this machine, and for the founder of the town")
            self.storage[CARD] = uri, closed(tags or ())
