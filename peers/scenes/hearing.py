"""Hears what the peers of a town tell, and waits for what a scene is about."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from peers.core.reports import Answered, Report
from peers.scenes.audience import Audience
from peers.scenes.verdict import NotSeen
from peers.town.view.console import Console

DEADLINE_S = 30.0
"""Whatever a scene waits for comes in a fraction of that, or not at all. No option: waiting longer proves nothing."""

_R = TypeVar("_R", bound=Report)
_T = TypeVar("_T")


def _any(_report: Report) -> bool:
    return True


class Hearing(Console):
    """The town's console: keeps what peers tell, in the order in which it came, and passes it on to the audience.

    What one peer tells comes in the order in which it told it; what two tell may come in any."""

    def __init__(self, audience: Audience, *, out: Any) -> None:
        super().__init__(quiet=True, out=out)
        self._audience = audience
        self._pulse = asyncio.Event()
        self.heard: list[Report] = []

    def tell(self, report: Report, area: str = "") -> None:
        """Takes in what a peer tells."""
        self.heard.append(report)
        self._audience.on_report(report)
        self._pulse.set()
        super().tell(report, area)

    def all(self, kind: type[_R], when: Callable[[_R], bool] = _any, *, peer: str | None = None) -> list[_R]:
        """Returns the reports of that kind so far, of `peer` unless it is None, that are as wanted."""
        return list(self._found(kind, when, peer))

    async def hear(
        self, kind: type[_R], what: str, when: Callable[[_R], bool] = _any, *, peer: str | None = None
    ) -> _R:
        """Returns the first report that `all` would, and shows it; one that came already counts.

        NotSeen, which says `what` did not come, after DEADLINE_S."""
        report = await self.wait_for(lambda: next(self._found(kind, when, peer), None), what)
        self._audience.show(report)
        return report

    def _found(self, kind: type[_R], when: Callable[[_R], bool], peer: str | None) -> Iterator[_R]:
        return (
            report
            for report in self.heard
            if isinstance(report, kind) and peer in (None, report.peer) and when(report)
        )

    async def wait_for(self, look: Callable[[], _T | None], what: str) -> _T:
        """Looks whenever something was told, until there is what is looked for. NotSeen after DEADLINE_S."""
        deadline_s = time.monotonic() + DEADLINE_S
        while (found := look()) is None:
            self._pulse.clear()
            try:
                await asyncio.wait_for(self._pulse.wait(), max(deadline_s - time.monotonic(), 0.0))
            except TimeoutError as error:
                raise NotSeen(f"not within {DEADLINE_S:g} s: {what}") from error
        return found


def is_sale(report: Answered) -> bool:
    """Whether a buyer was told that it has bought."""
    return report.outcome.sale is not None
