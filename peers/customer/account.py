"""What a customer has bought and sold, put together from what the books of its posts say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from peers.core.market.records import Outcome
from peers.customer.answers import Earnings
from peers.customer.record import Told
from peers.errors import NotAllowed
from peers.rpc.forms.public_form import Document, outcome_dict
from peers.rpc.wire import unpack_reversals, unpack_standing

_PAGE = 1000  # The trader gives so many sales, or reversals, in one answer.

Ask = Callable[..., Any]
"""Calls a method of a trader with these arguments; see `Customer.ask`."""


def purchases(told: Iterable[Told], name: str, asks: Mapping[str, Ask]) -> list[Document]:
    """Returns the outcomes that customer `name` was told, in their order, with what was taken back since according to
    the posts that `asks` ask, by area; each with its `area` where that has a name."""
    found = {each.outcome["request_id"]: each for each in told}
    outcomes = {request_id: each.outcome for request_id, each in found.items()}
    areas = {request_id: each.area for request_id, each in found.items()}
    for area, ask in asks.items():
        try:
            taken_back = [outcome_dict(reversal) for reversal in _reversals(ask, name)]
        except NotAllowed:  # A client may ask for each of its own only.
            ours = [request_id for request_id, of in areas.items() if of == area]
            taken_back = [outcome for outcome in (ask("outcome", each) for each in ours) if outcome is not None]
        for outcome in taken_back:
            if outcome["request_id"] in outcomes:
                outcomes[outcome["request_id"]] = outcome
    return [{**each, "area": areas[name]} if areas[name] else each for name, each in outcomes.items()]


def earnings(ask: Ask, name: str) -> Earnings:
    """Returns what customer `name` has sold and earned at a post, and what it still has on offer there."""
    sales: list[Outcome] = []
    while True:
        reply = unpack_standing(ask("standing", name, sales[-1].seq if sales else 0))
        sales += reply.sales
        if len(reply.sales) < _PAGE:
            break
    left: dict[str, int] = {}
    for each in reply.deposits:
        left[each.offer.item] = left.get(each.offer.item, 0) + each.remaining
    return _summed_up(sales, left)


def _reversals(ask: Ask, name: str) -> list[Outcome]:
    """Asks for all sales to or by a customer that were taken back."""
    found: list[Outcome] = []
    after = 0
    while True:
        reply = unpack_reversals(ask("reversals", name, after))
        found += reply.reversals
        after = reply.upto
        if len(reply.reversals) < _PAGE:
            return found


def _summed_up(sales: list[Outcome], left: dict[str, int]) -> Earnings:
    standing = [(each.request.quantity, each.sale) for each in sales if each.taken_back is None]
    money = [sale for _, sale in standing if sale is not None]
    zero = Earnings()
    return Earnings(
        sales=len(money),
        units=sum(quantity for quantity, _ in standing),
        paid=sum((sale.amount for sale in money), zero.paid),
        commission=sum((sale.commission for sale in money), zero.commission),
        earned=sum((sale.earned for sale in money), zero.earned),
        taken_back=len(sales) - len(money),
        left=left,
    )
