"""Shows a run of load: a bar while it goes on, and the figures at its end."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from plots.measure.stress import Figures, Stress
from plots.results.latency import shown


class Bar:
    """A bar on standard error, where that is a terminal. Used as a context manager around a run."""

    def __init__(self, stress: Stress, duration_s: float) -> None:
        self._stress = stress
        self._duration_s = duration_s
        console = Console(file=sys.stderr, highlight=False)
        self._bar = Progress(
            TextColumn("{task.fields[what]}"),
            BarColumn(bar_width=30),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = TaskID(0)

    def __enter__(self) -> Bar:
        self._bar.start()
        self._task = self._bar.add_task("", total=self._duration_s, what="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def tick(self, at_s: float) -> None:
        """To be called now and then."""
        answered, unanswered = self._stress.so_far()
        per_s = answered / at_s if at_s > 0 else 0.0
        trouble = f", {unanswered:,} without an answer" if unanswered else ""
        self._bar.update(self._task, completed=at_s, what=f"{answered:,} purchases, {per_s:,.0f} a second{trouble}")


def as_text(figures: Figures) -> list[str]:
    """Returns the figures, a line each."""
    loop = "closed loop" if figures.rate is None else f"open loop at {figures.rate:g} a second"
    who = f"{figures.customers} customers" if figures.customers > 1 else "1 customer"
    end = ", interrupted" if figures.interrupted else ""
    lines = [
        f"{who} for {figures.took_s:.1f} s, {loop} (seed {figures.seed}){end}",
        f"  purchases   {figures.answered:,} answered, {figures.per_s:,.0f} a second; {figures.sold:,} sold",
    ]
    if figures.p50_ms is not None:
        named = {
            "p50": figures.p50_ms,
            "p90": figures.p90_ms,
            "p99": figures.p99_ms,
            "p99.9": figures.p999_ms,
            "max": figures.max_ms,
            "mean": figures.mean_ms,
        }
        latency = ", ".join(f"{name} {shown(value)}" for name, value in named.items() if value is not None)
        lines.append(f"  latency     {latency} ms" + (", from when it was due" if figures.rate is not None else ""))
    if figures.areas:
        lines.append(f"  areas       {', '.join(f'{name} {count:,}' for name, count in figures.areas.items())}")
    for title, counts in (("refused", figures.refused), ("errors", figures.errors)):
        what = ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items()))
        lines.append(f"  {title:<11} {what or 'none'}")
    if figures.asked_again:
        lines.append(f"  asked again {figures.asked_again:,} times, with the same id")
    if figures.late:
        share = figures.late / max(figures.answered, 1)
        lines.append(f"  late        {figures.late:,} were sent more than 1 ms after they were due ({share:.0%})")
    return lines
