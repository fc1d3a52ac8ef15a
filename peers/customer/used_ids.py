"""What an id stands for that the trader refuses, as it was used before.

Whoever chose an id, was killed, and asks with it again in another life does not know the time that it asked with
first. With another time it is another request to the trader, which refuses it. But what is recorded under an id can
be looked for by the id alone.
"""

from __future__ import annotations

from collections.abc import Callable

from peers.core.bounds import MAX_TIME
from peers.customer.account import Ask
from peers.customer.errors import CircuitOpen, NoAnswer, RefusedLater
from peers.customer.record import AskedFor
from peers.errors import BadRequest, NotAllowed
from peers.rpc.forms.public_form import Document, deposit_dict
from peers.rpc.wire import unpack_standing


def is_used(asked: AskedFor, refusal: BadRequest) -> bool:
    """Whether a request was refused because its id stands for something already."""
    return refusal.field == asked.id_field and not isinstance(refusal, NotAllowed)


def recorded_under(asked: AskedFor, refusal: BadRequest, look: Callable[[], Document | None]) -> Document:
    """Returns what is recorded under the id of a request that was refused because of it, where that is the same but
    for its time; `look` gives what is recorded. Raises the refusal if it is another request, RefusedLater if that
    cannot be found out."""
    try:
        found = look()
    except NotAllowed:  # It is somebody else's.
        raise refusal from None
    except (NoAnswer, CircuitOpen) as error:
        raise RefusedLater(asked.method, refusal) from error
    if found is None:
        raise RefusedLater(asked.method, refusal) from refusal
    if any(found.get(field) != given for field, given in asked.argument.items() if field != "clock"):
        raise refusal
    return found


def held_deposit(asked: AskedFor, ask: Ask) -> Document | None:
    """Returns the deposit of that id as it is recorded. None if it is not the seller's, or nothing is left in it, or
    whoever asks is a client, who may not ask for that."""
    try:
        held = unpack_standing(ask("standing", asked.argument["seller"], MAX_TIME)).deposits
    except NotAllowed:
        return None
    return next((deposit_dict(each) for each in held if each.offer.deposit_id == asked.id), None)
