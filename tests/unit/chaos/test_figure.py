"""The figure of a chaos run is drawn from what it left behind, whatever happened, and whatever did not."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib import image

from peers.chaos.events import HISTORY, Election, Injected, Sale
from peers.chaos.gaps import by_kind, gaps, pauses, without_trade
from peers.chaos.kinds import ALL_KINDS
from peers.chaos.plan import draw_plan
from peers.chaos.verdict import Traffic, judge, write_verdict
from plots.draw.__main__ import draw_saved
from tests.unit.chaos.made_up import fault, history, steady

EVERY_KIND = [fault(kind, 3.0 * n, 3.0 * n + 2, number=n) for n, kind in enumerate(ALL_KINDS, start=1)]


def draw_it(out: Path, sales: list[Sale], faults: list[Injected], duration_s: float = 60.0) -> None:
    made = history(sales, faults)
    made.elections.append(
        Election(at_s=3.0, term=2, trader="seller1", reason="crashed", started_by=None, took_ms=20.0, messages=None)
    )
    found = pauses(made.sales, duration_s)
    of_faults = gaps(made.faults, found)
    traffic = Traffic(
        duration_s=duration_s, sales=len(sales), busy_s=1, faults=1, skipped=0, failovers=1, elections=1, unanswered=0
    )
    verdict = judge(
        draw_plan(1, duration_s, 6),
        None,
        traffic,
        without_trade=without_trade(found),
        kinds=by_kind(of_faults),
        gaps=of_faults,
        again="",
    )
    made.write(out.parent / HISTORY)
    write_verdict(verdict, out.parent)
    assert draw_saved(out.parent) == [out]


@pytest.mark.parametrize(
    ("sales", "faults"),
    [
        (steady(60, [(9, 10), (30, 33)]), EVERY_KIND),
        (steady(60), [fault("kill-trader", 5.0)]),
        (steady(60), [fault("resign", 5.0, skipped="nobody is in office")]),
        (steady(60), []),
        ([], EVERY_KIND),
        ([], []),
    ],
)
def test_it_is_drawn(tmp_path: Path, sales: list[Sale], faults: list[Injected]) -> None:
    out = tmp_path / "figure.png"
    draw_it(out, sales, faults)
    height, width, _ = image.imread(out).shape
    assert 1200 < width < 1600
    assert 900 < height < 3200
