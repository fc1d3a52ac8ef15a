"""One peer's part in elections, whatever the algorithm: it sees that somebody begins one, and counts the cost."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from peers.core.context import Context
from peers.core.leadership.elections.base import AT_THE_START, CROWD, ElectionAlgorithm, beyond_crowd, patience_s
from peers.core.leadership.elections.cost import ElectionCost
from peers.core.leadership.elections.eligibility import Eligibility
from peers.core.leadership.elections.registry import ALGORITHMS
from peers.core.leadership.reasons import VacancyReason
from peers.core.leadership.state import LeadershipState, LeadershipView
from peers.core.ledger.port import Done, LedgerAway, Operation, Reach, Result
from peers.core.membership.gossip import Gossip
from peers.core.messages import Coordinator, ElectionMessage, Vacancy
from peers.core.reports import LedgerBack, LedgerTrouble

RECHECK_VACANCY_S = 1.0
"""How often a peer looks whether the post is filled. No setting: it only mends what elections left undone."""


LONGEST_ELECTION_S = 5.0
"""A post that stays vacant for longer is bid for by whoever finds it so, whatever is said. No setting: it bounds how
long an election can be held up by one that lies in it."""

REACH_AT_ONCE = 16
REACH_GAP_S = 0.1
"""Where all are to find out whether they reach the books, so many ask at once, and each of these gaps as many more,
highest ranks first. No setting: it spares the database the many who would all come in the same moment."""

MOST_ATTEMPTS_AHEAD = 1000
"""An attempt that is further ahead than this is none: there would be no later one that all could agree on."""


_GOLDEN_RATIO = 0.6180339887498949
"""Its multiples, without what is before the point, are spread evenly, however many there are (Knuth, 1973)."""


class ElectionPart:
    """The Electorate of the algorithm. `on_nominated` gets the term after which this peer shall take office."""

    def __init__(self, ctx: Context, gossip: Gossip, on_nominated: Callable[[int], None]) -> None:
        self._ctx = ctx
        self._gossip = gossip
        self._on_nominated = on_nominated
        self._algorithm: ElectionAlgorithm = ALGORITHMS[ctx.settings.election](self)
        self._vacant_since_s = 0.0
        # Since when there has been no trader, in whichever term; None while there is one.
        self._untraded_since_s: float | None = None
        self._is_asked = False  # Whether the ledger was asked for a sign of life that has not come.
        self._has_told = False  # That the ledger is away.
        self.eligibility = Eligibility(ctx)
        self.cost = ElectionCost(ctx, gossip)

    # -- having one held -----------------------------------------------------------------------------------

    def on_vacant(self, *, started: bool) -> None:
        """The post is vacant: begins an election if that is this peer's to do, else sees to it that somebody does."""
        ctx = self._ctx
        self._vacant_since_s = ctx.now.mono_s
        if self._untraded_since_s is None:
            self._untraded_since_s = ctx.now.mono_s
        ctx.set_timer("vacancy", 4 * patience_s(ctx, ctx.view.reason) * ctx.rng.uniform(1.0, 1.5))
        if ctx.view.reason is VacancyReason.BOOKS_AWAY:
            self.on_books_away()
        elif ctx.view.reason is VacancyReason.START and ctx.settings.market.first_trader == "lowest":
            if ctx.me.rank == ctx.members.up()[0].rank:
                self.nominate(ctx.view.term)
        elif started or self._algorithm.everybody_starts or self._is_mine_to_begin():
            self._begin()

    def on_books_away(self) -> None:
        """Somebody gave way who did not reach the books: whoever is to stand for the post finds out first if it does.

        Nearly all find out at the same time, and whoever does reach them begins an election. Where nobody does, all
        wait.
        """
        self._ctx.reaches_books = False
        self._algorithm.stop()
        above = sum(member.rank > self._ctx.me.rank for member in self._ctx.members.up())
        if above < REACH_AT_ONCE:
            self._ask_for_sign_of_life()
        else:
            self._ctx.set_timer("vacancy", above // REACH_AT_ONCE * REACH_GAP_S)

    def _ask_for_sign_of_life(self) -> None:
        if not self._is_asked:
            self._is_asked = True
            self._ctx.perform(Reach())

    def on_ledger(self, operation: Operation, result: Result) -> None:
        """Takes in whether the books can be reached, if that was asked for."""
        ctx = self._ctx
        if not isinstance(operation, Reach) or not self._is_asked:
            return
        self._is_asked = False
        self._tell_people(result)
        if isinstance(result, Done) and not ctx.reaches_books:
            ctx.reaches_books = True
            if ctx.leadership.state is LeadershipState.ELECTING and self._algorithm.attempt() is None:
                self._begin()

    def _tell_people(self, result: Result) -> None:
        """Says for what all wait, once for each machine, and when it is over."""
        ctx = self._ctx
        if isinstance(result, LedgerAway) and not self._has_told:
            self._has_told = not any(m.rank < ctx.me.rank for m in ctx.members.up() if m.is_beside(ctx.me))
            if self._has_told:
                ctx.say(LedgerTrouble(peer=ctx.name, why=result.why))
        elif isinstance(result, Done) and self._has_told:
            self._has_told = False
            ctx.say(LedgerBack(peer=ctx.name))

    def mind_members(self, *, lost: bool) -> None:
        """Peers changed, or were `lost`, perhaps the one to begin or to win: if this peer is next, it acts now."""
        if self._algorithm.attempt() is not None:
            if lost:
                self._algorithm.on_lost()
        elif self._is_mine_to_begin():
            self._begin()

    def _is_mine_to_begin(self) -> bool:
        reason = self._ctx.view.reason
        return reason is not None and reason.is_orderly and self.eligibility.starts_after_resignation()

    def _begin(self) -> None:
        view = self._ctx.view
        self.cost.started_by = self._ctx.name
        self._algorithm.start(after_term=view.term, attempt=0, reason=reason_of(view))

    def on_vacancy_timer(self) -> None:
        leadership = self._ctx.leadership
        if not leadership.view.vacant:
            return
        if not self._ctx.reaches_books:
            self._ask_for_sign_of_life()
        elif self._algorithm.attempt() is None and leadership.state is not LeadershipState.CANDIDATE:
            self._begin()
        elif self._takes_too_long():
            self.nominate(leadership.view.term)
        self._ctx.set_timer("vacancy", RECHECK_VACANCY_S)

    def _takes_too_long(self) -> bool:
        """Whether to bid without asking anybody; not all do so at the same time."""
        if self._untraded_since_s is None or not self._ctx.may_stand:
            return False
        longest_s = LONGEST_ELECTION_S * (AT_THE_START if self._ctx.view.reason is VacancyReason.START else 1)
        # In a crowd each has a turn of its own, from 0 to 1, or the books have to do with all of them at once.
        turn = self._ctx.me.rank * _GOLDEN_RATIO % 1
        longest_s *= self._ctx.rng.uniform(1.0, 2.0) + beyond_crowd(self._ctx) / CROWD * turn
        return self._ctx.now.mono_s - self._untraded_since_s > longest_s

    def on_message(self, sender: int, message: ElectionMessage) -> None:
        """Takes in a message of the present vacancy."""
        if message.attempt > (self._algorithm.attempt() or 0) + MOST_ATTEMPTS_AHEAD:
            return
        beginner = message.begun_by()
        if beginner is not None and self.cost.started_by is None:
            member = self._ctx.members.get(beginner)
            self.cost.started_by = member.name if member is not None else None
        self._algorithm.on_message(sender, message)

    def on_election_timer(self) -> None:
        self._algorithm.on_timer()

    def stop(self) -> None:
        """Ends the round under way, for it is about another vacancy than the present one."""
        self._algorithm.stop()

    def on_filled(self) -> None:
        """Somebody holds the post."""
        self._algorithm.stop()
        self._untraded_since_s = None
        self._tell_people(Done())
        self._ctx.reaches_books, self._is_asked = True, False
        self._ctx.cancel_timer("vacancy")

    def on_won(self, term: int) -> float:
        """This peer takes office: it keeps the record. Returns for how long the post was vacant, in seconds."""
        took_s = self._ctx.now.mono_s - self._vacant_since_s
        self.cost.on_won(term, self._algorithm.name, took_s, reason=reason_of(self._ctx.view))
        self.on_filled()
        return took_s

    def sit_out(self, reason: VacancyReason, elections: int) -> None:
        """Tells everybody that the post is vacant, and that this peer takes no part in so many elections for it."""
        view, barred = self._ctx.view, (self._ctx.me.rank,) if elections else ()
        self.eligibility.bar(barred, view.term, elections)
        self._gossip.flood(
            Vacancy(term=view.term, incarnation=view.incarnation, reason=reason, barred=barred, barred_for=elections)
        )

    @property
    def reason(self) -> VacancyReason:
        """Why the post is vacant: as whoever began the election under way knows it, else as this peer does."""
        return self._algorithm.reason() or reason_of(self._ctx.view)

    # -- for the algorithm ---------------------------------------------------------------------------------

    @property
    def ctx(self) -> Context:
        return self._ctx

    def eligible(self, after_term: int, attempt: int) -> list[int]:
        return self.eligibility.eligible(after_term, attempt)

    def flood(self, message: ElectionMessage | Coordinator, *, but: int | None = None) -> None:
        if isinstance(message, Coordinator):
            self.cost.count(self._gossip.flood(message, but=but), message.term)
        else:
            self.cost.count(self._gossip.flood(self._dated(message), but=but), message.after_term + 1)

    def send(self, rank: int, message: ElectionMessage) -> None:
        self._gossip.send(rank, self._dated(message))
        self.cost.count(1, message.after_term + 1)

    def _dated(self, message: ElectionMessage) -> ElectionMessage:
        """Returns it with the incarnation of the trader that is gone, by which one that is not can refute it."""
        return msgspec.structs.replace(message, incarnation=self._ctx.view.incarnation)

    def nominate(self, after_term: int) -> None:
        self._on_nominated(after_term)


def reason_of(view: LeadershipView) -> VacancyReason:
    """Why the post is vacant; a crash, as far as the view does not say."""
    return view.reason or VacancyReason.CRASHED
