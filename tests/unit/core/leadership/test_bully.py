"""When a peer answers in a bully election: the highest at once, the others only if nobody higher does."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from peers.core.commands import SetTimer
from peers.core.context import Context
from peers.core.leadership.elections.bully import Bully, Election, ElectionAnswer
from peers.core.leadership.reasons import VacancyReason
from peers.core.messages import ElectionMessage
from tests.unit.core.words import peer, rules

ASKED = Election(after_term=0, attempt=0, candidate=0, reason=VacancyReason.CRASHED)
ELECTION_S = rules().timing.election_s


class Electorate:
    """What the algorithm asks of its peer, and hears of nobody but us."""

    def __init__(self, rank: int, up: int = 5) -> None:
        self.ctx = Context(peer(rank, "buyer"), rules(), Random(0))
        self.up = list(range(up))
        self.ctx.members.merge(peer(other, "buyer") for other in self.up if other != rank)
        self.said: list[ElectionMessage] = []
        self.nominated = False

    def eligible(self, after_term: int, attempt: int) -> list[int]:
        del after_term, attempt
        return self.up

    def flood(self, message: ElectionMessage, *, but: int | None = None) -> None:
        del but
        self.said.append(message)

    def send(self, rank: int, message: ElectionMessage) -> None:
        del rank
        self.said.append(message)

    def nominate(self, after_term: int) -> None:
        del after_term
        self.nominated = True

    def answers(self) -> list[int]:
        return [message.rank for message in self.said if isinstance(message, ElectionAnswer)]

    def waits_s(self) -> float:
        return next(c.after_s for c in reversed(self.ctx.take_commands()) if isinstance(c, SetTimer))


def asked(rank: int) -> tuple[Electorate, Bully]:
    electorate = Electorate(rank)
    bully = Bully(electorate)
    bully.on_message(0, ASKED)
    return electorate, bully


def test_the_highest_answers_at_once_and_stands() -> None:
    electorate, _ = asked(4)
    assert electorate.answers() == [4]
    assert electorate.nominated


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_another_answers_after_a_moment_if_nobody_higher_has(rank: int) -> None:
    electorate, bully = asked(rank)
    assert electorate.answers() == []
    held_s = electorate.waits_s()
    assert 0 < held_s <= ELECTION_S / 2  # The caller must hear of it before it has waited long enough.
    bully.on_timer()
    assert electorate.answers() == [rank]
    assert held_s + electorate.waits_s() == pytest.approx(ELECTION_S)
    assert not electorate.nominated
    bully.on_timer()
    assert electorate.nominated


def test_at_the_start_and_where_things_come_late_all_are_more_patient() -> None:
    first, late = Electorate(2), Electorate(2)
    late.ctx.late_s = 0.1
    Bully(first).on_message(0, msgspec.structs.replace(ASKED, reason=VacancyReason.START))
    Bully(late).on_message(0, ASKED)
    assert min(first.waits_s(), late.waits_s()) > asked(2)[0].waits_s()


def test_the_lower_a_peer_the_longer_it_holds_its_answer_back() -> None:
    waits = [asked(rank)[0].waits_s() for rank in (3, 2, 1)]
    assert waits == sorted(waits)
    assert len(set(waits)) == 3


def test_one_who_has_heard_a_higher_answer_gives_none_and_does_not_stand() -> None:
    electorate, bully = asked(2)
    bully.on_message(1, ElectionAnswer(after_term=0, attempt=0, reason=VacancyReason.CRASHED, rank=3))
    bully.on_timer()
    bully.on_timer()
    assert electorate.answers() == [3]
    assert not electorate.nominated


def test_a_lower_answer_is_not_passed_on_by_one_who_will_answer() -> None:
    electorate, bully = asked(3)
    bully.on_message(1, ElectionAnswer(after_term=0, attempt=0, reason=VacancyReason.CRASHED, rank=1))
    assert electorate.answers() == []
    bully.on_timer()
    assert electorate.answers() == [3]
