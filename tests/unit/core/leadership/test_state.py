"""What a peer is to the post: the table allows what it lists and nothing else, and the view changes with it only."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from peers.core.leadership.reasons import VacancyReason
from peers.core.leadership.state import TRANSITIONS, LeadershipMachine, LeadershipView
from peers.core.leadership.state import LeadershipEvent as Event
from peers.core.leadership.state import LeadershipState as State
from peers.core.state_machine import IllegalTransition

Act = Callable[[LeadershipMachine], None]


def held(term: int, by: int = 1, *, incarnation: int = 0) -> LeadershipView:
    return LeadershipView(term=term, trader=by, incarnation=incarnation, vacant=False, reason=None)


def vacant(term: int, *, incarnation: int = 0) -> LeadershipView:
    return LeadershipView(term=term, incarnation=incarnation, reason=VacancyReason.CRASHED)


def next_term(machine: LeadershipMachine) -> int:
    return machine.view.term + 1


ACTS: dict[Event, Act] = {
    Event.TRADER_KNOWN: lambda m: m.follow(held(next_term(m))),
    Event.POST_VACANT: lambda m: m.find_vacant(vacant(next_term(m))),
    Event.VOTED_OUT: lambda m: m.find_vacant(vacant(next_term(m))),
    Event.NOMINATED: lambda m: m.stand(),
    Event.BID_WON: lambda m: m.take_office(held(next_term(m))),
    Event.BID_LOST: lambda m: m.lose_bid(),
    Event.BID_WITHDRAWN: lambda m: m.withdraw_bid(),
    Event.REFUTED: lambda m: m.refute(held(m.view.term, incarnation=m.view.incarnation + 1)),
    Event.TOLD_TO_LEAVE: lambda m: m.leave_office(VacancyReason.RESIGNED),
    Event.TERM_OVER: lambda m: m.end_term(VacancyReason.RESIGNED),
    Event.DEPOSED: lambda m: m.be_deposed(),
    Event.DEPARTED: lambda m: m.depart(),
}
"""The one method of the machine that each event has."""

WAYS: dict[State, tuple[Event, ...]] = {
    State.JOINING: (),
    State.FOLLOWER: (Event.TRADER_KNOWN,),
    State.ELECTING: (Event.POST_VACANT,),
    State.CANDIDATE: (Event.POST_VACANT, Event.NOMINATED),
    State.TRADER: (Event.POST_VACANT, Event.NOMINATED, Event.BID_WON),
    State.LEAVING: (Event.POST_VACANT, Event.NOMINATED, Event.BID_WON, Event.TOLD_TO_LEAVE),
    State.GONE: (Event.POST_VACANT, Event.DEPARTED),
}


def machine_that_is(state: State) -> LeadershipMachine:
    machine = LeadershipMachine()
    for event in WAYS[state]:
        ACTS[event](machine)
    assert machine.state is state
    machine.take_transitions()
    return machine


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_the_table_is_all_that_may_happen(state: State, event: Event) -> None:
    machine = machine_that_is(state)
    before = machine.view
    in_office = state in (State.TRADER, State.LEAVING)
    if (event is Event.POST_VACANT and in_office) or (event is Event.VOTED_OUT and not in_office):
        return  # Both events are one method: whose post is vacant makes it the one or the other.
    if event is Event.TOLD_TO_LEAVE and state is State.LEAVING:
        ACTS[event](machine)  # To be told twice is as good as once.
        assert not machine.take_transitions()
        return
    row = next((row for row in TRANSITIONS if (row.before, row.event) == (state, event)), None)
    if row is None:
        with pytest.raises(IllegalTransition, match=f"{event.name} cannot happen to what is {state.value}"):
            ACTS[event](machine)
        assert (machine.state, machine.view, machine.take_transitions()) == (state, before, [])
    else:
        ACTS[event](machine)
        assert machine.take_transitions() == [row]
        assert machine.state is row.after


@pytest.mark.parametrize("view", [held(3), vacant(2), held(2)])
def test_an_older_view_never_follows_on_a_newer(view: LeadershipView) -> None:
    machine = LeadershipMachine()
    machine.find_vacant(vacant(3))
    with pytest.raises(IllegalTransition, match="does not follow on"):
        machine.find_vacant(view) if view.vacant else machine.follow(view)
    assert machine.view == vacant(3)


def test_within_a_term_a_later_incarnation_is_newer_and_within_that_a_vacancy() -> None:
    views = [
        held(1),
        vacant(1),
        held(1, incarnation=1),
        vacant(1, incarnation=1),
        held(2),
        vacant(2),
    ]
    for older, view in enumerate(views):
        assert [other.is_newer_than(view) for other in views] == [i > older for i in range(len(views))]


def test_who_refutes_stays_in_office_and_one_who_leaves_does_not_refute() -> None:
    machine = machine_that_is(State.TRADER)
    machine.refute(held(machine.view.term, incarnation=5))
    assert machine.state is State.TRADER
    assert machine.view.incarnation == 5
    machine.leave_office(VacancyReason.RESIGNED)
    with pytest.raises(IllegalTransition):
        machine.refute(held(machine.view.term, incarnation=6))


def test_the_first_reason_for_leaving_stays() -> None:
    machine = machine_that_is(State.TRADER)
    machine.leave_office(VacancyReason.NEEDED)
    machine.leave_office(VacancyReason.LEFT)
    machine.find_vacant(vacant(next_term(machine)))
    assert machine.leaving_for is VacancyReason.NEEDED
    machine.end_term(VacancyReason.NEEDED)
    assert machine.view.reason is VacancyReason.NEEDED


def test_who_is_voted_out_ends_its_term_in_order() -> None:
    machine = machine_that_is(State.TRADER)
    machine.find_vacant(vacant(next_term(machine)))
    assert (machine.state.value, machine.leaving_for) == ("leaving", VacancyReason.SUSPECTED)
    assert machine.in_office
    assert not machine.may_depart


@pytest.mark.parametrize("reason", VacancyReason)
def test_every_reason_ends_a_sentence_about_the_last_trader(reason: VacancyReason) -> None:
    assert reason.sentence
    assert reason.sentence[0].islower()
    assert not reason.sentence.endswith(".")
