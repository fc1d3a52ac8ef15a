"""N customers at once against a running town, as a generator of load: closed loop, or open loop at a given rate.

In a closed loop each asks for the next thing when it has an answer, so a stall of the town shows in few latencies. In
an open loop a schedule says when each purchase is due, and latency counts from there, however late it was sent. The
customers are threads of one process: that is enough to keep a town on the same machine busy, and what they cost is in
the figures. What is sold out they bring themselves, and those deposits are not measured.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np

from peers.core.names import ITEMS
from peers.customer import CircuitOpen, Customer, NoAnswer
from peers.customer.breaker import CircuitBreaker
from peers.errors import BazaarError, SettingsError, TownError
from plots.measure.apparatus.schedule import arrivals, deal
from plots.results.latency import Values

MOST_CUSTOMERS = 1000
"""More threads than that measure themselves."""

_LOT = 100_000  # Units that one deposit brings: seconds of trade, so that bringing goods is rare.
_PRICE = "1.00"
_TICK_S = 0.1


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for. `rate`: purchases a second in all, None for a closed loop. `areas`: those that the customers
    are dealt out to, one after another, each with the directory of its journals, which the audit reads."""

    host: str
    port: int
    customers: int
    duration_s: float
    areas: dict[str, Path | None]
    rate: float | None = None
    patience_s: float = 30.0
    seed: int = 0

    def check(self) -> None:
        """Raises SettingsError for what cannot be."""
        if not 1 <= self.customers <= MOST_CUSTOMERS:
            raise SettingsError(f"--stress: from 1 to {MOST_CUSTOMERS} customers")
        if not 0 < self.duration_s < math.inf:
            raise SettingsError("--duration: more than 0 seconds")
        if not 0 < self.patience_s < math.inf:
            raise SettingsError("--patience: more than 0 seconds")
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise SettingsError("--rate: more than 0 purchases a second")


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. Latencies in ms, of what was answered; None where nothing was. `late`: how many purchases of
    an open loop were sent after the next one of the same customer was due already. `areas`: how many were answered in
    each, in a town with several posts."""

    loop: str
    interrupted: bool
    customers: int
    seed: int
    rate: float | None
    took_s: float
    answered: int
    sold: int
    unavailable: int
    refused: dict[str, int]
    errors: dict[str, int]
    asked_again: int
    per_s: float
    mean_ms: float | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    p999_ms: float | None = None
    max_ms: float | None = None
    late: int = 0
    areas: dict[str, int] = {}


class _Tally:
    """What one customer was told; only its own thread writes here, once that has begun. `ready`: it has made its
    connection, or cannot; `failed` counts what is in `errors`, for whoever looks while it goes on."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.failed = 0
        self.latencies_s: list[float] = []
        self.sold = 0
        self.unavailable = 0
        self.late = 0
        self.asked_again = 0
        self.refused: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()

    def fail(self, reason: str, count: int = 1) -> None:
        """Counts what had no answer."""
        self.errors[reason] += count
        self.failed += count


class Stress:
    """One run of load."""

    def __init__(self, load: Load) -> None:
        load.check()
        self._load = load
        self._tallies = [_Tally() for _ in range(load.customers)]
        self._enough = threading.Event()
        self._go = threading.Event()
        self._faults: list[Exception] = []
        # One for each post: that one does not answer holds up nobody who trades at another.
        self._breakers = {area: CircuitBreaker() for area in load.areas}
        self._supply = {area: threading.Lock() for area in load.areas}
        self._supplied: Counter[tuple[str, str]] = Counter()
        names = [*load.areas]
        self._areas = [names[number % len(names)] for number in range(load.customers)]
        self._start_s = 0.0
        self._end_s = math.inf
        self._run_id = f"{random.Random(load.seed).getrandbits(24):06x}{time.time_ns() % 100_000:05d}"

    def so_far(self) -> tuple[int, int]:
        """Returns how many purchases were answered up to now, and how many ended without an answer."""
        answered = sum(tally.sold + tally.unavailable for tally in self._tallies)
        return answered, sum(tally.failed for tally in self._tallies)

    def run(self, tick: Callable[[float], None]) -> Figures:
        """Runs it; `tick` is called about ten times a second with the seconds that have passed. Returns the figures.
        A customer that cannot begin is counted in them, and the others go on without it. A first Ctrl-C ends it
        early; a second, or one before all have begun, raises. TownError if the town does not answer at first."""
        load = self._load
        for area in dict.fromkeys(self._areas):
            with self._customer("hand", area) as hand:
                for item in ITEMS:
                    self._bring(hand, (area, item), 0)
        threads = self._started()
        for tally in self._tallies:
            tally.ready.wait()
        self._start_s = time.monotonic()
        self._end_s = self._start_s + load.duration_s
        self._go.set()
        is_interrupted = False
        while any(thread.is_alive() for thread in threads):
            try:
                time.sleep(_TICK_S)
                tick(min(time.monotonic() - self._start_s, load.duration_s))
            except KeyboardInterrupt:
                if is_interrupted:
                    raise
                is_interrupted = True
                self._enough.set()
        if self._faults:
            raise self._faults[0]
        return self._summed_up(time.monotonic() - self._start_s, is_interrupted)

    def _started(self) -> list[threading.Thread]:
        """Starts a thread for each customer, as far as the machine gives them."""
        schedules = self._schedules()
        threads: list[threading.Thread] = []
        for number, tally in enumerate(self._tallies):
            thread = threading.Thread(target=self._live, args=(number, next(schedules)), daemon=True)
            try:
                thread.start()
            except RuntimeError:
                tally.fail("customers that could not begin (this machine gives no more threads)")
                tally.ready.set()
            else:
                threads.append(thread)
        return threads

    def _schedules(self) -> Iterator[Values | None]:
        load = self._load
        if load.rate is None:
            yield from [None] * load.customers
        else:
            yield from deal(arrivals(load.rate, load.duration_s, load.seed), load.customers)

    def _customer(self, name: str, area: str) -> Customer:
        load = self._load
        return Customer(
            load.host,
            load.port,
            name=f"stress-{self._run_id}-{name}",
            patience_s=load.patience_s,
            directory=load.areas[area],
            area=area,
            breaker=self._breakers[area],
            rng=random.Random(f"{load.seed}/{name}"),
        )

    def _live(self, number: int, due_s: Values | None) -> None:
        """One customer's life. Whatever goes wrong in it, nobody waits for it in vain."""
        tally, area = self._tallies[number], self._areas[number]
        try:
            with self._customer(str(number), area) as customer:
                if self._begin(customer, tally):
                    self._trade(customer, number, due_s)
        except Exception as error:  # noqa: BLE001 - It is a fault of ours, raised where somebody can be told.
            self._faults.append(error)
            self._enough.set()
        finally:
            tally.ready.set()

    def _begin(self, customer: Customer, tally: _Tally) -> bool:
        """Waits for all others to have begun; returns whether this one has: its connection is made, and it knows the
        town's clock, before anything is measured."""
        try:
            customer.trader()
        except BazaarError as error:
            tally.fail(f"customers that could not begin ({_why(error)})")
            return False
        tally.ready.set()
        self._go.wait()
        return True

    def _trade(self, customer: Customer, number: int, due_s: Values | None) -> None:
        tally, area = self._tallies[number], self._areas[number]
        rng = random.Random(f"{self._load.seed}/{number}/items")
        for at_s in self._moments(due_s, tally):
            item = rng.choice(ITEMS)
            generation = self._supplied[area, item]
            began_s = time.monotonic()
            tally.late += due_s is not None and began_s - at_s > 0.001
            sold = self._buy(customer, item, tally)
            if sold is not None:
                tally.latencies_s.append(time.monotonic() - (began_s if due_s is None else at_s))
            if sold is False:
                self._restock(customer, (area, item), generation, tally)

    def _moments(self, due_s: Values | None, tally: _Tally) -> Iterator[float]:
        """Gives the moment at which each purchase is due, when it has come. What is still to be sent when the
        patience for the last one has ended is not sent any more."""
        if due_s is None:
            while (now_s := time.monotonic()) < self._end_s and not self._enough.is_set():
                yield now_s
            return
        for number, each_s in enumerate(due_s):
            at_s = self._start_s + float(each_s)
            now_s = time.monotonic()
            if now_s > self._end_s + self._load.patience_s:
                tally.fail("not sent in time", len(due_s) - number)
                return
            if self._enough.wait(at_s - now_s) if at_s > now_s else self._enough.is_set():
                return
            yield at_s

    @staticmethod
    def _buy(customer: Customer, item: str, tally: _Tally) -> bool | None:
        """Buys one; returns whether it was sold, None if there was no answer."""
        tries = customer.tries
        try:
            outcome = customer.buy(item)
        except (NoAnswer, CircuitOpen) as error:
            tally.fail(_why(error))
            if isinstance(error, CircuitOpen):
                time.sleep(min(error.retry_in_s, 0.1))  # To fail fast over and over would measure nothing.
            return None
        except BazaarError as error:
            tally.fail(_why(error))
            return None
        finally:
            tally.asked_again += max(customer.tries - tries - 1, 0)
        if outcome["status"] == "sold":
            tally.sold += 1
            return True
        tally.unavailable += 1
        tally.refused[str(outcome.get("reason", "unavailable"))] += 1
        return False

    def _restock(self, customer: Customer, goods: tuple[str, str], generation: int, tally: _Tally) -> None:
        try:
            self._bring(customer, goods, generation)
        except TownError:
            tally.fail("deposit not answered")
        except BazaarError as error:
            tally.fail(f"deposit: {_why(error)}")

    def _bring(self, customer: Customer, goods: tuple[str, str], generation: int) -> None:
        """Deposits goods of an area and item, unless another did so since they were found to be missing."""
        area, item = goods
        with self._supply[area]:
            if self._supplied[goods] == generation:
                customer.deposit(item, _LOT, _PRICE)
                self._supplied[goods] += 1

    def _summed_up(self, took_s: float, is_interrupted: bool) -> Figures:
        load, tallies = self._load, self._tallies
        answered: Counter[str] = Counter()
        for area, tally in zip(self._areas, tallies, strict=True):
            answered[area] += len(tally.latencies_s)
        values = np.asarray([each for tally in tallies for each in tally.latencies_s], dtype=np.float64) * 1000.0
        refused: Counter[str] = sum((tally.refused for tally in tallies), Counter())
        errors: Counter[str] = sum((tally.errors for tally in tallies), Counter())
        figures = Figures(
            loop="closed" if load.rate is None else "open",
            interrupted=is_interrupted,
            customers=load.customers,
            seed=load.seed,
            rate=load.rate,
            took_s=took_s,
            answered=int(values.size),
            sold=sum(tally.sold for tally in tallies),
            unavailable=sum(tally.unavailable for tally in tallies),
            refused=dict(refused),
            errors=dict(errors),
            asked_again=sum(tally.asked_again for tally in tallies),
            per_s=values.size / took_s,
            late=sum(tally.late for tally in tallies),
            areas={area: count for area, count in answered.items() if area},
        )
        if not values.size:
            return figures
        p50, p90, p99, p999 = (float(v) for v in np.percentile(values, [50, 90, 99, 99.9], method="inverted_cdf"))
        return msgspec.structs.replace(
            figures,
            mean_ms=float(values.mean()),
            p50_ms=p50,
            p90_ms=p90,
            p99_ms=p99,
            p999_ms=p999,
            max_ms=float(values.max()),
        )


def _why(error: BazaarError) -> str:
    """What a request ended with, in the words that such are counted by."""
    if isinstance(error, NoAnswer):
        return "no answer in time"
    return "circuit open" if isinstance(error, CircuitOpen) else type(error).__name__
