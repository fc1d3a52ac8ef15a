"""A circuit breaker (M. Nygard, "Release It!", 2007): who has met silence for a while asks no more for a moment.

There is one for a town, not one for each address in it. That a trader dies is what a town is made for: the next one
is found through the name server, and the cost of a dead address is one refused connection. What a caller needs to
know is whether it is any use to ask this town at all. So what counts is that a try was answered by nobody, neither
name server nor trader; a refusal is an answer, and so is a fault. And silence counts only once it has lasted longer
than a failover takes.
"""

from __future__ import annotations

import threading
from enum import StrEnum

FAILURES = 5
"""It opens after so many tries in a row that nobody answered …"""

SILENCE_S = 5.0
"""… the first of which was at least so long ago: a failover is over in a second or two, of a database in four."""

OPEN_S = 1.0
"""It stays open for so long; then one try goes through."""


class CircuitState(StrEnum):
    """The three states, by the names that the field gives them."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class CircuitBreaker:
    """The breaker of one town; several customers may share it, on any threads. All times are monotonic seconds."""

    def __init__(self, *, failures: int = FAILURES, silence_s: float = SILENCE_S, open_s: float = OPEN_S) -> None:
        self._most_failures = failures
        self._silence_s = silence_s
        self._open_s = open_s
        self._lock = threading.Lock()
        self._failures = 0
        self._silent_since_s = 0.0
        # When the next try may go through, while the circuit is not closed.
        self._next_try_s: float | None = None
        self._probing = False

    @property
    def state(self) -> CircuitState:
        """What it is now. It becomes half-open with the one try that is let through."""
        with self._lock:
            if self._next_try_s is None:
                return CircuitState.CLOSED
            return CircuitState.HALF_OPEN if self._probing else CircuitState.OPEN

    def admit(self, now_s: float) -> float:
        """Returns 0.0 if a try may go through now, else in how many seconds to ask again.

        Whoever is let through says how it went (`succeeded`, `failed`). From one that never does, as it was killed by
        its user, the right to try passes to another after the same time."""
        if not self._failures:
            return 0.0
        with self._lock:
            if self._next_try_s is None:
                return 0.0
            if now_s < self._next_try_s:
                return self._next_try_s - now_s
            self._probing = True
            self._next_try_s = now_s + self._open_s
            return 0.0

    def blocked_s(self, now_s: float) -> float:
        """Returns what `admit` would, and lets nobody through."""
        with self._lock:
            return 0.0 if self._next_try_s is None else max(self._next_try_s - now_s, 0.0)

    def succeeded(self) -> None:
        """A try was answered, by whatever: the circuit is closed."""
        if not self._failures:
            return
        with self._lock:
            self._failures = 0
            self._next_try_s = None
            self._probing = False

    def failed(self, now_s: float) -> None:
        """A try was answered by nobody."""
        with self._lock:
            if not self._failures:
                self._silent_since_s = now_s
            self._failures += 1
            is_silent = self._failures >= self._most_failures and now_s - self._silent_since_s >= self._silence_s
            if self._probing or (self._next_try_s is None and is_silent):
                self._probing = False
                self._next_try_s = now_s + self._open_s
