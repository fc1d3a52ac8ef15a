"""Every setting, its unit, its bounds and its default, in one place; and the presets that differ only in these.

Settings are frozen once made. A value out of bounds is a `SettingsError` before anything has been started.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from peers.core.names import ITEMS
from peers.errors import SettingsError

Probability = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0, le=3600)]


class MarketSettings(BaseModel):
    """What is traded, by whom, how much of it, and how often."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: tuple[str, ...] = ITEMS
    stock: Annotated[int, Field(ge=1, le=1_000_000)] = 10  # units in a deposit
    price_min: Annotated[int, Field(ge=1, le=1000)] = 5
    price_max: Annotated[int, Field(ge=1, le=1000)] = 10
    quantity_max: Annotated[int, Field(ge=1, le=1000)] = 1  # units in a purchase, drawn from 1 to this
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
    def _prices_in_order(self) -> MarketSettings:
        if self.price_min > self.price_max:
            raise ValueError("price_min must not exceed price_max")
        return self


class TimingSettings(BaseModel):
    """How fast the peers beat, suspect and vote. Safety depends on none of these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    beat_s: Seconds = 0.25  # one beat an edge
    suspect_s: Seconds = 1.0  # silence on a link after which its other end counts as gone
    election_s: Seconds = 0.15  # wait for a higher rank to answer, or for the winner to announce itself
    clock_gap_s: Seconds = 0.25  # a link carries clock news at most so often (beats carry it anyway)
    retry_s: Seconds = 0.1  # a customer's first wait before it asks again; doubles
    retry_max_s: Seconds = 1.0
    call_timeout_s: Seconds = 2.0  # for one remote call
    queue_after_s: Annotated[float, Field(ge=0, le=60)] = 0.01  # a request that has to wait for longer is queued
    gather_s: Annotated[float, Field(ge=0, le=1)] = 0.002  # a commit waits so long for who came last time; 0: never
    max_batch: Annotated[int, Field(ge=1, le=10_000)] = 256  # decisions in one commit


class Settings(BaseModel):
    """All of a town's settings; sent to every peer as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Literal["lamport"] = "lamport"
    clock: Literal["lamport", "vector"] = "lamport"
    election: Literal["bully"] = "bully"
    market: MarketSettings = MarketSettings()
    timing: TimingSettings = TimingSettings()


def make_settings(values: dict[str, object]) -> Settings:
    """Checks nested `values` ({"market": {"stock": 10}, …}); raises SettingsError naming each bad field."""
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"settings: {faults}") from error
