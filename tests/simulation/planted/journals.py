"""Mistakes of journals: what the witnesses of an audit would have to say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from peers.core import journal
from peers.core.market.records import Outcome
from peers.core.reports import Rejected
from tests.simulation.planted.mistake import mistake


@mistake(1, 2)
def journal_forgets_what_was_earned() -> Iterator[None]:
    """Sellers hear of their sales and do not write them down, so that an audit has one witness less."""
    with patch.object(journal, "Earned", Rejected):
        yield


@mistake(1, 2)
def journal_forgets_what_was_told() -> Iterator[None]:
    """Buyers do not write their outcomes down."""
    with patch.object(journal, "Answered", Rejected):
        yield


@mistake(1, 2)
def journal_says_another_price() -> Iterator[None]:
    """Money is written down without its cents."""

    def rough(amount: Any) -> str:
        return str(int(amount))

    with patch.object(journal, "money_text", rough):
        yield


@mistake(1, 2)
def journal_mixes_up_who_bought() -> Iterator[None]:
    """A seller's line names itself as the buyer."""
    sale = journal._sale

    def mixed_up(outcome: Outcome, earned: Any) -> Any:
        assert outcome.sale is not None
        return {**sale(outcome, earned), "buyer": outcome.sale.seller}

    with patch.object(journal, "_sale", mixed_up):
        yield
