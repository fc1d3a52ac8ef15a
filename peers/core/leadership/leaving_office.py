"""The ways out of office: a trader makes way or resigns, gives the post back, or is deposed by a later term."""

from __future__ import annotations

from collections.abc import Callable

from peers.core.bounds import MAX_BARRED
from peers.core.commands import Crash
from peers.core.context import Context
from peers.core.leadership.elections.part import ElectionPart
from peers.core.leadership.incumbency import Incumbency
from peers.core.leadership.reasons import VacancyReason
from peers.core.leadership.state import LeadershipMachine
from peers.core.market.resignation import elections_to_sit_out
from peers.core.reports import Crashes, LeftOffice
from peers.core.trader.term import Ended


class LeavingOffice:
    """How one peer gets out of office; `on_demoted` is called when it is."""

    def __init__(
        self, ctx: Context, incumbency: Incumbency, elections: ElectionPart, on_demoted: Callable[[], None]
    ) -> None:
        self._ctx = ctx
        self._machine: LeadershipMachine = ctx.leadership
        self._incumbency = incumbency
        self._elections = elections
        self._on_demoted = on_demoted

    def on_period(self) -> None:
        """A trader may resign by chance; and it makes way where there is no trade without it, or less than there
        would be with one that is nearer to the books."""
        if self._elections.eligibility.is_needed_in_the_market():
            self._incumbency.leave(VacancyReason.NEEDED)
        elif self._elections.eligibility.is_far_from_the_books():
            self._incumbency.leave(VacancyReason.FAR)
        elif self._ctx.rng.random() < self._ctx.settings.market.resign_probability:
            self._incumbency.leave(VacancyReason.RESIGNED)
        elif 0 < self._ctx.settings.market.crash_probability > self._ctx.rng.random():
            self._ctx.say(Crashes(peer=self._ctx.name, term=self._ctx.view.term))
            self._ctx.emit(Crash())

    def give_back(self, ended: Ended) -> None:
        """The term is over, and nobody else has begun a later one: the post is vacant."""
        ctx, reason, term = self._ctx, ended.reason, self._ctx.view.term
        self._machine.end_term(reason)
        self._elections.cost.on_term_over()
        ctx.say(LeftOffice(peer=ctx.name, term=term, reason=reason, sales=self._incumbency.sales))
        self._incumbency.close(None, term)
        self._elections.sit_out(reason, self._elections_to_sit_out(reason))
        self._on_demoted()
        self._elections.on_vacant(started=not reason.is_orderly)

    def _elections_to_sit_out(self, reason: VacancyReason) -> int:
        market = self._ctx.settings.market
        if reason is VacancyReason.RESIGNED:
            return elections_to_sit_out(
                self._ctx.rng, market.barred_elections, market.return_probability, at_most=MAX_BARRED
            )
        return market.barred_elections if reason is VacancyReason.BOOKS_AWAY else 0

    def be_deposed(self, trader: str | None, term: int) -> None:
        """Leaves office at once; whoever waits is sent to `trader`, who holds `term`."""
        self._machine.be_deposed()
        self._elections.cost.on_term_over()
        self._incumbency.close(trader, term)
        self._on_demoted()
