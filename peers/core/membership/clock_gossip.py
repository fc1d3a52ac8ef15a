"""News of clocks along the links: each passes on the newest one that is known, and no faster than the market's pace.

That takes the place of a multicast of each request's stamp: one who hears a newer clock needs no older one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from peers.core.context import Context
from peers.core.membership.clocks import Stamp
from peers.core.membership.graph_kinds import FEW
from peers.core.messages import ClockNews, LinkMessage


class ClockGossip:
    """One peer's part in it; `send` sends a message to the peer of a rank."""

    def __init__(self, ctx: Context, send: Callable[[int, LinkMessage], None]) -> None:
        self._ctx = ctx
        self._send = send
        self._watched: Sequence[int] = ()  # The neighbours that heartbeats are exchanged with, mostly all.
        self._told: dict[int, Stamp] = {}  # The newest clock that each neighbour is known to have.
        self._sent_s: dict[int, float] = {}  # When clock news was last sent to each neighbour.
        self._is_timer_set = False
        self._has_own_news = False  # Whether clock news of this peer itself is still to go to all neighbours.

    def announce(self, stamp: Stamp) -> None:
        """Multicasts a request's stamp: every link carries it, or a newer one, within `clock_gap_s`.

        Where there are many neighbours the gap grows with their number, for the cost is to follow time, not pairs.
        """
        before = self._ctx.news.stamp()
        # Our own clock needs no pace: were the news behind it, nothing would ever tell the others of this stamp.
        self._ctx.news.adopt(stamp)
        if self._ctx.news.stamp() != before:
            self._has_own_news = True
            self._pass_on()

    def hear(self, sender: int, stamp: Stamp) -> None:
        """Merges; everybody but the trader makes it its own, and everybody passes it on."""
        self._told[sender] = stamp
        if not self._ctx.in_office:
            self._ctx.hear_clock(stamp)
        if self._ctx.news.merge(stamp, self._ctx.now.mono_s, self._ctx.members.names()):
            self._pass_on()

    def newest_for(self, rank: int) -> Stamp:
        """Returns the newest clock, which a message to that peer is about to carry."""
        stamp = self._ctx.news.stamp()
        self._told[rank] = stamp
        return stamp

    def rejoin(self) -> None:
        """Makes the newest clock known our own: what a trader does when it leaves office."""
        self._ctx.clock.adopt(self._ctx.news.stamp())

    def on_timer(self) -> None:
        """The `clock` timer: what had to wait for its pace goes out."""
        self._is_timer_set = False
        self._pass_on()

    def relink(self, before: Sequence[int], watched: Sequence[int]) -> None:
        """The neighbours are others than `before`: what new ones know is not known, and old ones are forgotten."""
        neighbours = self._ctx.neighbours
        self._watched = watched
        for rank in neighbours:
            if rank not in before:
                self._told.pop(rank, None)
        for kept in (self._told, self._sent_s):
            for rank in kept.keys() - set(neighbours):
                del kept[rank]

    def _pass_on(self) -> None:
        # Of many neighbours each hears from the one whose news it is, and is not told again by all others.
        to = self._ctx.neighbours if self._has_own_news else self._watched
        gap_s = self._ctx.settings.timing.clock_gap_s * max(1.0, len(to) / FEW)
        now_s = self._ctx.now.mono_s
        stamp = self._ctx.news.stamp()
        self._has_own_news = False
        for rank in to:
            if self._told.get(rank) == stamp:
                continue
            if now_s - self._sent_s.get(rank, -gap_s) >= gap_s:
                self._sent_s[rank] = now_s
                self._told[rank] = stamp
                self._send(rank, ClockNews(clock=stamp))
                continue
            self._has_own_news = len(to) > len(self._watched)
            if not self._is_timer_set:
                self._is_timer_set = True
                self._ctx.set_timer("clock", gap_s)
