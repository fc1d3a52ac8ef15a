"""How far a run of experiments is, and about how long the rest of it takes.

Every step says what it takes on two cores that do nothing else. How much slower this machine is shows as the steps
are done, so that the estimate gets better on the way.
"""

from __future__ import annotations

from collections.abc import Iterable

from plots.results.experiments.kind import Step

_LEAST_SECONDS = 10.0
"""With fewer expected seconds behind it, the speed of the machine is not known well enough to be believed."""


class Estimate:
    """Of steps in their order; each is named by its experiment and its title."""

    def __init__(self, steps: Iterable[tuple[str, Step]]) -> None:
        self._seconds = {(experiment, step.title): step.seconds for experiment, step in steps}
        self._done: dict[tuple[str, str], float] = {}

    @property
    def part(self) -> float:
        """Which part of all there is to do is done, from 0 to 1."""
        return self._behind() / sum(self._seconds.values())

    def note(self, experiment: str, title: str, part: float) -> None:
        """So much of a step is done, from 0 to 1."""
        self._done[experiment, title] = max(part, self._done.get((experiment, title), 0.0))

    def skip(self, experiment: str) -> None:
        """Nothing more is done of this experiment."""
        self._done |= {step: 1.0 for step in self._seconds if step[0] == experiment}

    def left_s(self, elapsed_s: float) -> float:
        """Returns about how long the rest takes, given how long all so far took."""
        behind = self._behind()
        ahead = sum(self._seconds.values()) - behind
        believed = min(1.0, behind / _LEAST_SECONDS)
        slower = elapsed_s / behind if behind else 1.0
        return ahead * (believed * slower + (1 - believed))

    def _behind(self) -> float:
        """What the steps that are done take on an idle machine."""
        return sum(self._seconds.get(step, 0.0) * part for step, part in self._done.items())


def spoken(seconds: float) -> str:
    """Returns a time for people: 40 s, 3 min, 1 h 10 min."""
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
