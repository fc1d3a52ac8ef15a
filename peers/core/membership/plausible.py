"""What no honest peer says is not taken in: records, and views of the post, of a time that has not come yet.

An incarnation is the time of day at which a life began, plus one for each report of its end that it refuted. Whoever
is said to be gone, or to hold the post, in a later one refutes that with the next; so one may not be so high that
there is none above it which others would believe.
"""

from __future__ import annotations

import msgspec

from peers.core.inputs import Received
from peers.core.messages import Coordinator, ElectionMessage, Heartbeat, MemberNews, Vacancy

_WITH_INCARNATION = (Heartbeat, Coordinator, Vacancy, ElectionMessage)
"""Messages that name the incarnation of whom they speak of."""


def plausible(event: Received, highest_incarnation: int) -> Received | None:
    """Returns what of `event` an honest peer may have said, None if nothing is."""
    if event.incarnation > highest_incarnation:
        return None
    message = event.message
    if isinstance(message, MemberNews):
        members = tuple(m for m in message.members if m.incarnation <= highest_incarnation)
        if len(members) < len(message.members):
            return msgspec.structs.replace(event, message=msgspec.structs.replace(message, members=members))
    elif isinstance(message, _WITH_INCARNATION):
        return event if message.incarnation <= highest_incarnation else None
    return event
