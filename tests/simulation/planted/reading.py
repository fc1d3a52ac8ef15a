"""Mistakes of those who answer customers that only look."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import msgspec

from peers.core.calls import AskOutcome, AsOf, Call, OnOffer, Search
from peers.core.commands import Respond
from peers.core.ledger.log import TradeEntry
from peers.core.ledger.post_state import PostState
from peers.core.trader import offered, stock_at_hand
from peers.core.trader.read_gate import Go, ReadGate
from peers.core.trader.reads import LedgerReads
from peers.core.trader.term import TraderTerm
from tests.simulation.planted.mistake import mistake


@mistake(3)
def search_shows_a_commit_under_way() -> Iterator[None]:
    on_call = TraderTerm.on_call

    def dirty(self: TraderTerm, call_id: int, call: Call) -> None:
        entry = None if self._committer.is_idle else self._committer.entry
        if not isinstance(call, Search) or not isinstance(entry, TradeEntry):
            on_call(self, call_id, call)
            return
        found = offered.on_offer(self._state, call.item, self._seat.area)
        new = tuple(each for each in entry.deposits if call.item in (None, each.offer.item))
        reply = msgspec.structs.replace(found, deposits=found.deposits + new)
        self._ctx.emit(Respond(call_id=call_id, reply=reply))

    with patch.object(TraderTerm, "on_call", dirty):
        yield


@mistake(4)
def who_was_frozen_answers_out_of_memory() -> Iterator[None]:
    def believes(_self: ReadGate, _since_s: float, go: Go) -> None:
        go(None)

    with patch.object(ReadGate, "let_through", believes):
        yield


@mistake(5)
def reads_go_back_when_the_trader_changes() -> Iterator[None]:
    def always(_self: AsOf, _since: AsOf, **_: Any) -> bool:
        return True

    with patch.object(AsOf, "reaches", always):
        yield


@mistake(47)
def outcome_is_not_known_after_it_was_told() -> Iterator[None]:
    def at_once(self: LedgerReads, call_id: int, call: AskOutcome) -> None:
        self._on_certain(call_id, call, None)

    with patch.object(LedgerReads, "outcome", at_once):
        yield


def _on_offer_with(change: Any) -> Any:
    real = offered.on_offer

    def wrong(state: PostState, item: str | None, area: str) -> OnOffer:
        found = real(state, item, area)
        return msgspec.structs.replace(found, deposits=change(state, item, found.deposits))

    return patch.object(stock_at_hand, "on_offer", wrong)


@mistake(1)
def a_row_has_a_wrong_quantity() -> Iterator[None]:
    def more(_state: PostState, _item: str | None, deposits: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(msgspec.structs.replace(each, remaining=each.offer.quantity) for each in deposits)

    with _on_offer_with(more):
        yield


@mistake(1)
def search_lists_what_the_trader_has_deposited() -> Iterator[None]:
    def all_of_it(state: PostState, item: str | None, _deposits: tuple[Any, ...]) -> tuple[Any, ...]:
        return state.stock.on_offer(item)

    with _on_offer_with(all_of_it):
        yield
