"""Who may trade, and who gets what, from whom, at what price. Pure decisions over goods at hand.

Requests are decided lowest sort key first; of the sellers that hold enough of the item, the one whose deposit has the
lowest sells. Nobody buys from itself, and the trader in office neither buys nor sells.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from peers.core.market.money import split
from peers.core.market.records import Accepted, Foretold, Outcome, Sale
from peers.core.market.stock import Draft
from peers.errors import BadRequest

NOT_ON_OFFER = "nobody has enough of it"
REFUSED_EARLY = "nobody seems to have enough of it"
BUYER_IN_OFFICE = "the trader in office buys nothing"


def may_trade(name: str, trader: str | None) -> bool:
    """Whether `name` may buy and sell while `trader` is in office (None: nobody is): the trader itself may not."""
    return name != trader


def excluded_sellers(buyer: str, traders: Iterable[str]) -> tuple[str, ...]:
    """Returns those who sell nothing to `buyer` while `traders` are in office."""
    return buyer, *traders


def require_may_deposit(seller: str, trader: str) -> None:
    """Raises BadRequest if `seller` may not deposit while `trader` is in office."""
    if not may_trade(seller, trader):
        raise BadRequest(field="seller", why=f"must not be the trader in office, who sells nothing, and {seller} is")


def decide(
    accepted: Accepted,
    goods: Draft,
    *,
    seq: int,
    term: int,
    trader: str,
    now_ms: int,
    commission_rate: Decimal,
    concurrent: bool | None = None,
    fellows: tuple[str, ...] = (),
    foretold: Foretold | None = None,
    pinned: str | None = None,
) -> Outcome:
    """Decides one request, taking what it sells out of `goods`. The caller brings requests lowest sort key first.

    It says whether one of those beside it is `concurrent` with it, who else is in office (`fellows`), and what the
    buyer was `foretold` out of a cache, which binds where it was a refusal. `pinned` is the deposit of which so much
    is leased for this promise."""
    request = accepted.request
    traders = (trader, *(fellow for fellow in fellows if fellow != trader))
    in_office = request.buyer in traders
    excluded = excluded_sellers(request.buyer, traders)
    refused = foretold == "refused"
    source = (
        None if in_office or refused else goods.find(request.item, request.quantity, excluded, pinned, accepted.area)
    )
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
        reason=None if sale else BUYER_IN_OFFICE if in_office else REFUSED_EARLY if refused else NOT_ON_OFFER,
        concurrent=concurrent,
        foretold=foretold,
    )
