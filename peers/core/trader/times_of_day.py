"""The times of day that one term writes into its records."""

from __future__ import annotations

from peers.core.context import Context


class TimesOfDay:
    """They go on as the clock on the wall does, and at least as fast as the monotonic one: when the former is set
    back, they do not follow before the next term.

    So times of one term run as its events did, and an audit may compare them.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        # A time that was given, in milliseconds since 1970, and when that was, in seconds of the monotonic clock.
        self._given_ms = ctx.now.wall_ms
        self._given_s = ctx.now.mono_s

    def now_ms(self) -> int:
        """Returns what time of day it is, in milliseconds since 1970; never an earlier one than before."""
        now = self._ctx.now
        least_ms = self._given_ms + int((now.mono_s - self._given_s) * 1000)
        if now.wall_ms < least_ms:
            return least_ms
        self._given_ms, self._given_s = now.wall_ms, now.mono_s
        return now.wall_ms
