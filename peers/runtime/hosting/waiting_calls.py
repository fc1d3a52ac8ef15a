"""Calls that the core has not answered yet: made by a thread that waits, or noted down to be answered later."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol

from peers.core.calls import Call, Failure, Reply, Unreachable
from peers.core.inputs import CallerLeft, Input, RequestReceived
from peers.core.ledger.port import Operation
from peers.errors import PostClosed, WireError
from peers.rpc.deferred_replies import AwaitedReply, DeferredReplies, OnReply
from peers.rpc.serving.reactor import Afterwards


class Step(Protocol):
    """Gives the core one input, under the core's lock. With `claims`, returns the operation that the calling thread
    must carry out itself, if there is one."""

    def __call__(self, event: Input, *, claims: bool = False) -> Operation | None: ...


class WaitingCalls:
    """Brings calls to the core, and its replies to `replies`; `carry_out` carries a claimed operation out."""

    def __init__(
        self, step: Step, lock: threading.Lock, carry_out: Callable[[Operation], None], replies: DeferredReplies
    ) -> None:
        self._step = step
        self._lock = lock
        self._carry_out = carry_out
        self._replies = replies
        self._closed = False

    @property
    def any_wait(self) -> bool:
        """Whether somebody waits for the core's reply."""
        return self._replies.any_wait

    # The following are called without the lock.

    def call(self, call: Call, area: str = "") -> Reply:
        """Has the core answer a call to the trader of `area`; raises WireError where that is the answer, PostClosed
        if there is none."""
        awaited = AwaitedReply()
        afterwards = self.call_later(call, awaited.put, area)
        if afterwards is not None:
            afterwards()
        reply = awaited.wait()
        if isinstance(reply, WireError):
            raise type(reply)(**reply.fields())  # This is a copy, for several callers may have been given the same.
        if isinstance(reply, Unreachable):
            raise PostClosed(why=reply.why)
        return reply

    def call_later(self, call: Call, on_reply: OnReply, area: str = "") -> Afterwards | None:
        """Has the core answer a call to the trader of `area` ("": its own); `on_reply` gets the answer, on whichever
        thread has it, and must not block.

        Returns what the calling thread is to do next, once it may wait. Raises PostClosed if this peer has ended.
        """
        with self._lock:
            if self._closed:
                raise PostClosed(why="the peer is leaving")
            call_id = self._replies.defer(on_reply)
            claimed = self._step(RequestReceived(call_id=call_id, call=call, area=area), claims=True)
        self._replies.hand_out()
        return None if claimed is None else partial(self._carry_out, claimed)

    def turn_away_the_late(self) -> bool:
        """Turns away those who have waited for too long; returns whether others still wait."""
        with self._lock:
            for call_id in self._replies.late():
                self._step(CallerLeft(call_id=call_id))
                self._replies.put(call_id, PostClosed(why="not decided yet"))
            return self._replies.any_wait

    # The following are called under the lock.

    def answer(self, call_id: int, reply: Reply | Failure) -> None:
        """Answers whoever waits for that call, if anybody still does."""
        self._replies.put(call_id, reply)

    def close(self) -> None:
        """Turns everybody away, and all who come from now on."""
        self._closed = True
        self._replies.put_all(PostClosed(why="the peer is leaving"))
