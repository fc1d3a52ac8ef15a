"""Every setting, its unit, its bounds and its default, in one place.

Settings are frozen once made. A value out of bounds, or two that contradict each other, are a `SettingsError` before
anything has been started.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from peers.core.market.limits import MAX_PRICE, MAX_QUANTITY
from peers.core.names import ITEMS
from peers.errors import SettingsError

Probability = Annotated[float, Field(ge=0, le=1)]
_NEVER_S = 3600.0
"""The longest time that a setting may say, in seconds; it stands for never."""

Seconds = Annotated[float, Field(gt=0, le=_NEVER_S)]
Price = Annotated[int, Field(ge=1, le=int(MAX_PRICE))]
"""The price of one unit, without cents."""

_HEARTBEATS_IN_SUSPICION = 2
"""A neighbour is not to be suspected for one heartbeat that is late, or is lost together with its connection."""

_GATHERINGS_IN_CALL = 2
"""A commit may wait for other requests no longer than half the time that its callers wait for their answers."""


class MarketSettings(BaseModel):
    """What is traded, by whom, how much of it, and how often."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: Annotated[tuple[str, ...], Field(min_length=1)] = ITEMS
    # A seller deposits so many units at a time.
    stock: Annotated[int, Field(ge=1, le=MAX_QUANTITY)] = 10
    # A seller draws the price of each deposit from the range that these two bound, both included.
    price_min: Price = 5
    price_max: Price = 10
    # A buyer draws the units of each purchase from 1 to this number.
    quantity_max: Annotated[int, Field(ge=1, le=MAX_QUANTITY)] = 1
    # This share of a sale's amount is the trader's; the seller earns the rest.
    commission_rate: Annotated[Decimal, Field(ge=0, le=1, decimal_places=4)] = Decimal("0.20")
    # A buyer waits for so long between an answer and its next purchase.
    think_s: Annotated[float, Field(ge=0, le=3600)] = 0.1
    # With this probability a buyer goes on after `think_s`; otherwise it waits for `period_s` first.
    buy_probability: Probability = 1.0
    # A buyer stops after so many purchases; 0 means never.
    max_purchases: Annotated[int, Field(ge=0)] = 0
    # Once in each period a seller may deposit more goods and the trader may resign, with these probabilities.
    period_s: Seconds = 10.0
    restock_probability: Probability = 0.3
    resign_probability: Probability = 0.0
    # A trader resigns after so many sales in one term; 0 means never.
    resign_after_sales: Annotated[int, Field(ge=0)] = 40
    # A trader that resigned takes no part in so many elections, beginning with the one for its successor.
    barred_elections: Annotated[int, Field(ge=0, le=1000)] = 1
    # Once in each period a seller loses, with this probability, some of the goods that it deposited and still holds.
    loss_probability: Probability = 0.0
    # Whether a seller that crashed and came back holds nothing of what it had deposited and not handed over.
    loss_after_crash: bool = False
    # A buyer sleeps for `slow_sleep_s` after each so many purchases; 0 means that it never sleeps.
    slow_after: Annotated[int, Field(ge=0)] = 0
    slow_sleep_s: Seconds = 30.0

    @model_validator(mode="after")
    def _fit_together(self) -> MarketSettings:
        if self.price_min > self.price_max:
            raise ValueError(
                f"price_min ({self.price_min}) must not exceed price_max ({self.price_max}), "
                "for prices are drawn from the one to the other"
            )
        if len(set(self.items)) < len(self.items) or not all(self.items):
            raise ValueError("items must have names, each of them once, for what is traded is known by its name only")
        return self


class TimingSettings(BaseModel):
    """How fast the peers heartbeat, suspect and vote. Safety depends on none of these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Each edge of the graph carries one heartbeat, and the answer to it, in each interval.
    heartbeat_interval_s: Seconds = 0.25
    # A neighbour counts as gone once its link has been silent for so long.
    suspect_s: Seconds = 1.0
    # In an election a peer waits for so long for a higher rank to answer, or for the winner to announce itself.
    election_s: Seconds = 0.15
    # A link carries clock news at most once in so long; heartbeats carry the clock besides.
    clock_gap_s: Seconds = 0.25
    # A customer waits for so long before it asks again; the wait doubles each time, up to `retry_max_s`.
    retry_s: Seconds = 0.1
    retry_max_s: Seconds = 1.0
    # A remote call that has no answer after so long has failed.
    call_timeout_s: Seconds = 2.0
    # A request that waits for longer is queued in the log, where a successor of the trader finds it.
    queue_after_s: Annotated[float, Field(ge=0, le=60)] = 0.01
    # An entry waits at most so long for as many requests as came last time; 0 means that no entry waits.
    group_commit_delay_s: Annotated[float, Field(ge=0, le=1)] = 0.002
    # A trader, or a candidate, that has not reached the books for so long gives way to one who does.
    ledger_patience_s: Seconds = 1.0
    # One entry of the log holds at most so many decisions.
    max_batch: Annotated[int, Field(ge=1, le=10_000)] = 256
    # A request that finds so many requests and deposits waiting at the trader is told to come later.
    max_pending: Annotated[int, Field(ge=1, le=1_000_000)] = 2000

    @model_validator(mode="after")
    def _fit_together(self) -> TimingSettings:
        # With both as long as can be, no heartbeat is sent and nobody is suspected: some tests need that.
        is_timeless = self.heartbeat_interval_s == self.suspect_s == _NEVER_S
        if self.suspect_s < _HEARTBEATS_IN_SUSPICION * self.heartbeat_interval_s and not is_timeless:
            raise ValueError(
                f"suspect_s ({self.suspect_s:g}) must be at least {_HEARTBEATS_IN_SUSPICION} times "
                f"heartbeat_interval_s ({self.heartbeat_interval_s:g}), "
                "or neighbours that are well are taken for gone between two beats"
            )
        if self.retry_max_s < self.retry_s:
            raise ValueError(
                f"retry_max_s ({self.retry_max_s:g}) must not be less than retry_s ({self.retry_s:g}), "
                "for waits grow from the one to the other"
            )
        if self.call_timeout_s < _GATHERINGS_IN_CALL * self.group_commit_delay_s:
            raise ValueError(
                f"call_timeout_s ({self.call_timeout_s:g}) must be at least {_GATHERINGS_IN_CALL} times "
                f"group_commit_delay_s ({self.group_commit_delay_s:g}), "
                "or callers give up while their commit still waits for others"
            )
        return self


LEAST_KEPT = 1000
"""The fewest entries to keep whole behind the books: a slow reader begins at books of some moments ago."""


class LedgerSettings(BaseModel):
    """How much of the log is kept. What a cut entry said is in the books; its place and its ids are kept for good."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # So many of the last entries are kept whole behind the books; 0 means that all are.
    keep_entries: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0

    @model_validator(mode="after")
    def _enough_for_readers(self) -> LedgerSettings:
        if 0 < self.keep_entries < LEAST_KEPT:
            raise ValueError(f"keep_entries must be 0, which keeps all, or at least {LEAST_KEPT}")
        return self


class Settings(BaseModel):
    """All of a town's settings; sent to every peer as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clock: Literal["lamport", "vector"] = "lamport"
    market: MarketSettings = MarketSettings()
    timing: TimingSettings = TimingSettings()
    ledger: LedgerSettings = LedgerSettings()


def make_settings(values: dict[str, object]) -> Settings:
    """Checks nested `values` ({"market": {"stock": 10}, …}); raises SettingsError naming each bad field, or fields
    that contradict each other and why."""
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(p) for p in e['loc'])}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()
        )
        raise SettingsError(f"settings: {faults}") from error
