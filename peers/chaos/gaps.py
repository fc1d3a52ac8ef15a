"""Time without trade: in all, at worst, and for each fault; and of each failover how long nobody traded."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median

import msgspec

from peers.chaos.events import Injected, Sale
from peers.chaos.kinds import TRADER_KINDS, Kind

COUNTS_FROM_S = 0.25
"""A shorter time between two sales is no pause, only chance. No option, so that runs compare."""

EFFECT_S = 1.5
"""For so long after its end a fault may still stop trade: a death is noticed late, a sleeper is slow to wake up."""


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """A time between two sales; seconds after the chaos began. `terms`: of the sale before and the one after."""

    start_s: float
    end_s: float
    terms: tuple[int, int] | None = None

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s

    @property
    def failover(self) -> bool:
        """Whether another trader took over in it."""
        return self.terms is not None and self.terms[1] > self.terms[0]


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """The pause that a fault came with. `alone`: no other fault falls into it. `mattered`: what shows that it made a
    difference, "" if nothing does (`peers.chaos.evidence`)."""

    number: int
    kind: Kind
    at_s: float
    gap_s: float
    failover: bool
    alone: bool
    mattered: str = ""


class KindOfGap(msgspec.Struct, frozen=True, kw_only=True):
    """The gaps of one kind of fault. Median and worst are of those that no other fault fell into, where there were
    any; `worst_of_all_s` also counts what several faults did together."""

    kind: Kind
    faults: int
    failovers: int
    alone: int
    median_s: float
    worst_s: float
    worst_of_all_s: float
    mattered: int = 0


class TimeWithoutTrade(msgspec.Struct, frozen=True, kw_only=True):
    """All pauses of a run, from `COUNTS_FROM_S` on."""

    total_s: float
    worst_s: float
    worst_at_s: float
    pauses: int


def pauses(sales: Iterable[Sale], duration_s: float) -> list[Pause]:
    """Returns the times between sales while there was chaos, its beginning and its end included."""
    within = sorted((s for s in sales if 0 <= s.at_s <= duration_s), key=lambda sale: sale.at_s)
    if not within:
        return [Pause(start_s=0.0, end_s=duration_s)]
    found = [Pause(start_s=0.0, end_s=within[0].at_s)]
    newest = within[0].term
    for before, after in pairwise(within):
        # A sale of an old term may be told late. The next sale must not look like a failover because of it.
        found.append(Pause(start_s=before.at_s, end_s=after.at_s, terms=(newest, after.term)))
        newest = max(newest, after.term)
    found.append(Pause(start_s=within[-1].at_s, end_s=duration_s))
    return found


def without_trade(found: Sequence[Pause]) -> TimeWithoutTrade:
    """Sums the pauses up."""
    long = [pause for pause in found if pause.length_s >= COUNTS_FROM_S]
    worst = max(found, key=lambda pause: pause.length_s)
    return TimeWithoutTrade(
        total_s=round(sum(pause.length_s for pause in long), 3),
        worst_s=round(worst.length_s, 3),
        worst_at_s=round(worst.start_s, 3),
        pauses=len(long),
    )


def gaps(faults: Iterable[Injected], found: Sequence[Pause]) -> list[Gap]:
    """Returns of each fault that was carried out the longest pause it may have had a part in; of one that hit the
    trader, up to when another had taken over, if that came of it."""
    done = [fault for fault in faults if not fault.skipped]
    starts = [pause.start_s for pause in found]
    return [_gap(fault, _near(fault, found, starts), done) for fault in done]


def _near(fault: Injected, found: Sequence[Pause], starts: Sequence[float]) -> Sequence[Pause]:
    first = max(bisect_right(starts, fault.start_s) - 1, 0)
    last = bisect_right(starts, _last_effect_s(fault))
    return found[first : max(last, first + 1)]


def _gap(fault: Injected, near: Sequence[Pause], done: Sequence[Injected]) -> Gap:
    changes = [place for place, pause in enumerate(near) if pause.failover]
    took_over = bool(changes) and fault.kind in TRADER_KINDS
    if took_over:
        near = near[: changes[-1] + 1]
    pause = max(near, key=lambda each: each.length_s)
    return Gap(
        number=fault.number,
        kind=fault.kind,
        at_s=fault.start_s,
        gap_s=round(pause.length_s, 4),
        failover=took_over or pause.failover,
        alone=not any(other is not fault and _meets(other, pause) for other in done),
    )


def by_kind(found: Iterable[Gap]) -> list[KindOfGap]:
    """Sums gaps up for each kind of fault, the longest first."""
    kinds: dict[Kind, list[Gap]] = {}
    for gap in found:
        kinds.setdefault(gap.kind, []).append(gap)
    result = []
    for kind, all_of_it in kinds.items():
        alone = [gap.gap_s for gap in all_of_it if gap.alone]
        lengths = alone or [gap.gap_s for gap in all_of_it]
        result.append(
            KindOfGap(
                kind=kind,
                faults=len(all_of_it),
                failovers=sum(gap.failover for gap in all_of_it),
                alone=len(alone),
                median_s=round(median(lengths), 3),
                worst_s=round(max(lengths), 3),
                worst_of_all_s=round(max(gap.gap_s for gap in all_of_it), 3),
                mattered=sum(bool(gap.mattered) for gap in all_of_it),
            )
        )
    return sorted(result, key=lambda each: -each.median_s)


def _last_effect_s(fault: Injected) -> float:
    return (fault.start_s if fault.end_s is None else fault.end_s) + EFFECT_S


def _meets(fault: Injected, pause: Pause) -> bool:
    """Whether a fault was at work in that pause; one that had only just been undone may have been, too."""
    end_s = fault.start_s if fault.end_s is None else fault.end_s
    return fault.start_s < pause.end_s and end_s > pause.start_s - 0.2
