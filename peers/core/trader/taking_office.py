"""A candidate's way into office: read the books and the log to its end, then write the office entry there.

Whoever was nominated tries; the log decides. A place that was taken meanwhile (by the last words of the trader
before, or by a rival) sends the candidate back to reading. Reading may show a later term than the one that was to be
followed: then somebody else was faster, and the bid is lost. Where the place was taken by the trader of another area,
who shares the log and goes on trading, that entry is taken in, and the next place is tried.

Where nothing but silence speaks against the trader, it may be we who are cut off. So its office is left to it for a
moment more, by our own monotonic clock, and whether the log grows meanwhile is what shows that it is at work. What
its entries say of the time of day says nothing here, for that is another machine's clock. The moment is a short one,
or each failover would take longer; but a whole `suspect_s` where we seem to have been cut off, for neither the books
could be reached nor any other machine, or where the trader has shown itself: word that it is at work may be on its
way. While the books are away nobody writes, so that after it we look anew.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from peers.core.context import Context
from peers.core.leadership.reasons import VacancyReason
from peers.core.ledger.log import NOWHERE, OfficeEntry
from peers.core.ledger.port import Appended, EndLost, LedgerAway, Load, Loaded, MakeBooks, Operation, Result, Taken
from peers.core.ledger.post_state import PostState, UnsoundLog, state_of
from peers.core.market.records import Holder, Post
from peers.core.membership.members import Member
from peers.core.names import rank_of
from peers.core.reports import CutOff, LedgerBack, LedgerTrouble
from peers.core.trader.committer import RETRY_LEDGER_S, Behind, CommitState, Committer
from peers.core.trader.seat import THE_ONLY, Seat

GLANCE = 0.1
"""A candidate looks for this part of `suspect_s` whether a trader that is only silent writes to the log. No setting:
one that writes ten times in `suspect_s` is seen, and a failover takes so much longer."""


class Bidding(Enum):
    """What a candidate is doing."""

    READING = "reading"
    WAITING = "waiting to read"
    GLANCING = "seeing whether the trader writes"
    WATCHING = "watching the trader at work"
    WRITING = "writing"
    OVER = "over"


class Won(msgspec.Struct, frozen=True):
    """The bid is won. `state` has the office entry in it, and all that stood when that was first sent, at `begun_s`;
    `to_make` brings the books up to it; `post` is that of the area whose post it is."""

    state: PostState
    to_make: tuple[MakeBooks, ...]
    post: Post
    begun_s: float


class Lost(msgspec.Struct, frozen=True):
    """The bid is lost: the log is at another term than the one that was to be followed. `post` says whose it is."""

    post: Post


class TakingOffice:
    """One bid for the term after `after_term`. A trader that is only silent keeps its office for `glance_s` more.
    `was_away`: the books could not be reached just before."""

    def __init__(
        self,
        ctx: Context,
        after_term: int,
        reason: VacancyReason,
        seat: Seat = THE_ONLY,
        *,
        glance_s: float | None = None,
        was_away: bool = False,
    ) -> None:
        self._ctx = ctx
        self._seat = seat
        self._after_term = after_term
        self._reason = reason
        self._bidding = Bidding.READING
        self._committer: Committer | None = None
        self._state = PostState()
        self._to_make: tuple[MakeBooks, ...] = ()
        self._trouble = False
        self._suspect_s = ctx.settings.timing.suspect_s
        self._glance_s = self._suspect_s * GLANCE if glance_s is None else glance_s
        self._was_away = was_away
        self._seen: int | None = None  # What stood in the log last when this peer looked whether the trader writes.
        self._has_told = False
        ctx.perform(Load())

    @property
    def is_writing(self) -> bool:
        """Whether the office entry is on its way, and may stand at any moment."""
        return self._committer is not None and self._committer.state is CommitState.APPENDING

    @property
    def is_for_silence(self) -> bool:
        """Whether it may be dropped once the trader is heard: nothing else spoke against that one, and no entry of
        ours is on its way."""
        return self._reason is VacancyReason.SUSPECTED and self._bidding is not Bidding.WRITING

    def on_ledger(self, operation: Operation, result: Result) -> Won | Lost | None:
        """Takes in an answer; returns how the bid ended, None while it has not."""
        if isinstance(operation, Load) and self._bidding is Bidding.READING:
            return self._on_read(result)
        if self._committer is None or self._bidding is not Bidding.WRITING:
            return None
        settled = self._committer.on_ledger(operation, result)
        if isinstance(settled, Appended):
            self._bidding = Bidding.OVER
            made = self._state.take_in(self._committer.entry)
            post = self._state.post.of(self._seat.area)
            return Won(self._state, (*self._to_make, made), post, self._committer.begun_s)
        if isinstance(settled, Behind):
            self._on_behind(settled)
        elif isinstance(settled, Taken | EndLost):
            self._ctx.count("office_place_taken")
            self._read()
        return None

    def on_timer(self) -> None:
        """Time to try again what the ledger could not do."""
        if self._bidding in (Bidding.WAITING, Bidding.WATCHING):
            self._read()
        elif self._bidding is Bidding.GLANCING:
            self._end_glance()
        elif self._committer is not None:
            self._committer.on_timer()

    def repeat(self, after_s: float) -> None:
        """Has another thread write the office entry, if it has had no answer for `after_s`."""
        if self._committer is not None:
            self._committer.repeat(after_s)

    @property
    def is_held(self) -> bool:
        """Whether the office entry gets no answer, whichever thread writes it."""
        return self._committer is not None and self._committer.is_held

    def _on_behind(self, behind: Behind) -> None:
        """Another area went on trading: its entry is taken in, and the next place tried."""
        try:
            self._to_make += tuple(self._state.take_in(entry, torn=True) for entry in behind.entries)
        except UnsoundLog as error:
            self._try_later(f"the log is not sound: {error}; `bazaar audit` says more")
            return
        self._write()

    def _read(self) -> None:
        self._bidding = Bidding.READING
        self._committer = None
        self._ctx.perform(Load())

    def _on_read(self, result: Result) -> Lost | None:
        try:
            if not isinstance(result, Loaded):
                self._was_away, self._seen = True, None
                self._try_later(result.why if isinstance(result, LedgerAway) else "no answer")
                return None
            self._state, self._to_make = state_of(result)
            self._report(None)
        except UnsoundLog as error:
            self._try_later(f"the log is not sound: {error}; `bazaar audit` says more")
            return None
        post = self._state.post.of(self._seat.area)
        if post.term != self._after_term:
            self._bidding = Bidding.OVER
            return Lost(post)
        before, self._seen = self._seen, self._last_of_trader()
        if self._seen is None or before == self._seen:
            self._begin_to_write()
        elif before is None:
            self._glance()
        else:
            self._watch()
        return None

    def _glance(self) -> None:
        """Leaves the trader a moment, and as long as it takes to count as gone where it was we who heard nothing."""
        if self._was_away and self._hears_no_other_machine():
            self._glance_s = self._suspect_s
        self._bidding = Bidding.GLANCING
        self._ctx.set_timer(self._seat.ledger_timer, self._glance_s)

    def _hears_no_other_machine(self) -> bool:
        """Whether all who are up are on this machine, and the trader is on another."""
        me, trader = self._ctx.me, self._member()
        is_elsewhere = trader is None or not trader.is_beside(me)
        return is_elsewhere and all(member.is_beside(me) for member in self._ctx.members.up())

    def _end_glance(self) -> None:
        """The trader was not heard, and may not have written. If it has shown itself, there is more to wait for."""
        rest_s = self._suspect_s - self._glance_s
        if rest_s > 0 and self._has_shown_itself():
            self._glance_s = self._suspect_s
            self._ctx.set_timer(self._seat.ledger_timer, rest_s)
        else:
            self._begin_to_write()

    def _has_shown_itself(self) -> bool:
        """Whether the trader is in a later incarnation than the one that was taken for gone."""
        view, trader = self._ctx.view, self._member()
        is_ours = view.vacant and view.term == self._after_term
        return is_ours and trader is not None and trader.up and trader.incarnation > view.incarnation

    def _begin_to_write(self) -> None:
        """Writes after what was read last. If the trader has written since, the place is taken, and that is read."""
        self._bidding = Bidding.WRITING
        self._committer = Committer(self._ctx, self._state.place, self._seat)
        self._write()

    def _write(self) -> None:
        assert self._committer is not None
        self._committer.append(
            OfficeEntry(
                entry_id=self._ctx.next_entry_id(),
                term=self._after_term + 1,
                trader=self._ctx.name,
                written_at_ms=self._ctx.now.wall_ms,
                reason=self._reason.value,
                area=self._seat.area,
                uri=self._ctx.me.uri,
                write_level=self._ctx.settings.ledger.write_level,
            )
        )

    def _last_of_trader(self) -> int | None:
        """Returns what changes with each entry of the trader that counts as gone; None if that does not matter.

        Nothing but silence must speak against it. What is only compared with itself may be a time of day."""
        if self._reason is not VacancyReason.SUSPECTED or self._state.place == NOWHERE:
            return None
        if not self._seat.area:
            return self._state.place
        holder = self._state.post.holder(self._seat.area)
        return holder.written_at_ms if holder is not None and self._may_hold(holder) else None

    def _may_hold(self, holder: Holder) -> bool:
        """Whether the post may be left to `holder`: one who only stands in for an area gives way to its own."""
        return self._seat.stands_in or self._ctx.is_ours(holder.trader)

    def _watch(self) -> None:
        """The trader writes to the log, so it is we who are cut off: leaves it its office, and looks again later."""
        if not self._has_told:
            self._has_told = True
            self._ctx.say(CutOff(peer=self._ctx.name, trader=self._trader() or "somebody"))
        self._bidding = Bidding.WATCHING
        self._ctx.set_timer(self._seat.ledger_timer, self._suspect_s)

    def _trader(self) -> str | None:
        return self._state.post.of(self._seat.area).trader

    def _member(self) -> Member | None:
        """The record of the trader, None while it has none here."""
        name = self._trader()
        return self._ctx.members.get(rank_of(name)) if name is not None else None

    def _try_later(self, why: str) -> None:
        self._bidding = Bidding.WAITING
        self._committer = None
        self._ctx.set_timer(self._seat.ledger_timer, RETRY_LEDGER_S)
        self._report(why)

    def _report(self, trouble: str | None) -> None:
        """Tells people when trouble begins and when it is over."""
        if trouble is not None and not self._trouble:
            self._ctx.say(LedgerTrouble(peer=self._ctx.name, why=trouble))
        elif trouble is None and self._trouble:
            self._ctx.say(LedgerBack(peer=self._ctx.name))
        self._trouble = trouble is not None
