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
Seconds = Annotated[float, Field(gt=0, le=_NEVER_S)]
Price = Annotated[int, Field(ge=1, le=int(MAX_PRICE))]  # of a unit, in whole amounts

_HEARTBEATS_IN_SUSPICION = 2
"""A neighbour is not to be suspected for one heartbeat that is late, or is lost together with its connection."""

_GATHERINGS_IN_CALL = 2
"""A commit may wait for others for half as long as its callers wait for their answers, no longer."""


class MarketSettings(BaseModel):
    """What is traded, by whom, how much of it, and how often."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: Annotated[tuple[str, ...], Field(min_length=1)] = ITEMS
    stock: Annotated[int, Field(ge=1, le=MAX_QUANTITY)] = 10  # units in a deposit
    price_min: Price = 5
    price_max: Price = 10
    quantity_max: Annotated[int, Field(ge=1, le=MAX_QUANTITY)] = 1  # units in a purchase, drawn from 1 to this
    commission_rate: Annotated[Decimal, Field(ge=0, le=1, decimal_places=4)] = Decimal("0.20")
    think_s: Annotated[float, Field(ge=0, le=3600)] = 0.1  # between an answer and the next purchase
    buy_probability: Probability = 1.0  # of going on after a purchase
    max_purchases: Annotated[int, Field(ge=0)] = 0  # a buyer stops after so many; 0: never
    period_s: Seconds = 10.0  # of the chances below
    restock_probability: Probability = 0.3
    resign_probability: Probability = 0.0
    resign_after_sales: Annotated[int, Field(ge=0)] = 40  # 0: never
    barred_elections: Annotated[int, Field(ge=0, le=1000)] = 1  # which one who resigned takes no part in
    slow_after: Annotated[int, Field(ge=0)] = 0  # purchases after which a slow peer sleeps; 0: no slow peer
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

    heartbeat_interval_s: Seconds = 0.25  # one heartbeat an edge
    suspect_s: Seconds = 1.0  # silence on a link after which its other end counts as gone
    election_s: Seconds = 0.15  # wait for a higher rank to answer, or for the winner to announce itself
    clock_gap_s: Seconds = 0.25  # a link carries clock news at most so often (beats carry it anyway)
    retry_s: Seconds = 0.1  # a customer's first wait before it asks again; doubles
    retry_max_s: Seconds = 1.0
    call_timeout_s: Seconds = 2.0  # for one remote call
    queue_after_s: Annotated[float, Field(ge=0, le=60)] = 0.01  # a request that has to wait for longer is queued
    group_commit_delay_s: Annotated[float, Field(ge=0, le=1)] = (
        0.002  # an entry waits so long for who came last time; 0: never
    )
    max_batch: Annotated[int, Field(ge=1, le=10_000)] = 256  # decisions in one entry of the log
    max_pending: Annotated[int, Field(ge=1, le=1_000_000)] = 2000  # requests that wait; more are told to come later

    @model_validator(mode="after")
    def _fit_together(self) -> TimingSettings:
        # Both as long as can be: neighbours neither beat nor are suspected, as some proofs want it.
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
"""Entries kept whole behind the books, if not all are: a slow reader begins at books of some moments ago."""


class LedgerSettings(BaseModel):
    """How much of the log is kept. What a cut entry said is in the books; its place and its ids are kept for good."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep_entries: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0  # entries kept whole behind the books; 0: all

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
