"""The end of a terminal, step by step. A step that fails is said, once, and that is all that comes of it: the other
steps are done all the same, and what the audit found is what the exit code says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType

from peers.errors import BazaarError
from peers.traces import keep_trace

_OF_THE_SYSTEM = (BazaarError, OSError, RuntimeError)
"""What a system that has run out of something makes of a step: Python has a RuntimeError where it gets no thread."""

Warn = Callable[[str], None]
"""Is told, in one line, of a step that failed."""


class StepOfEnd:
    """What is done within is `what`, a step of the end, for people. Where it fails, that is said, and not raised."""

    def __init__(self, what: str, warn: Warn) -> None:
        self._what = what
        self._warn = warn

    def __enter__(self) -> None:
        """There is nothing to be done before."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        why = str(error) or type(error).__name__
        if not isinstance(error, _OF_THE_SYSTEM):  # It is ours, and must not pass for a verdict on the books either.
            why = f"there is a fault in this program: {type(error).__name__}: {error}; {keep_trace(error)}"
        self._warn(f"{self._what} failed ({why}); the rest is done all the same")
        return True


async def done_anyway(what: str, warn: Warn, work: Awaitable[object]) -> bool:
    """Awaits `work`, a step of the end; returns whether it was done. Raises nothing."""
    with StepOfEnd(what, warn):
        await work
        return True
    return False
