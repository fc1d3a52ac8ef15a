"""What waits for a slow neighbour: of what each beat says anew, only the newest."""

from __future__ import annotations

from peers.core.leadership.reasons import VacancyReason
from peers.core.membership.clocks import LamportStamp
from peers.core.membership.members import Member
from peers.core.messages import ClockNews, Coordinator, Heartbeat, LinkMessage, Vacancy
from peers.rpc.wire import Parcel
from peers.runtime.links.cuts import Cuts
from peers.runtime.links.links import MOST_WAITING, Links, _Link
from peers.runtime.logs import NoLog


class Nowhere:
    cuts = Cuts()

    def seal(self, messages: tuple[LinkMessage, ...]) -> Parcel:
        raise AssertionError(messages)

    def received(self, parcel: Parcel) -> None:
        raise AssertionError(parcel)

    def gone(self, rank: int, incarnation: int) -> None:
        raise AssertionError((rank, incarnation))


def link() -> _Link:
    member = Member(rank=1, name="seller1", role="seller", uri="PYRO:x@127.0.0.1:1", incarnation=1)
    return _Link(Links(Nowhere(), 1.0, NoLog()), member, lasting=True)


def beat(time: int, *, reply: bool = False) -> Heartbeat:
    return Heartbeat(clock=LamportStamp(lamport=time), term=1, trader=1, incarnation=1, digest=time, reply=reply)


def clock(time: int) -> ClockNews:
    return ClockNews(clock=LamportStamp(lamport=time))


def vacancy(term: int) -> Vacancy:
    return Vacancy(term=term, reason=VacancyReason.LEFT)


def test_a_newer_beat_takes_the_place_of_the_one_that_waits() -> None:
    slow = link()
    for time in range(5):
        slow.put(beat(time))
        slow.put(clock(time))
        slow.put(vacancy(time))
    assert slow._take() == (*map(vacancy, range(4)), beat(4), clock(4), vacancy(4))


def test_a_beat_back_is_no_newer_beat() -> None:
    slow = link()
    slow.put(beat(1))
    slow.put(beat(2, reply=True))
    slow.put(beat(3, reply=True))
    assert slow._take() == (beat(1), beat(3, reply=True))


def test_when_too_much_waits_the_oldest_goes_but_a_beat_before_it() -> None:
    slow = link()
    slow.put(beat(1))
    for term in range(MOST_WAITING):
        slow.put(Coordinator(term=term, trader=1, incarnation=1))
    waiting = list(slow._waiting)
    assert len(waiting) == MOST_WAITING
    assert waiting[0] == Coordinator(term=0, trader=1, incarnation=1)
    slow.put(vacancy(1))
    assert next(iter(slow._waiting)) == Coordinator(term=1, trader=1, incarnation=1)
