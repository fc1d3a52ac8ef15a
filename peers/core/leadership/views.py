"""What the words of others, or of the books, make a peer believe of the post."""

from __future__ import annotations

from peers.core.leadership.reasons import VacancyReason
from peers.core.leadership.state import LeadershipView
from peers.core.membership.members import Member
from peers.core.messages import Coordinator, Heartbeat


def filled(term: int, trader: Member) -> LeadershipView:
    """Returns the view that this member holds the post for `term`."""
    return LeadershipView(term=term, trader=trader.rank, incarnation=trader.incarnation, vacant=False, reason=None)


def view_of(message: Coordinator | Heartbeat) -> LeadershipView:
    """Returns what a message says of the post.

    A heartbeat does not say why the post is vacant. So the trader may well be at work, for others than its sender:
    who bids has to look first.
    """
    vacant = message.trader is None
    return LeadershipView(
        term=message.term,
        trader=message.trader,
        incarnation=message.incarnation,
        vacant=vacant,
        reason=VacancyReason.SUSPECTED if vacant else None,
    )
