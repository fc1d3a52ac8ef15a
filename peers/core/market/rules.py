"""The market's one rule: who gets what, from whom, at what price. Pure decisions over goods at hand.

Requests are decided lowest sort key first; of the sellers that hold enough of the item, the one whose deposit has the
lowest sells. Nobody buys from itself, and the trader in office neither buys nor sells.
"""

from __future__ import annotations

from decimal import Decimal

from peers.core.market.money import split
from peers.core.market.records import Accepted, Outcome, Sale
from peers.core.market.stock import Draft

NOT_ON_OFFER = "nobody has enough of it"
BUYER_IN_OFFICE = "the trader in office buys nothing"


def decide(
    accepted: Accepted, goods: Draft, *, seq: int, term: int, trader: str, now_ms: int, commission_rate: Decimal
) -> Outcome:
    """Decides one request, taking what it sells out of `goods`. The caller brings requests lowest order first."""
    request = accepted.request
    in_office = request.buyer == trader
    source = None if in_office else goods.find(request.item, request.quantity, (request.buyer, trader))
    sale = None
    if source is not None:
        goods.take(source, request.quantity)
        amount = source.offer.price * request.quantity
        commission, earned = split(amount, commission_rate)
        sale = Sale(
            seller=source.offer.seller,
            deposit=source.offer.deposit_id,
            price=source.offer.price,
            amount=amount,
            commission=commission,
            earned=earned,
        )
    return Outcome(
        accepted=accepted,
        seq=seq,
        term=term,
        trader=trader,
        decided_at_ms=now_ms,
        sale=sale,
        reason=None if sale else BUYER_IN_OFFICE if in_office else NOT_ON_OFFER,
    )
