"""The clock on the wall is set by years while a town runs: nothing but what is shown of it may change."""

from __future__ import annotations

import datetime
import re
import signal
import time
from pathlib import Path

import pytest

from tests.helpers.waiting import wait_until
from tests.system.helpers.clock_on_the_wall import ClockOnTheWall
from tests.system.helpers.town import Town, bazaar, running_town

pytestmark = pytest.mark.system

YEAR_S = 365 * 86_400
BRISK = ("--think-s", "0.02", "--resign-after", 0, "--set", "market.stock=1000", "--set", "market.return_after_s=0.5")


def to_1970() -> int:
    """By how much it is off if it is the second day of 1970."""
    return 86_400 - int(time.time())


def survives(town: Town, clock: ClockOnTheWall, off_s: int) -> None:
    """Trade goes on, one that is killed is replaced and comes back, and who asks for the state is told it."""
    clock.set(off_s)
    town.wait_for_sales(20)
    trader = town.wait_for_trader()
    pid = town.signal(trader, signal.SIGKILL)
    town.wait_for_trader(other_than=trader)
    wait_until(lambda: town.peers().get(trader, {"pid": pid})["pid"] != pid, what=f"{trader} back")
    town.wait_for_sales(20)
    # The times of one term never go back, those of the next begin with the clock.
    last = town.books.requests.find_one({"status": "sold"}, sort=[("seq", -1)])
    meant = datetime.datetime.fromtimestamp(time.time() + off_s, datetime.UTC)
    assert abs(last["decided_at"].year - meant.year) <= 1, "that clock is what is shown"


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((30 * YEAR_S, -20 * YEAR_S), id="short"),
        pytest.param((0, 3600, -3600, 2 * YEAR_S, -2 * YEAR_S, 300 * YEAR_S, 0), id="long", marks=pytest.mark.long),
    ],
)
def test_a_town_that_begins_in_1970_and_whose_clock_is_set_by_years(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: tuple[int, ...]
) -> None:
    clock = ClockOnTheWall(tmp_path / "clock", monkeypatch, to_1970())
    began_s = time.monotonic()
    with running_town(tmp_path / "town", 5, *BRISK) as town:
        for off_s in steps:
            survives(town, clock, off_s)
        shown = bazaar("audit", "--dir", tmp_path / "town")
        assert shown.returncode == 0, shown.stdout
        code = town.stop()
        passed_s = time.monotonic() - began_s
        assert code == 0, town.output()[-6000:]
        said = re.search(r"in ([0-9.]+) s \(.*median ([0-9.]+) ms.*worst ([0-9,.]+) ms", town.output(), re.DOTALL)
        assert said is not None, town.output()[-3000:]
        traded_s, median_ms, worst_ms = (float(each.replace(",", "")) for each in said.groups())
        assert 0 < traded_s < passed_s
        assert 0 < median_ms <= worst_ms < passed_s * 1000
