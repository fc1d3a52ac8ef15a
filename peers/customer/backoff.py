"""How long to wait before the next try: exponential back-off with full jitter.

The ceiling doubles with each try, and the wait is drawn evenly from nought up to it (M. Brooker, "Exponential Backoff
And Jitter", 2015). So those who failed at the same moment, as all customers of a trader that died do, do not come
back at the same moment.
"""

from __future__ import annotations

from random import Random

FIRST_S = 0.01
"""The first ceiling. No setting: a post that is closed for an election is open again some milliseconds later."""

LONGEST_S = 0.25
"""The highest ceiling. No setting either: so often one may ask without being a burden, and a person sees no delay."""


class Backoff:
    """The waits of one request, in seconds."""

    def __init__(self, rng: Random, *, first_s: float = FIRST_S, longest_s: float = LONGEST_S) -> None:
        self._rng = rng
        self._ceiling_s = first_s
        self._longest_s = longest_s

    def next_s(self, at_least_s: float = 0.0) -> float:
        """Returns how long to wait now; never less than `at_least_s`, which is what the other side has asked for."""
        ceiling_s = min(self._ceiling_s, self._longest_s)
        self._ceiling_s = min(2 * self._ceiling_s, self._longest_s)
        return at_least_s + self._rng.uniform(0.0, ceiling_s)
