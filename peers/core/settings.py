"""Every setting, its unit, its bounds and its default, in one place.

Settings are frozen once made. A value out of bounds, or two that contradict each other, are a `SettingsError` before
anything has been started.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from peers.core.bounds import MAX_BARRED
from peers.core.market.limits import MAX_NAME_LENGTH, MAX_PRICE, MAX_QUANTITY
from peers.core.names import ITEMS, GraphKind, WriteLevel
from peers.errors import SettingsError

Probability = Annotated[float, Field(ge=0, le=1)]
_NEVER_S = 3600.0
"""The longest time that a setting may say, in seconds; it stands for never."""

Seconds = Annotated[float, Field(gt=0, le=_NEVER_S)]
Price = Annotated[int, Field(ge=1, le=int(MAX_PRICE))]
"""The price of one unit, without cents."""

Item = Annotated[str, Field(max_length=MAX_NAME_LENGTH)]
"""What one thing that is traded is called."""

MOST_ITEMS = 100
"""No more are traded in a market, for every peer is told of all of them when it starts."""

_HEARTBEATS_IN_SUSPICION = 2
"""A neighbour is not to be suspected for one heartbeat that is late, or is lost together with its connection."""

_GATHERINGS_IN_CALL = 2
"""A commit may wait for other requests no longer than half the time that its callers wait for their answers."""


class MarketSettings(BaseModel):
    """What is traded, by whom, how much of it, and how often."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    items: Annotated[tuple[Item, ...], Field(min_length=1, max_length=MOST_ITEMS)] = ITEMS
    """What is traded: 100 names at most, of up to 64 characters each."""
    stock: Annotated[int, Field(ge=1, le=MAX_QUANTITY)] = 10
    """A seller deposits so many units at a time."""
    stock_min: Annotated[int, Field(ge=0, le=MAX_QUANTITY)] = 0
    """Where above 0, a seller draws the units of each deposit from this number to `stock`."""
    price_min: Price = 5
    """A seller draws the price of each deposit, in whole units of money, from this number …"""
    price_max: Price = 10
    """… to this one."""
    quantity_max: Annotated[int, Field(ge=1, le=MAX_QUANTITY)] = 1
    """A buyer draws the units of each purchase from 1 to this number."""
    commission_rate: Annotated[Decimal, Field(ge=0, le=1, decimal_places=4)] = Decimal("0.20")
    """This share of a sale's amount is the trader's; the seller earns the rest."""
    think_s: Annotated[float, Field(ge=0, le=3600)] = 0.1
    """A buyer waits for so long between an answer and its next purchase."""
    buy_probability: Probability = 1.0
    """With this probability a buyer goes on after `think_s`; otherwise it waits for `period_s` first."""
    max_purchases: Annotated[int, Field(ge=0)] = 0
    """A buyer stops after so many purchases; 0 means never."""
    period_s: Seconds = 10.0
    """The length of the period in which each thing that is left to chance may happen once."""
    restock_probability: Probability = 0.3
    """In each period a seller deposits more goods with this probability."""
    resign_probability: Probability = 0.0
    """In each period the trader resigns with this probability."""
    crash_probability: Probability = 0.0
    """In each period the trader crashes with this probability: its process kills itself."""
    return_after_s: Annotated[float, Field(ge=0, le=_NEVER_S)] = 0.0
    """A peer whose process died is started again after so long, as what it was; 0 means that it stays away."""
    resign_after_sales: Annotated[int, Field(ge=0)] = 40
    """A trader resigns after so many sales in one term; 0 means never."""
    barred_elections: Annotated[int, Field(ge=0, le=MAX_BARRED)] = 1
    """A trader that resigned takes no part in so many elections, beginning with the one for its successor."""
    return_probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    """After `barred_elections` it stands at each election with this probability, and sits out one more otherwise."""
    demotion: Literal["own", "drawn"] = "own"
    """What a trader out of office goes back to: its own role, or buyer or seller as the lot falls."""
    first_trader: Literal["elected", "lowest"] = "elected"
    """Who is trader first: whoever wins an election, or the lowest rank without one."""
    loss_probability: Probability = 0.0
    """In each period a seller loses some of what it deposited and still holds, with this probability."""
    loss_after_crash: bool = False
    """Whether a seller that crashed and came back holds nothing of what it had deposited and not handed over."""
    one_stock: bool = False
    """Whether the areas of a town share one stock, in one log; otherwise each has books of its own."""
    cache: Literal["none", "write-through", "push", "ttl", "lease"] = "none"
    """What traders that share a warehouse keep of its stock at hand, out of which they promise and refuse at once."""
    cache_ttl_s: Seconds = 1.0
    """What a cache `ttl` has read counts for so long; a cache `lease` gives back what nobody wants for so long."""
    cache_lease: Annotated[int, Field(ge=1, le=MAX_QUANTITY)] = 6
    """A cache `lease` has so many units of each item set aside for it in the log, as far as there are."""
    slow_after: Annotated[int, Field(ge=0)] = 0
    """A buyer sleeps for `slow_sleep_s` after each so many purchases; 0 means that it never sleeps."""
    slow_sleep_s: Seconds = 30.0
    """How long it sleeps then."""

    @model_validator(mode="after")
    def _fit_together(self) -> MarketSettings:
        if self.price_min > self.price_max:
            raise ValueError(
                f"price_min ({self.price_min}) must not exceed price_max ({self.price_max}), "
                "for prices are drawn from the one to the other"
            )
        if self.stock_min > self.stock:
            raise ValueError(f"stock_min ({self.stock_min}) must not exceed stock ({self.stock})")
        if len(set(self.items)) < len(self.items) or not all(self.items):
            raise ValueError("items must have names, each of them once, for what is traded is known by its name only")
        return self


class TimingSettings(BaseModel):
    """How fast the peers heartbeat, suspect and vote. Safety depends on none of these."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    heartbeat_interval_s: Seconds = 0.25
    """Each edge of the graph carries one heartbeat, and the answer to it, in each interval."""
    suspect_s: Seconds = 1.0
    """A neighbour counts as gone once its link has been silent for so long."""
    election_s: Seconds = 0.15
    """In an election a peer waits for so long for a higher rank to answer, or for the winner to announce itself."""
    clock_gap_s: Seconds = 0.25
    """A link carries clock news at most once in so long; heartbeats carry the clock besides."""
    retry_s: Seconds = 0.1
    """A customer waits for so long before it asks again; the wait doubles each time, up to `retry_max_s`."""
    retry_max_s: Seconds = 1.0
    """The longest wait of a customer before it asks again."""
    call_timeout_s: Seconds = 2.0
    """A remote call without an answer after so long has failed; a large one has a second more for each 2 kB."""
    queue_after_s: Annotated[float, Field(ge=0, le=60)] = 0.01
    """A request that waits for longer is queued in the log, where a successor of the trader finds it."""
    group_commit_delay_s: Annotated[float, Field(ge=0, le=1)] = 0.002
    """An entry waits at most so long for as many requests as came last time; 0 means that no entry waits."""
    ledger_patience_s: Seconds = 1.0
    """A trader, or a candidate, that has not reached the books for so long gives way to one who does."""
    books_near_s: Seconds = 0.005
    """A peer stands behind those whose way to the books and back is shorter than its own by more than this."""
    max_batch: Annotated[int, Field(ge=1, le=10_000)] = 256
    """One entry of the log holds at most so many decisions, and some 2000 at the very most."""
    max_pending: Annotated[int, Field(ge=1, le=1_000_000)] = 2000
    """A request that finds so many requests and deposits waiting at the trader is told to come later, and so
    is a deposit that finds so many deposits."""

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


LEAST_STALENESS_S = 0.1
"""The tightest bound on what a search may miss: to find out how far the log goes takes long as well."""


class LedgerSettings(BaseModel):
    """How durable a purchase is before it is told, where searches read, and how much of the log is kept.

    What a cut entry said is in the books; its place and its ids are kept for good."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    keep_entries: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    """So many of the last entries are kept whole behind the books; 0 means that all are."""
    write_level: WriteLevel = "majority"
    """So many members have a sale on disk before it is told; fewer than a majority, and a fail-over may lose it."""
    read_preference: Literal["primary", "nearest"] = "primary"
    """Whether only the trader answers a search, or any peer that is asked, from the nearest member."""
    max_staleness_s: Annotated[float, Field(ge=0, le=_NEVER_S)] = 0.5
    """A search misses nothing that was told earlier than this before it was asked for; 0 means nothing at all."""

    @model_validator(mode="after")
    def _enough_for_readers(self) -> LedgerSettings:
        if 0 < self.keep_entries < LEAST_KEPT:
            raise ValueError(f"keep_entries must be 0, which keeps all, or at least {LEAST_KEPT}")
        return self

    @model_validator(mode="after")
    def _bounded_where_it_is_stale(self) -> LedgerSettings:
        if self.read_preference == "nearest" and self.max_staleness_s < LEAST_STALENESS_S:
            raise ValueError(
                f"read_preference nearest needs max_staleness_s of {LEAST_STALENESS_S:g} or more "
                f"({self.max_staleness_s:g}): it says how much a search may miss"
            )
        return self


class Settings(BaseModel):
    """All of a town's settings; sent to every peer as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    clock: Literal["lamport", "vector"] = "lamport"
    """What requests are ordered by; only vectors tell what is concurrent."""
    graph: GraphKind = "random"
    """How peers are linked: at random, with three neighbours at most, each with all others, or in a ring by rank."""
    election: Literal["bully", "ring", "echo", "lease"] = "bully"
    """How a trader is found; `bazaar run --help` says what each does."""
    market: MarketSettings = MarketSettings()
    """What is traded, by whom, how much of it, and how often."""
    timing: TimingSettings = TimingSettings()
    """How fast the peers heartbeat, suspect and vote."""
    ledger: LedgerSettings = LedgerSettings()
    """How durable a purchase is before it is told, where searches read, and how much of the log is kept."""

    @model_validator(mode="after")
    def _fit_together(self) -> Settings:
        if self.market.one_stock and self.ledger.write_level != "majority":
            raise ValueError(
                f"write_level ({self.ledger.write_level}) must be majority where areas have one_stock, "
                "for what one trader was told has to be there for the other"
            )
        return self


def changed(values: Mapping[str, object], changes: Iterable[str]) -> dict[str, object]:
    """Returns nested `values`, as for `make_settings`, with changes such as `market.stock=20`; they themselves stay.

    A comma makes a list; numbers stay text, for the settings turn them into exactly what each field needs. Raises
    SettingsError for a change that is none, or that makes a group of a value."""
    result = {name: dict(value) if isinstance(value, dict) else value for name, value in values.items()}
    for change in changes:
        path, equals, text = change.partition("=")
        *groups, last = path.split(".")
        if not equals or not last:
            raise SettingsError(f"--set {change}: expected part.name=value, such as market.stock=20")
        place = result
        for group in groups:
            inner = place.setdefault(group, {})
            if not isinstance(inner, dict):
                raise SettingsError(f"--set {change}: {group} is a value, not a group of settings")
            place = inner
        place[last] = [entry for entry in text.split(",") if entry] if "," in text else text
    return result


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
