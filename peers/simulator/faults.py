"""The faults there are, how often they happen, and the plan of those of one schedule.

A plan is drawn before a schedule begins, as a list of values. So one fault can be taken out of it and the rest stay
what they were, which is how a failing schedule is shrunk, and a plan can be written down and replayed.
"""

from __future__ import annotations

from random import Random
from typing import Literal

import msgspec

from peers.errors import SettingsError

Kind = Literal[
    "loss",
    "duplicates",
    "delay",
    "reorder",
    "split",
    "one_way",
    "lost_calls",
    "crash",
    "restart",
    "hang",
    "slow",
    "join",
    "leave",
    "resign",
    "false_alarm",
    "strangers",
    "clock_jump",
    "ledger_slow",
    "ledger_away",
    "ledger_refuses",
    "ledger_unknown",
    "books_behind",
    "books_cut",
    "goods_lost",
    "lies",
]


class FaultOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How often each kind of fault happens: its mean number in a schedule. 0 switches it off."""

    loss: float = 0.5  # Messages on links are lost.
    duplicates: float = 0.5  # Messages, calls and the news of sales arrive twice.
    delay: float = 0.5  # Some messages and calls take far longer.
    reorder: float = 0.5  # Links do not keep the order of their messages.
    split: float = 0.4  # Two groups of peers cannot reach each other.
    one_way: float = 0.4  # One peer is not heard by some others, but hears them.
    lost_calls: float = 0.5  # Calls to the trader, or their answers, are lost.
    crash: float = 0.4  # A peer is gone for good.
    restart: float = 1.0  # A peer crashes and comes back.
    hang: float = 1.0  # A peer stops and goes on later.
    slow: float = 0.4  # A peer is slow in everything.
    join: float = 0.3  # A new peer comes.
    leave: float = 0.2  # A peer leaves in order.
    resign: float = 0.5  # The trader is asked to resign.
    false_alarm: float = 0.5  # Several peers take the trader for gone at once.
    strangers: float = 0.5  # Customers that are no peers make good and bad calls.
    clock_jump: float = 0.2  # A peer's time of day is set.
    ledger_slow: float = 0.3
    ledger_away: float = 0.4
    ledger_refuses: float = 0.4  # Single operations fail, for certain.
    # Answers are lost: the write happened, did not, happens later, or is lost with the primary.
    ledger_unknown: float = 1.0
    books_behind: float = 0.4  # The books follow the log slowly.
    books_cut: float = 0.3  # What one peer asks of the ledger is answered with silence.
    goods_lost: float = 1.0  # A seller loses some of what it deposited.
    lies: float = 0.15  # A peer tells its neighbours what is not so.


KINDS: tuple[Kind, ...] = FaultOptions.__struct_fields__  # type: ignore[assignment]

TRADER = -1
"""As the target of a fault: whoever is trader when it begins."""

_FROM_TO_S: dict[str, tuple[float, float]] = {
    "hang": (0.3, 4.0),
    "restart": (0.2, 3.0),
    "split": (0.5, 5.0),
    "one_way": (0.5, 4.0),
    "ledger_away": (0.1, 2.0),
}
_INSTANT = frozenset(("crash", "join", "leave", "resign", "false_alarm", "clock_jump", "goods_lost"))
_AIMED = frozenset(
    (
        "crash",
        "restart",
        "hang",
        "slow",
        "leave",
        "resign",
        "false_alarm",
        "clock_jump",
        "one_way",
        "books_cut",
        "lies",
    )
)


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fault. It lasts from `at_s` to `until_s` (the same for what is over at once).

    `target` is a rank, TRADER, or None where it does not matter; `strength` is a share, from 0 to 1; `key` seeds
    what else has to be drawn.
    """

    kind: Kind
    at_s: float
    until_s: float
    target: int | None = None
    strength: float = 0.0
    key: int = 0

    def __str__(self) -> str:
        aim = {None: "", TRADER: " of the trader"}.get(self.target, f" of peer {self.target}")
        lasting = f" to {self.until_s:.3f}" if self.until_s > self.at_s else ""
        return f"{self.kind}{aim} at {self.at_s:.3f}{lasting} ({self.strength:.2f})"


def draw_plan(rng: Random, options: FaultOptions, *, peers: int, chaos_s: float) -> tuple[Fault, ...]:
    """Draws the faults of one schedule; all are over by `chaos_s`.

    Each schedule leaves out about half of the kinds, so that those it has meet each other undisturbed.
    """
    plan = []
    for kind in KINDS:
        mean = getattr(options, kind)
        often = rng.random() < 0.5
        number = _poisson(rng, 2 * mean) if often else 0
        plan += [_draw_fault(rng, kind, peers, chaos_s) for _ in range(number)]
    plan.sort(key=lambda fault: fault.at_s)
    return tuple(plan)


def _draw_fault(rng: Random, kind: Kind, peers: int, chaos_s: float) -> Fault:
    at_s = rng.uniform(0.0 if rng.random() < 0.2 else 0.5, chaos_s - 0.1)
    shortest, longest = _FROM_TO_S.get(kind, (0.5, 5.0))
    until_s = at_s if kind in _INSTANT else min(chaos_s, at_s + rng.uniform(shortest, longest))
    target = None
    if kind in _AIMED:
        target = TRADER if rng.random() < 0.6 else rng.randrange(peers)
    return Fault(
        kind=kind,
        at_s=round(at_s, 4),
        until_s=round(until_s, 4),
        target=target,
        strength=round(rng.uniform(0.05, 0.6), 3),
        key=rng.getrandbits(32),
    )


def _poisson(rng: Random, mean: float) -> int:
    """A whole number of that mean, without a tail that would make a schedule unreadable."""
    number, left = 0, mean
    while left > 0 and number < 6:
        left += -rng.expovariate(1.0)
        number += left > 0
    return number


def choose(options: FaultOptions, *, only: str = "", without: str = "", rates: str = "") -> FaultOptions:
    """Switches kinds off (`only` and `without` are names with commas) and sets rates (`split=2,hang=0.5`).

    SettingsError for a kind or a rate that there is not.
    """
    wanted = {name.strip() for name in only.split(",") if name.strip()} or set(KINDS)
    unwanted = {name.strip() for name in without.split(",") if name.strip()}
    values = {kind: getattr(options, kind) if kind in wanted - unwanted else 0.0 for kind in KINDS}
    pairs = [pair.partition("=") for pair in rates.split(",") if pair.strip()]
    for name, _, number in pairs:
        try:
            values[name.strip()] = float(number)  # type: ignore[index]
        except ValueError:
            raise SettingsError(
                f"the rate of {name.strip()} is {number or 'missing'}; give a number of 0 or more"
            ) from None
    unknown = sorted((wanted | unwanted | set(values)) - set(KINDS))
    if unknown:
        raise SettingsError(f"there is no fault called {', '.join(unknown)}; there are {', '.join(KINDS)}")
    if any(not 0 <= value <= 10 for value in values.values()):
        raise SettingsError("a fault's rate is its mean number in a schedule, from 0 to 10")
    return FaultOptions(**values)
