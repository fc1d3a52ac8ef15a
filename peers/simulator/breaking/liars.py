"""A peer that lies to its neighbours: about terms, who is trader, who is gone, clocks, elections and the graph.

It forges what any member can send, in bounds, for those are checked where messages are decoded; and it is a peer as
others in all else. What it says in others' names comes along its own links, as it would for real: that nobody sends
in the name of another is seen to by the certificates of machines.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import msgspec

from peers.core.bounds import MAX_BARRED, MAX_TIME
from peers.core.commands import Send
from peers.core.context import INCARNATIONS_AHEAD_MS
from peers.core.leadership.elections.bully import ElectionAnswer
from peers.core.leadership.elections.echo import Wave
from peers.core.leadership.elections.ring import RingElection
from peers.core.leadership.reasons import VacancyReason
from peers.core.membership.clocks import LamportStamp, VectorStamp
from peers.core.membership.members import Member
from peers.core.messages import ClockNews, Coordinator, Heartbeat, LinkMessage, MemberNews, Vacancy
from peers.simulator.environment.environment import Environment
from peers.simulator.environment.process import Process

_PAUSE_S = 0.1  # Lies between two lies, in the mean.


class Liar:
    """One peer's lies, now and then, until it is stopped."""

    def __init__(self, environment: Environment, process: Process, key: int) -> None:
        self._environment = environment
        self._process = process
        self._rng = Random(key)
        self._stopped = False
        self._lies: tuple[Callable[[], LinkMessage], ...] = (
            self._far_vacancy, self._next_vacancy, self._false_resignation, self._false_trader, self._far_trader,
            self._false_heartbeat, self._gone, self._gone, self._elsewhere, self._invented, self._own_record,
            self._edges, self._clock, self._answer,
        )  # fmt: skip

    def start(self) -> None:
        self._environment.record.note(self._process, "begins to lie")
        self._environment.record.saw("a peer lied to its neighbours")
        self._lie(None, None)

    def stop(self) -> None:
        self._stopped = True

    def _lie(self, _: None, __: None) -> None:
        process, schedule, rng = self._process, self._environment.schedule, self._rng
        if self._stopped or not process.up:
            return
        schedule.push(schedule.now_s + 2 * _PAUSE_S * rng.random(), self._lie, None, None)
        if process.hung or not process.started:
            return
        message = rng.choice(self._lies)()
        for rank in process.view.neighbours:
            to = process.view.member(rank)
            if to is not None and rng.random() < 0.8:
                self._environment.network.send(process, Send(to=to, message=message))

    # -- what there is to draw -----------------------------------------------------------------------------

    def _somebody(self) -> Member:
        live = [p for p in self._environment.lives.live() if p.area == self._process.area]
        return self._rng.choice(live).view.me

    def _incarnation(self) -> int:
        """As high as is believed, or higher, or a little above what is known."""
        highest = self._environment.schedule.wall_ms(self._process) + INCARNATIONS_AHEAD_MS
        return self._rng.choice((highest - 1000, MAX_TIME, self._somebody().incarnation + 1))

    def _far_term(self) -> int:
        return self._rng.choice((10**9, MAX_TIME, self._process.view.term + 2))

    def _stamp(self) -> LamportStamp | VectorStamp:
        if self._environment.settings.clock == "vector":
            return VectorStamp(vector={self._somebody().name: MAX_TIME, "nobody": 5})
        return LamportStamp(lamport=MAX_TIME)

    # -- the lies ------------------------------------------------------------------------------------------

    def _far_vacancy(self) -> LinkMessage:
        return Vacancy(term=self._far_term(), reason=VacancyReason.CRASHED, incarnation=self._incarnation())

    def _next_vacancy(self) -> LinkMessage:
        return Vacancy(term=self._process.view.term + 1, reason=self._rng.choice(tuple(VacancyReason)))

    def _false_resignation(self) -> LinkMessage:
        barred = (self._somebody().rank, self._somebody().rank)
        reason = self._rng.choice((VacancyReason.RESIGNED, VacancyReason.CRASHED, VacancyReason.BOOKS_AWAY))
        return Vacancy(
            term=self._process.view.term,
            reason=reason,
            incarnation=self._incarnation(),
            barred=barred,
            barred_for=MAX_BARRED,
        )

    def _false_trader(self) -> LinkMessage:
        term = self._process.view.term + self._rng.choice((0, 1))
        return Coordinator(term=term, trader=self._somebody().rank, incarnation=self._incarnation())

    def _far_trader(self) -> LinkMessage:
        return Coordinator(term=self._far_term(), trader=self._somebody().rank, incarnation=self._incarnation())

    def _false_heartbeat(self) -> LinkMessage:
        term = self._rng.choice((self._far_term(), self._process.view.term + 1))
        trader = self._rng.choice((None, self._somebody().rank))
        return Heartbeat(
            clock=self._stamp(), term=term, trader=trader, incarnation=self._incarnation(), digest=7, reversals=10**6
        )

    def _gone(self) -> LinkMessage:
        gone = msgspec.structs.replace(self._somebody(), up=False, incarnation=self._incarnation())
        return MemberNews(members=(gone,))

    def _elsewhere(self) -> LinkMessage:
        moved = msgspec.structs.replace(self._somebody(), uri=self._process.uri, incarnation=self._incarnation())
        return MemberNews(members=(moved,))

    def _invented(self) -> LinkMessage:
        rank = 900 + self._rng.randrange(5)
        nobody = Member(rank=rank, name=f"buyer{rank}", role="buyer", uri="nowhere/0", incarnation=1)
        invented = msgspec.structs.replace(nobody, incarnation=self._incarnation(), area=self._process.area)
        return MemberNews(members=(invented,))

    def _own_record(self) -> LinkMessage:
        return MemberNews(members=(msgspec.structs.replace(self._process.view.me, incarnation=self._incarnation()),))

    def _edges(self) -> LinkMessage:
        ranks = sorted({self._somebody().rank for _ in range(4)})
        return MemberNews(members=(), edges=tuple((ranks[0], rank) for rank in ranks[1:]))

    def _clock(self) -> LinkMessage:
        return ClockNews(clock=self._stamp())

    def _answer(self) -> LinkMessage:
        """In the election of this market, in the name of somebody else."""
        view, rank = self._process.view, self._somebody().rank
        attempt, reason = self._rng.choice((0, 1, MAX_TIME)), VacancyReason.CRASHED
        if self._environment.settings.election == "ring":
            return RingElection(
                after_term=view.term, attempt=attempt, reason=reason, beginner=rank, lap=MAX_TIME, standing=(rank,),
                to=view.me.rank, hops_left=5,
            )  # fmt: skip
        if self._environment.settings.election == "echo":
            return Wave(
                after_term=view.term, attempt=attempt, reason=reason, initiator=rank, number=MAX_TIME, stands=True,
                found_by=rank,
            )  # fmt: skip
        return ElectionAnswer(after_term=view.term, attempt=attempt, reason=reason, rank=rank)
