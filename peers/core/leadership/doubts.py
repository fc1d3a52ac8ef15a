"""What a peer does not believe of the post because somebody says so: it asks the books first.

A term exists once its office entry stands in the log, so of terms the books are the authority, and anybody can read
them. Most of what is said needs no such question, and failover never waits for one: that the trader of the present
term is gone, which it can deny, and that somebody has taken the very next term. What is no such step may be news that
was missed, or a lie, or be about books that were restored to an older state. What said it is held back, the books are
asked, and whatever they answer counts: a term that they do not have is believed no longer. One whose neighbours go on
saying that it lives in the future asks as well, and so does a trader of whose successor others speak.

Who was lied to is wary for a while, and asks about the very next term too. Who cannot reach the books believes what
it hears, but asks until it has an answer.
"""

from __future__ import annotations

from peers.core.context import Context
from peers.core.leadership.state import LeadershipState, LeadershipView
from peers.core.ledger.port import Operation, PostRead, ReadPost, Result
from peers.core.market.records import Post
from peers.core.membership.gossip import LATE_FOR
from peers.core.messages import LinkMessage
from peers.core.reports import FalseTerm

ASK_GAP_S = 0.5
"""The books are asked at most once in so long, whatever is said. No setting: it bounds what a liar can cost."""

WARY_FOR_S = 30.0
"""After a lie a peer asks the books about each term for so long. No setting: it is what a few questions are worth."""

MOST_HELD = 16
"""So many messages wait for an answer of the books at most; what they say is said again by heartbeats."""


class Doubts:
    """One peer's doubts, and its questions to the books."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        # The messages that wait for the books, and whom they are from.
        self._held: list[tuple[int, LinkMessage]] = []
        # The highest term that was doubted since the books were asked last.
        self._claimed = 0
        # Whether an answer of the books is awaited.
        self.is_asked = False
        self._is_to_ask = False
        # The term that this peer believed in when it asked.
        self._asked_in = 0
        self._asked_s = -ASK_GAP_S
        self._wary_until_s = 0.0
        # Whether what was claimed last is a lie, by the books.
        self.was_lied_to = False
        # Whether the books could not be reached when they were asked last.
        self._is_blind = False
        # Whose post it was, and in which term, when the books were asked last.
        self._said: tuple[int, str | None] | None = None
        # The trader whose record has not come, in which term, and since when it is missed.
        self._unheard_of: tuple[int, int] | None = None
        self._unheard_of_since_s = 0.0
        # By neighbour, since when it has been naming earlier terms than ours.
        self._behind_since_s: dict[int, float] = {}

    # -- what is believed ----------------------------------------------------------------------------------

    def believes(self, view: LeadershipView) -> bool:
        """Whether a view that is newer than ours is to be taken in without asking the books."""
        ctx, known = self._ctx, self._ctx.view
        if ctx.leadership.state is LeadershipState.JOINING:
            return True
        if view.term == known.term:
            return view.vacant or ctx.in_office or known.trader in (None, view.trader)
        if ctx.in_office:
            return False
        if view.vacant and self._was_ended_by_a_stand_in(view.term):
            return True
        return self._is_blind or (view.term == known.term + 1 and not view.vacant and not self.is_wary)

    def _was_ended_by_a_stand_in(self, term: int) -> bool:
        """Whether the books said that one of another area took this term, or a later one: nobody of ours holds it."""
        said, trader = self._said or (0, None)
        return term <= said and trader is not None and not self._ctx.is_ours(trader)

    @property
    def is_wary(self) -> bool:
        """Whether this peer was lied to of late."""
        return self._ctx.now.mono_s < self._wary_until_s

    def hold(self, term: int, sender: int, message: LinkMessage) -> None:
        """Asks the books about `term`; `message` is kept until they have answered, or cannot be reached."""
        self._claimed = max(self._claimed, term)
        if len(self._held) < MOST_HELD:
            self._held.append((sender, message))
        self.ask()

    def confirms(self, term: int, trader: str) -> bool:
        """Whether `trader` holds `term`, by what the books said last; so it is, too, where they cannot be reached."""
        return self._is_blind or self._said == (term, trader)

    def hear(self, sender: int, term: int) -> None:
        """A neighbour believes in this term. If it stays behind ours though it is told, perhaps it knows better."""
        if term >= self._ctx.view.term:
            self._behind_since_s.pop(sender, None)
            return
        now_s = self._ctx.now.mono_s
        since_s = self._behind_since_s.setdefault(sender, now_s)
        if now_s - since_s > self._ctx.settings.timing.suspect_s / 2:
            self._behind_since_s.pop(sender)
            self.ask()

    def misses_trader(self) -> bool:
        """Whether the trader's own record has not come for long: if it is gone, nobody here would notice. To be asked
        with each heartbeat."""
        ctx, view = self._ctx, self._ctx.view
        if view.vacant or view.trader is None or ctx.in_office or ctx.members.get(view.trader) is not None:
            self._unheard_of = None
            return False
        if self._unheard_of != (view.term, view.trader):
            self._unheard_of, self._unheard_of_since_s = (view.term, view.trader), ctx.now.mono_s
        patience_s = ctx.settings.timing.suspect_s + LATE_FOR * ctx.late_s
        return ctx.now.mono_s - self._unheard_of_since_s > 2 * patience_s

    # -- asking --------------------------------------------------------------------------------------------

    def ask(self, *, at_once: bool = False) -> None:
        """Has the books say who holds the post, soon, or `at_once`."""
        now_s = self._ctx.now.mono_s
        if self.is_asked:
            return
        self._is_to_ask = now_s - self._asked_s < ASK_GAP_S and not at_once
        if not self._is_to_ask:
            self.is_asked, self._asked_s, self._asked_in = True, now_s, self._ctx.view.term
            self._ctx.count("asked_books")
            self._ctx.perform(ReadPost())

    def on_heartbeat_timer(self) -> None:
        """Asks what could not be asked yet."""
        if self._is_to_ask or self._is_blind:
            self.ask()

    def on_ledger(self, operation: Operation, result: Result) -> Post | None:
        """Takes in what the books say, if they were asked; returns the post of this peer's area then."""
        if not isinstance(operation, ReadPost) or not self.is_asked:
            return None
        self.is_asked = False
        self._is_blind = not isinstance(result, PostRead)
        if not isinstance(result, PostRead):
            return None
        post = result.post.of(self._ctx.area)
        if post.term < self._ctx.view.term != self._asked_in:
            self.ask(at_once=True)  # A later term has begun since it was asked, and this may have been read before.
            return None
        self._said = (post.term, post.trader)
        claimed, self._claimed = max(self._claimed, self._ctx.view.term), 0
        self.was_lied_to = claimed > post.term
        if self.was_lied_to:
            if not self.is_wary:
                self._ctx.say(FalseTerm(peer=self._ctx.name, term=claimed, books_term=post.term))
            self._ctx.count("false_terms")
            self._wary_until_s = self._ctx.now.mono_s + WARY_FOR_S
        return post

    def take_held(self) -> list[tuple[int, LinkMessage]]:
        """Returns what was held back, to be taken in now: from whom, and what. Until `end` nothing more is asked."""
        held, self._held = self._held, []
        self.is_asked = True
        return held

    def end(self) -> None:
        """What was held back has been taken in; what was doubted again is dropped."""
        self.is_asked = False
        self._held.clear()
        self._claimed = 0
