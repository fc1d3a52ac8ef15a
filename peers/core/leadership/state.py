"""What a peer is to the post of trader: one value, one table of what may follow on what, and the only writer of it.

The table is the whole of it: what it does not list raises `IllegalTransition`. The README's diagram is drawn from it
(`bazaar states`), and the simulator counts which of its rows a run has come through.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from peers.core.leadership.reasons import VacancyReason
from peers.core.state_machine import IllegalTransition, StateMachine, Table, Transition, make_table


class LeadershipState(Enum):
    """What this peer is. The value is the word for it; people read it in diagrams and logs."""

    JOINING = "joining"
    """It has not been told yet who holds the post."""
    FOLLOWER = "follower"
    """Somebody else holds the post."""
    ELECTING = "electing"
    """The post is vacant, and this peer takes part in filling it."""
    CANDIDATE = "candidate"
    """It was nominated, and bids for the post: the log decides."""
    TRADER = "trader"
    """It is in office."""
    LEAVING = "leaving"
    """It is in office still, takes nothing more in, and ends what is under way."""
    GONE = "gone"
    """It has left the market."""


class LeadershipEvent(Enum):
    """What makes a peer something else. The value labels the arrow in the diagram."""

    TRADER_KNOWN = "hears who is trader"
    POST_VACANT = "the post is vacant"
    NOMINATED = "nominated"
    BID_WON = "its entry stands"
    BID_LOST = "another was faster"
    BID_WITHDRAWN = "does not reach the books"
    TOLD_TO_LEAVE = "resigns or leaves"
    REFUTED = "shows that it is at work"
    VOTED_OUT = "others take it for gone"
    TERM_OVER = "its term ends"
    DEPOSED = "a later term stands"
    DEPARTED = "leaves the market"


_S, _E = LeadershipState, LeadershipEvent

TRANSITIONS: Table[LeadershipState, LeadershipEvent] = make_table(
    {
        _S.JOINING: {_E.TRADER_KNOWN: _S.FOLLOWER, _E.POST_VACANT: _S.ELECTING},
        _S.FOLLOWER: {_E.TRADER_KNOWN: _S.FOLLOWER, _E.POST_VACANT: _S.ELECTING, _E.DEPARTED: _S.GONE},
        _S.ELECTING: {
            _E.TRADER_KNOWN: _S.FOLLOWER,
            _E.POST_VACANT: _S.ELECTING,
            _E.NOMINATED: _S.CANDIDATE,
            _E.DEPARTED: _S.GONE,
        },
        _S.CANDIDATE: {
            _E.BID_WON: _S.TRADER,
            _E.BID_LOST: _S.ELECTING,
            _E.BID_WITHDRAWN: _S.ELECTING,
            _E.TRADER_KNOWN: _S.FOLLOWER,
            # The vacancy is that after a later term; the bid under way finds that out by itself.
            _E.POST_VACANT: _S.CANDIDATE,
            _E.DEPARTED: _S.GONE,
        },
        _S.TRADER: {
            _E.TOLD_TO_LEAVE: _S.LEAVING,
            _E.REFUTED: _S.TRADER,
            _E.VOTED_OUT: _S.LEAVING,
            # A trader that cannot go on gives the post back without leaving first.
            _E.TERM_OVER: _S.ELECTING,
            _E.DEPOSED: _S.ELECTING,
        },
        _S.LEAVING: {_E.VOTED_OUT: _S.LEAVING, _E.TERM_OVER: _S.ELECTING, _E.DEPOSED: _S.ELECTING},
    }
)
"""All that may happen. A peer that is gone stays gone."""

LeadershipTransition = Transition[LeadershipState, LeadershipEvent]


class LeadershipView(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer believes of the post. Views are ordered as records of members are (see `Member`): a later term is
    newer, within a term a later incarnation of its trader, and within that *vacant* is.

    `trader` is the rank of who holds (or held) the post of `term`, None where that is not known; `incarnation` is
    the one in which it took office, or in which it refuted last that it was gone: a later one of the same peer does
    not hold it. `reason` says why it is vacant.
    """

    term: int = 0
    trader: int | None = None
    incarnation: int = 0
    vacant: bool = True
    reason: VacancyReason | None = VacancyReason.START

    def vacated(self, reason: VacancyReason) -> LeadershipView:
        """Returns what follows when the trader of this view does not hold the post any more."""
        return msgspec.structs.replace(self, vacant=True, reason=reason)

    def is_same_vacancy(self, other: LeadershipView) -> bool:
        return self.vacant and other.vacant and self.term == other.term

    def is_newer_than(self, other: LeadershipView) -> bool:
        return (self.term, self.incarnation, self.vacant) > (other.term, other.incarnation, other.vacant)


class LeadershipMachine:
    """What one peer is, and what it believes of the post; both change here and nowhere else."""

    def __init__(self) -> None:
        self._machine = StateMachine(TRANSITIONS, LeadershipState.JOINING)
        self._view = LeadershipView()
        self._leaving_for: VacancyReason | None = None
        # The transitions since `take_transitions` was called last.
        self._taken: list[LeadershipTransition] = []

    @property
    def state(self) -> LeadershipState:
        return self._machine.state

    @property
    def view(self) -> LeadershipView:
        return self._view

    @property
    def in_office(self) -> bool:
        # It is asked with every input, and to look up an enum's member in a set takes ten times as long.
        state = self._machine.state
        return state is LeadershipState.TRADER or state is LeadershipState.LEAVING

    @property
    def may_depart(self) -> bool:
        """Whether this peer may leave the market now."""
        return self._machine.allows(LeadershipEvent.DEPARTED)

    @property
    def leaving_for(self) -> VacancyReason | None:
        """Why this peer is leaving office, None unless it is."""
        return self._leaving_for

    def take_transitions(self) -> list[LeadershipTransition]:
        """Returns what was gone through since the last time, in order."""
        taken = self._taken
        if taken:
            self._taken = []
        return taken

    def follow(self, view: LeadershipView) -> None:
        """Somebody else holds the post. Raises IllegalTransition for a view that is not newer, or while in office."""
        self._see(view, self._become(LeadershipEvent.TRADER_KNOWN))

    def find_vacant(self, view: LeadershipView) -> None:
        """The post is vacant: voted out, if it is ours. Raises IllegalTransition for a view that is not newer."""
        if self.in_office:
            self._see(view, self._become(LeadershipEvent.VOTED_OUT))
            self._leaving_for = self._leaving_for or VacancyReason.SUSPECTED
        else:
            self._see(view, self._become(LeadershipEvent.POST_VACANT))

    def correct(self, view: LeadershipView) -> None:
        """The books say so, whatever this peer believed. Raises IllegalTransition while in office, or once gone."""
        self._become(LeadershipEvent.POST_VACANT if view.vacant else LeadershipEvent.TRADER_KNOWN)
        self._view = view

    def stand(self) -> None:
        """This peer bids for the post. Raises IllegalTransition unless the post is vacant and it does not already."""
        self._become(LeadershipEvent.NOMINATED)

    def lose_bid(self) -> None:
        """The log stands at another term. Raises IllegalTransition unless this peer was a candidate."""
        self._become(LeadershipEvent.BID_LOST)

    def withdraw_bid(self) -> None:
        """The log cannot be reached. Raises IllegalTransition unless this peer was a candidate."""
        self._become(LeadershipEvent.BID_WITHDRAWN)

    def take_office(self, view: LeadershipView) -> None:
        """The log has our office entry. Raises IllegalTransition unless this peer was a candidate."""
        self._see(view, self._become(LeadershipEvent.BID_WON))

    def refute(self, view: LeadershipView) -> None:
        """Others took this trader for gone, and it is at work. Raises IllegalTransition for a view that is not newer,
        or unless it is in office and stays."""
        self._see(view, self._become(LeadershipEvent.REFUTED))

    def leave_office(self, reason: VacancyReason) -> None:
        """Takes in nothing more; one who leaves already goes on. Raises IllegalTransition if not in office."""
        if self.state is not LeadershipState.LEAVING:
            self._become(LeadershipEvent.TOLD_TO_LEAVE)
            self._leaving_for = reason

    def end_term(self, reason: VacancyReason) -> None:
        """The post is given back. Raises IllegalTransition if not in office."""
        self._become(LeadershipEvent.TERM_OVER)
        self._give_up(reason)

    def be_deposed(self) -> None:
        """A later term stands in the log, or others say so. Raises IllegalTransition if not in office."""
        self._become(LeadershipEvent.DEPOSED)
        self._give_up(VacancyReason.DEPOSED)

    def depart(self) -> None:
        """The peer has left the market. Raises IllegalTransition while it is in office."""
        self._become(LeadershipEvent.DEPARTED)

    def _become(self, event: LeadershipEvent) -> LeadershipTransition:
        transition = self._machine.fire(event)
        self._taken.append(transition)
        return transition

    def _see(self, view: LeadershipView, transition: LeadershipTransition) -> None:
        is_first = transition.before is LeadershipState.JOINING
        if not (is_first or view.is_newer_than(self._view)):
            raise IllegalTransition(f"{view} does not follow on {self._view}")
        self._view = view

    def _give_up(self, reason: VacancyReason) -> None:
        view = self._view
        self._leaving_for = None
        self._view = view.vacated(reason)
