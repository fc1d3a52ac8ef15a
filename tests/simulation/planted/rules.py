"""Mistakes about the rules of the market and of the graph."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_DOWN
from typing import Any
from unittest.mock import patch

import msgspec

from peers.core.customers.retrying_call import RetryingCall
from peers.core.ledger.log import TradeEntry
from peers.core.ledger.post_state import PostState
from peers.core.market import rules
from peers.core.market.money import CENT
from peers.core.market.records import Post
from peers.core.market.runs import Run
from peers.core.market.stock import Draft, Stock
from peers.core.membership import graph_kinds
from peers.core.membership.gossip import Gossip
from peers.core.membership.knocking import Knocking
from peers.core.trader import drafting
from tests.simulation.planted.mistake import mistake


@mistake(1, 2)
def sells_more_than_there_is() -> Iterator[None]:
    """The trader looks only whether there is something."""
    find = Draft.find

    def find_any(self: Draft, item: str, _: int, excluded: tuple[str, ...], *leased: Any) -> Any:
        return find(self, item, 1, excluded, *leased)

    def take_what_is_there(self: Stock, deposit: Any, quantity: int) -> None:
        take(self, deposit, min(quantity, self._left[deposit.offer.deposit_id]))

    def draw(self: PostState, entry: TradeEntry, _: bool, touched: dict[str, None]) -> dict[str, Any]:
        for outcome in entry.outcomes:
            deposit = self.stock.get(outcome.sale.deposit) if outcome.sale is not None else None
            if deposit is not None:
                touched[deposit.offer.deposit_id] = None
                self.stock.take(deposit, outcome.request.quantity)
        return {}

    take = Stock.take
    with (
        patch.object(Draft, "find", find_any),
        patch.object(Stock, "take", take_what_is_there),
        patch.object(PostState, "_draw", draw),
    ):
        yield


@mistake(1, 2)
def buys_from_itself() -> Iterator[None]:
    find = Draft.find

    def find_any(self: Draft, item: str, quantity: int, excluded: tuple[str, ...], *leased: Any) -> Any:
        del excluded
        return find(self, item, quantity, (), *leased)

    with patch.object(Draft, "find", find_any):
        yield


@mistake(1, 2)
def buyer_in_office_buys() -> Iterator[None]:
    """What a peer asked for before it took office is sold to it in office."""
    decide = rules.decide

    def partial(accepted: Any, goods: Any, *, trader: str, **others: Any) -> Any:
        outcome = decide(accepted, goods, trader="nobody", **others)
        return msgspec.structs.replace(outcome, trader=trader)

    with patch.object(drafting, "decide", partial):
        yield


@mistake(1, 3)
def commission_rounded_down() -> Iterator[None]:
    def split(amount: Any, commission_rate: Any) -> Any:
        commission = (amount * commission_rate).quantize(CENT, rounding=ROUND_DOWN)
        return commission, amount - commission

    with patch.object(rules, "split", split):
        yield


@mistake(3, 4)
def highest_seller_sells() -> Iterator[None]:
    runs = Stock.runs

    def backwards(self: Stock, item: str) -> Any:
        return [Run(run.keys[::-1], run.most) for run in runs(self, item)[::-1]]

    with patch.object(Stock, "runs", backwards):
        yield


@mistake(2, 4)
def graph_not_healed() -> Iterator[None]:
    def crippled(edges: Any, up: Any) -> Any:
        ranks = set(up)
        kept = [(a, b) for a, b in edges if a in ranks and b in ranks]
        return {rank: tuple(sorted({a + b - rank for a, b in kept if rank in (a, b)})) for rank in sorted(ranks)}

    with patch.object(graph_kinds, "live_graph", crippled):
        yield


@mistake(6)
def nobody_knocks() -> Iterator[None]:
    """The halves of a split graph never find each other again: nobody asks those that count as gone, nor makes itself
    known to a trader that the books name, which mostly heals it first."""

    def nobody(_self: Knocking) -> list[int]:
        return []

    def to_nobody(_self: Gossip, _post: Post) -> None:
        pass

    with patch.object(Knocking, "due", nobody), patch.object(Gossip, "introduce", to_nobody):
        yield


@mistake(1, 22)
def gives_up_after_one_try() -> Iterator[None]:
    """A customer that hears nothing does not ask again."""
    on_reply = RetryingCall.on_reply

    def impatient(self: RetryingCall, reply: Any) -> Any:
        ended = on_reply(self, reply)
        if ended is None and self.call is not None:
            self._ctx.cancel_timer(self._timer)
        return ended

    with patch.object(RetryingCall, "on_reply", impatient):
        yield
