"""Mistakes that let a peer which lies stop the market for good."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import PropertyMock, patch

from peers.core.bounds import MAX_TIME
from peers.core.context import Context
from peers.core.leadership.doubts import Doubts
from peers.core.membership.clock_pace import PacedClock
from tests.simulation.planted.mistake import mistake


@mistake(14, 26)
def every_term_believed() -> Iterator[None]:
    """Whatever somebody says of a later term is taken in, as if it stood in the log."""
    with patch.object(Doubts, "believes", return_value=True):
        yield


@mistake(18, 42)
def books_not_asked() -> Iterator[None]:
    """What is doubted is never looked up."""
    with patch.object(Doubts, "ask"):
        yield


@mistake(3, 18)
def any_incarnation_believed() -> Iterator[None]:
    """A record may be so new that there is no newer one."""
    with patch.object(Context, "highest_incarnation", PropertyMock(return_value=2 * MAX_TIME)):
        yield


@mistake(3, 14)
def clocks_follow_any_lie() -> Iterator[None]:
    """The highest clock heard of is taken over, however far ahead it is."""
    with patch.object(PacedClock, "_room", return_value=2 * MAX_TIME):
        yield
