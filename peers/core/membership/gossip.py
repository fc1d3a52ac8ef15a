"""The links: heartbeats, news of members (those of clocks are in `clock_gossip`), and who counts as gone.

Everything a peer hears along an edge is merged into what it knows, and passed on only if that changed something.
A link that stays silent for `suspect_s` has a dead, hung or cut-off peer at its other end: that peer counts as
gone, the news floods the graph, and everybody computes the same healed graph from it. One who was only slow finds
out from its neighbours, and comes back with a new incarnation. Being wrong here costs an election, never a sale.

Where processor time is short, silence says little. So, after Lifeguard (Dadgar, Phillips and Currey, 2018), a peer
is the more patient with all the later its own timers come, and the longer those were silent that it has heard of
again. Otherwise a crowded machine would be crowded further by the news of losses that are none.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from peers.core.commands import Send, SetLinks
from peers.core.context import Context
from peers.core.market.records import Post
from peers.core.membership.clock_gossip import ClockGossip
from peers.core.membership.graph_kinds import graph_of, watched
from peers.core.membership.knocking import Knocking
from peers.core.membership.members import Edge, Member, trader_at
from peers.core.messages import Heartbeat, LinkMessage, MemberNews
from peers.core.names import rank_of
from peers.core.reports import LinksChanged, Lost, Returned

LATE_FOR = 4
"""The lateness of this peer (`Context.late_s`) is added to its patience with neighbours so many times."""
STAYS_LATE = 0.8
"""The part of the lateness that is left one heartbeat later, if nothing else comes late."""
UNHEARD_FOR = 10
"""A neighbour may be silent at the start for so many times `suspect_s`, for it may still be starting itself."""
PASSED_BY_AFTER = 2
"""A peer whose map stays the same for so many times `suspect_s`, while ours goes on changing, is given ours."""


class Gossip:
    """Keeps links, membership and clock news of one peer."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._graph_of: list[int] | None = None  # The ranks that were up when the graph was last computed.
        self._watched: tuple[int, ...] = ()  # The neighbours that heartbeats are exchanged with, mostly all.
        self._heard_s: dict[int, float] = {}  # When each of those was last heard of; has these and no others.
        # The digests, ours and theirs, that differed last, by whose it is, and since when theirs has been that one.
        self._mismatches: dict[int, tuple[int, int, float]] = {}
        self._beat_due_s = 0.0  # When the `heartbeat` timer should fire; what is later is lateness of this peer.
        self._unheard: set[int] = set()  # The neighbours of the start that nothing has come from yet.
        self._knocking = Knocking(ctx)
        self.clocks = ClockGossip(ctx, self.send)

    # -- sending -------------------------------------------------------------------------------------------

    def send(self, rank: int, message: LinkMessage) -> None:
        member = self._ctx.members.get(rank)
        if member is not None:
            self._ctx.emit(Send(to=member, message=message))

    def flood(self, message: LinkMessage, *, but: int | None = None) -> int:
        """Sends to every neighbour but one; returns to how many."""
        others = [rank for rank in self._ctx.neighbours if rank != but]
        for rank in others:
            self.send(rank, message)
        return len(others)

    # -- beats ---------------------------------------------------------------------------------------------

    def start(self, *, newcomer: bool) -> None:
        """Takes up the links; a newcomer tells its neighbours of itself, for nobody else does."""
        self.relink()
        self._unheard = set(self._watched)
        if newcomer:
            self.flood(MemberNews(members=(self._ctx.me,)))
        self._knocking.start()
        self._set_beat_timer(self._ctx.settings.timing.heartbeat_interval_s * self._ctx.rng.uniform(0.5, 1.0))

    def _set_beat_timer(self, after_s: float) -> None:
        self._beat_due_s = self._ctx.now.mono_s + after_s
        self._ctx.set_timer("heartbeat", after_s)

    def on_beat_timer(self) -> list[int]:
        """Beats to the watched neighbours of lower rank; returns those that have been silent for too long.

        Also to one of higher rank that should have beaten and did not: its beat may be lost, or it does not count
        us among its neighbours, and then our beat is what shows that the maps differ. A silent one is told who we
        are as well, for it may know us only by an earlier life, and answer there.
        """
        ctx, timing = self._ctx, self._ctx.settings.timing
        now_s = ctx.now.mono_s
        late_s = now_s - self._beat_due_s
        self._set_beat_timer(timing.heartbeat_interval_s)
        if late_s > timing.suspect_s / 2:  # This peer did not listen, so the silence of others says nothing.
            self._heard_s = dict.fromkeys(self._heard_s, now_s)
        self._note_late(late_s, STAYS_LATE * ctx.late_s)
        patience_s = timing.suspect_s + LATE_FOR * ctx.late_s
        for rank in self._watched:
            silent = now_s - self._heard_s[rank] > patience_s / 2
            if silent:
                self.send(rank, MemberNews(members=(ctx.me,)))
            if silent or rank < ctx.me.rank:
                self._beat(rank, reply=False)
        for rank in self._knocking.due():
            self.send(rank, self._whole())
        first_s = UNHEARD_FOR * timing.suspect_s
        return [
            rank
            for rank in self._watched
            if now_s - self._heard_s[rank] > (first_s if rank in self._unheard else patience_s)
        ]

    def _beat(self, rank: int, *, reply: bool) -> None:
        ctx, view = self._ctx, self._ctx.view
        trader = None if view.vacant else view.trader
        digest = ctx.members.digest()
        heartbeat = Heartbeat(
            clock=self.clocks.newest_for(rank),
            term=view.term,
            trader=trader,
            incarnation=view.incarnation,
            digest=digest,
            reply=reply,
            reversals=ctx.reversals,
        )
        self.send(rank, heartbeat)

    def heard(self, sender: int) -> None:
        """Notes that `sender` is alive."""
        last_s = self._heard_s.get(sender)
        if last_s is None:
            return
        now_s = self._ctx.now.mono_s
        self._heard_s[sender] = now_s
        if sender in self._unheard:
            self._unheard.remove(sender)
        else:
            self._note_late(now_s - last_s - self._ctx.settings.timing.heartbeat_interval_s, self._ctx.late_s)

    def _note_late(self, late_s: float, otherwise_s: float) -> None:
        self._ctx.late_s = min(max(late_s, otherwise_s), self._ctx.settings.timing.suspect_s)

    def on_heartbeat(self, sender: int, heartbeat: Heartbeat) -> None:
        self.clocks.hear(sender, heartbeat.clock)
        self._compare(sender, heartbeat.digest)
        self._ctx.hear_of_reversals(heartbeat.reversals)
        if not heartbeat.reply:
            self._beat(sender, reply=True)

    def _compare(self, sender: int, digest: int) -> None:
        ours, now_s = self._ctx.members.digest(), self._ctx.now.mono_s
        if digest == ours:
            self._mismatches.pop(sender, None)
            return
        last = self._mismatches.get(sender)
        since_s = last[2] if last is not None and last[1] == digest else now_s
        # The news that makes them equal may be under way. But it does not come to one that all this passes by.
        is_passed_by = now_s - since_s > PASSED_BY_AFTER * self._ctx.settings.timing.suspect_s
        if is_passed_by or (last is not None and last[:2] == (ours, digest)):
            self._mismatches.pop(sender)
            self.send(sender, self._whole())
        else:
            self._mismatches[sender] = (ours, digest, since_s)

    # -- members -------------------------------------------------------------------------------------------

    def introduce(self, post: Post) -> None:
        """Makes this peer known to a trader that the books name, if it counts as gone here or was never heard of.

        It has written to the log, so it is there, and tells of itself in turn: both may have joined a moment before
        all died who knew of both. One of another area does not take it in."""
        if post.trader is not None and post.uri and not self._ctx.members.is_up(rank_of(post.trader)):
            self._ctx.emit(Send(to=trader_at(post.trader, post.uri), message=MemberNews(members=(self._ctx.me,))))

    def _whole(self) -> MemberNews:
        members = self._ctx.members
        return MemberNews(members=members.all(), whole=True, edges=members.edges)

    def spread(self, news: Iterable[Member], *, sender: int | None = None) -> list[Member]:
        """Merges records of members, passes on what was new, heals the graph; returns what was new.

        Being reported gone ourselves is refuted with a new incarnation. One who is about to leave lets it stand, for
        it will be true; but until it has left, it is there, so it does not take it in.
        """
        ctx = self._ctx
        if ctx.departing and sender is not None:
            news = [member for member in news if member.rank != ctx.me.rank]
        fresh = ctx.members.merge(news)
        mine = next((m for m in fresh if m.rank == ctx.me.rank), None)
        if mine is not None and not ctx.departing:
            fresh = [m for m in fresh if m.rank != ctx.me.rank]
            fresh += self._come_back(mine.incarnation)
        if fresh:
            self.relink()  # This comes first, so that the news crosses the new edges too.
            told = MemberNews(members=tuple(fresh))
            self.flood(told, but=None if mine else sender)
            if mine is not None and sender is not None and sender not in ctx.neighbours:
                self.send(sender, told)  # Whoever takes us for gone has no link to us, so the flood misses it.
        return fresh

    def refute(self, reported: int) -> None:
        """Others take this peer, in the incarnation `reported`, for gone: it shows them a later one."""
        self.flood(MemberNews(members=tuple(self._come_back(max(reported, self._ctx.me.incarnation)))))

    def begin_after(self, known: Member) -> None:
        """Begins in a later incarnation than the record that others have of this rank."""
        self._come_back(known.incarnation)

    def _come_back(self, reported: int) -> list[Member]:
        ctx = self._ctx
        ctx.me = msgspec.structs.replace(ctx.me, incarnation=reported + 1)
        ctx.say(Returned(peer=ctx.name, incarnation=ctx.me.incarnation))
        return ctx.members.merge([ctx.me])

    def renew(self, me: Member) -> None:
        """Makes `me`, a later incarnation with another role, our own record, and tells everybody."""
        self._ctx.me = me
        self._ctx.members.merge([me])
        self.flood(MemberNews(members=(me,)))

    def on_member_news(self, sender: int, news: MemberNews) -> list[Member]:
        """Takes news in, and answers with what the sender turns out not to know."""
        members = self._ctx.members
        told = [member for member in news.members if member.area == self._ctx.me.area]
        known = [members.get(m.rank) for m in told]
        newer = tuple(k for k, m in zip(known, told, strict=True) if k is not None and k.is_newer_than(m))
        grown = members.merge_edges(news.edges)
        fresh = self.spread(told, sender=sender)
        edges: tuple[Edge, ...] = ()
        if news.whole:
            theirs = {m.rank: m for m in told}
            newer = tuple(m for m in members.all() if theirs.get(m.rank) != m)
            edges = () if set(members.edges) <= set(news.edges) else members.edges
        if newer or edges:
            self.send(sender, MemberNews(members=newer, edges=edges))
        if grown:
            self._graph_of = None
            self.relink()
            self.flood(self._whole(), but=sender)
        return fresh

    def greet_stranger(self, sender: int, incarnation: int) -> None:
        """Answers a peer that counts as gone here: told so, it refutes it with a new incarnation of its own."""
        known = self._ctx.members.get(sender)
        if known is not None and not known.up and incarnation <= known.incarnation:
            self.send(sender, MemberNews(members=(known,)))

    def declare_gone(self, rank: int) -> Member | None:
        """Counts a peer as gone and spreads the news; returns its record, None if it was gone already."""
        member = self._ctx.members.get(rank)
        if member is None or not member.up:
            return None
        self._ctx.say(Lost(peer=self._ctx.name, lost=member.name))
        gone = msgspec.structs.replace(member, up=False)
        self.spread([gone])
        return gone

    def relink(self) -> None:
        """Computes the live graph anew, and links to the neighbours it gives this peer."""
        ctx = self._ctx
        before = ctx.neighbours
        up = [m.rank for m in ctx.members.up()]
        if up != self._graph_of:
            self._graph_of = up
            ctx.graph = graph_of(ctx.settings.graph, ctx.members.edges, up)
            self._watched = watched(ctx.graph, ctx.me.rank)
        for rank in self._watched:
            self._heard_s.setdefault(rank, ctx.now.mono_s)
        self.clocks.relink(before, self._watched)
        for rank in self._mismatches.keys() - set(up):  # One that is no neighbour may take itself for one.
            del self._mismatches[rank]
        for rank in self._heard_s.keys() - set(self._watched):
            del self._heard_s[rank]
            self._unheard.discard(rank)
        linked = tuple(m for m in map(ctx.members.get, ctx.neighbours) if m is not None)
        ctx.emit(SetLinks(neighbours=linked))
        if ctx.neighbours != before:
            ctx.say(LinksChanged(peer=ctx.name, neighbours=tuple(m.name for m in linked)))
