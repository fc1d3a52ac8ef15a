"""As of what a customer was told something last, so that no answer it gets is older."""

from __future__ import annotations

from peers.core.calls import AsOf
from peers.rpc.forms.public_form import Document
from peers.rpc.forms.read_form import as_of_dict, as_of_in


class Heard:
    """What one customer has heard, by area. `one_log`: whether the areas have one log, as a search has told; what was
    told in one then counts in all."""

    def __init__(self) -> None:
        self.one_log = False
        self._told: dict[str, AsOf] = {}

    def since(self, area: str) -> Document | None:
        """As of what it was told something at the post of an area, or of any where all have one log: no answer may be
        older. None for anything."""
        told = self._told.get(area)
        if self.one_log:
            for each in self._told.values():
                told = each.joined(told or each, shared=True)
        return None if told is None else as_of_dict(told)

    def since_in(self, areas: tuple[str, ...]) -> dict[str, Document | None]:
        """The same of each area in which something was told, and of all `areas` where they have one log."""
        return {each: self.since(each) for each in ({*self._told, *areas} if self.one_log else self._told)}

    def hear(self, area: str, answer: Document | None) -> None:
        """Takes in an answer of the post of an area."""
        heard = None if answer is None else as_of_in(answer, shared=self.one_log)
        if heard is not None:
            self._told[area] = heard.joined(self._told.get(area, heard), shared=self.one_log)
