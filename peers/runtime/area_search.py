"""A search over several areas: the trader of each is asked, all at once, and who does not answer is named."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping

from nameserver.client import NameServerClient
from peers.errors import TownError, WireError
from peers.rpc.forms.area_form import areas_dict
from peers.rpc.forms.public_form import Document
from peers.runtime.brief_calls import pass_on

ANSWER_S = 1.0
"""How long the posts have to answer, all together. No setting: whoever wants to wait for one asks that one."""


class AreaSearch:
    """Searches from a peer of `own` area, in a town that has `areas` and whose name server is at `nameserver`.

    `browse_here` gives what `browse` gives at the peer's own post, or raises WireError."""

    def __init__(
        self,
        own: str,
        areas: Collection[str],
        nameserver: tuple[str, int],
        browse_here: Callable[..., Document],
    ) -> None:
        self.areas = tuple(areas) or (own,)
        self._own = own
        self._nameserver = nameserver
        self._browse_here = browse_here

    def search(self, item: str | None, wanted: Iterable[str] | None, since: Mapping[str, object]) -> Document:
        """Returns what can be bought in these areas, in all if none are named, no less far in each than `since` says:
        the rows of each with its area, which answered, as of what, and which did not and why."""
        names = tuple(dict.fromkeys(wanted)) if wanted is not None else self.areas
        found: dict[str, Document] = {}
        missing: dict[str, str] = {}
        uris = self._traders([name for name in names if name != self._own], missing)

        def ask(area: str) -> None:
            try:
                told = (item, since.get(area))
                here = area == self._own
                answer = self._browse_here(*told) if here else pass_on(uris[area], "browse", told, ANSWER_S)
            except WireError as error:
                missing[area] = str(error)
            else:
                found[area] = answer if isinstance(answer, dict) else {}

        threads = [
            threading.Thread(target=ask, args=(name,), name="area-search", daemon=True)
            for name in names
            if name == self._own or name in uris
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(1.5 * ANSWER_S)
        # What comes after that is no part of the answer, which must not change while it is sent.
        return areas_dict(names, dict(found), dict(missing))

    def _traders(self, areas: list[str], missing: dict[str, str]) -> dict[str, str]:
        """The address of the trader of each of these areas; which have none is noted."""
        uris: dict[str, str] = {}
        if not areas:
            return uris
        try:
            with NameServerClient(*self._nameserver, ANSWER_S) as names:
                for area in areas:
                    trader = names.trader(area)
                    if trader is None:
                        missing[area] = "no trader is in office there"
                    else:
                        uris[area] = trader.uri
        except TownError as error:
            missing.update({area: str(error) for area in areas if area not in uris})
        return uris
