"""What people see while a chaos run goes on: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from peers.chaos.events import Injected

_LINE_EVERY_S = 10.0  # How often a line is printed where there is no terminal for a bar.


class Show:
    """Used as a context manager around a run. `silent`: shows nothing at all."""

    def __init__(self, duration_s: float, *, silent: bool = False) -> None:
        self._duration_s = duration_s
        self._console = Console(file=sys.stderr, highlight=False, markup=False, emoji=False, quiet=silent)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._next_line_s = _LINE_EVERY_S

    def __enter__(self) -> Show:
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), TextColumn("{task.fields[what]}"))
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task("chaos", total=self._duration_s, what="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, line: str, style: str = "") -> None:
        self._console.print(line, style=style or None, soft_wrap=True)

    def fault(self, fault: Injected) -> None:
        """A fault began, or was skipped."""
        if fault.skipped:
            self.say(f"{fault.start_s:7.1f} s  #{fault.number} {fault.kind} skipped: {fault.skipped}", "dim")
            return
        what = ", ".join(filter(None, [*fault.peers, fault.detail]))
        self.say(f"{fault.start_s:7.1f} s  #{fault.number} {fault.kind}{f': {what}' if what else ''}", "yellow")

    def tick(self, at_s: float, sales: int, trader: str | None, term: int) -> None:
        """To be called about once a second."""
        office = f"{trader or 'nobody'} in office (term {term})"
        what = f"{at_s:.0f} s of {self._duration_s:g}, {sales:,} decisions, {office}"
        if self._bar is not None:
            self._bar.update(self._task, completed=at_s, what=what)
        elif at_s >= self._next_line_s:
            self._next_line_s += _LINE_EVERY_S
            self.say(what)
