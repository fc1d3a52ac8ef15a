"""What people see while a town runs: plain lines, as many as a person can follow.

Trade is told line by line while it is slow enough to read. When it is not, a few lines a second are shown as
samples and the rest is counted in one line. So are, should there be a storm of them, losses and elections begun, and
goods lost and sales taken back, each apart from trade, so that what is frequent does not hide what is rare. Traders
that take office or leave it, and everything the town itself has to say, always get through.
The terminal going away must not stop the town from ending in order, so that only silences it.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import TextIO, cast

from rich.console import Console as RichConsole

from peers.books_address import without_secrets
from peers.core.reports import (
    Answered,
    Deposited,
    Earned,
    Elected,
    ElectionStarted,
    EntryRefused,
    GoodsLost,
    GotBack,
    LeftOffice,
    Lost,
    Opened,
    Report,
    Returned,
    Slept,
    TookBack,
)
from peers.output import forgiving

# None of these is a setting: they are what a person can read. `--quiet` shows less; logs and journals have it all.
LINES_A_SECOND = 12
# Lines that may come at once before condensing begins: enough for everybody who joins, in a town of moderate size.
_FIRST_LINES = 48

_CONDENSED: dict[type[Report], tuple[str, str]] = {
    Opened: ("peer joined", "peers joined"),
    Deposited: ("deposit", "deposits"),
    Earned: ("payment to sellers", "payments to sellers"),
    Slept: ("nap", "naps"),
}
_UNDOING: dict[type[Report], tuple[str, str]] = {
    GoodsLost: ("loss of goods", "losses of goods"),
    TookBack: ("sale taken back", "sales taken back"),
    GotBack: ("refund", "refunds"),
}
_NEWS: dict[type[Report], tuple[str, str]] = {
    ElectionStarted: ("election begun", "elections begun"),
    Lost: ("loss noticed", "losses noticed"),
    Returned: ("peer back", "peers back"),
}
_STYLES: dict[type[Report], str] = {
    Elected: "bold green",
    ElectionStarted: "yellow",
    LeftOffice: "yellow",
    EntryRefused: "red",
    Opened: "dim",
    Earned: "dim",
    Deposited: "cyan",
    GoodsLost: "magenta",
    TookBack: "magenta",
    GotBack: "magenta",
}


class Console:
    """Prints reports and the town's own lines. `quiet` leaves out trade altogether."""

    def __init__(
        self, *, quiet: bool = False, out: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._out = forgiving(out or sys.stdout)
        self.rich = RichConsole(
            file=cast("TextIO", self._out), highlight=False, markup=False, emoji=False, soft_wrap=True
        )
        self._quiet = quiet
        self._clock = clock
        self._for_trade = _Allowance(clock)
        self._for_undoing = _Allowance(clock)
        self._for_news = _Allowance(clock)
        self._withheld: Counter[tuple[str, str]] = Counter()
        self.purchases = 0
        self.first_purchase_s: float | None = None

    def say(self, line: str, style: str = "") -> None:
        """Prints a line of the town's own, without the passwords in it."""
        self.rich.print(without_secrets(line), style=style or None)
        self._out.flush()

    def warn(self, line: str) -> None:
        """Prints a line about something that failed."""
        self.say(line, "red")

    def tell(self, report: Report, area: str = "") -> None:
        """Prints what a peer has to tell, or counts it; in a town with several posts with the area it is of."""
        sentence = report.sentence()
        if isinstance(report, Answered) and report.outcome.sale is not None:
            if not self.purchases:
                self.first_purchase_s = self._clock()
            self.purchases += 1
        if sentence is None:
            return
        news, undoing, trade = _NEWS.get(type(report)), _UNDOING.get(type(report)), _kind(report)
        if self._quiet and (undoing or trade) is not None:
            return
        for kind, allowance in ((news, self._for_news), (undoing, self._for_undoing), (trade, self._for_trade)):
            if kind is not None and not allowance.may_print():
                self._withheld[kind] += 1
                return
        self.say(f"{area}: {sentence}" if area else sentence, _STYLES.get(type(report), ""))

    def tick(self) -> None:
        """To be called once a second: sums up what was not printed."""
        if not self._withheld:
            return
        counted = ", ".join(f"{count:,} {kind[count != 1]}" for kind, count in sorted(self._withheld.items()))
        self._withheld.clear()
        so_far = f" ({self.purchases:,} purchases so far)" if self.purchases else ""
        self.say(f"… besides {counted}{so_far}", "dim")

    def close(self) -> None:
        """Sums up."""
        self.tick()
        self._out.settle()


class _Allowance:
    """How many lines of one sort may be printed: some at once, then so many a second."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left = float(_FIRST_LINES)
        self._filled_at = clock()

    def may_print(self) -> bool:
        now = self._clock()
        self._left = min(float(_FIRST_LINES), self._left + (now - self._filled_at) * LINES_A_SECOND)
        self._filled_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def _kind(report: Report) -> tuple[str, str] | None:
    """What a report of trade counts as where it is not printed; None for what is none."""
    if isinstance(report, Answered):
        sold = report.outcome.sale is not None
        return ("purchase", "purchases") if sold else ("request in vain", "requests in vain")
    return _CONDENSED.get(type(report))
