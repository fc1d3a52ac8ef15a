"""What an audience sees of a scene: what to look at, the lines that matter, and what was seen.

The town itself says all it has to say to a file. Of what its peers tell, news of the post and of members is shown as
it comes; trade would flood the rest, so of that a script shows what it waited for.
"""

from __future__ import annotations

import textwrap
from typing import TextIO

from peers.core.reports import (
    Crashes,
    Demoted,
    Elected,
    ElectionStarted,
    EntryRefused,
    LeftOffice,
    Lost,
    Opened,
    Report,
    Slept,
)
from peers.scenes.verdict import SceneVerdict
from peers.town.view.console import Console

_NEWS = (Opened, ElectionStarted, Elected, LeftOffice, EntryRefused, Lost, Demoted, Crashes, Slept)
_WIDTH = 100


class Audience:
    """Shows one scene on `out`, the standard output unless given."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._console = Console(out=out)
        # What was shown already; its listener keeps all reports, so that none is another's successor in memory.
        self._shown: set[int] = set()

    def open(self, heading: str, look_at: str) -> None:
        """Says what is played and what to look at."""
        self._console.say(heading, "bold")
        for line in textwrap.wrap(f"Look at this: {look_at}", _WIDTH):
            self._console.say(line)
        self._console.say("")

    def on_report(self, report: Report) -> None:
        """A peer tells something: shows it if it is news."""
        if isinstance(report, _NEWS):
            self.show(report)

    def show(self, report: Report) -> None:
        """Shows a report, unless it was shown already."""
        if id(report) not in self._shown:
            self._shown.add(id(report))
            self._console.tell(report)

    def say(self, line: str) -> None:
        """Says what the script does, or found."""
        self._console.say(f"-- {line}", "magenta")

    def close(self, verdict: SceneVerdict) -> None:
        """Says what was seen, and what the audit found."""
        self._console.say("")
        for fact in verdict.facts:
            self._console.say(fact.sentence(), "green" if fact.holds else "red")
        if verdict.trouble:
            self._console.warn(f"  it could not be shown: {verdict.trouble}")
        if verdict.audit == 0:
            self._console.say("  and every invariant holds", "green")
        elif verdict.audit == 1:
            self._console.warn(f"  violated: {', '.join(verdict.violated)}")
        else:
            self._console.warn("  the audit could not tell whether the books hold")
