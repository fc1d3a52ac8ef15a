"""Callers whose calls the core has not answered yet: on a thread that waits, or noted down to be answered later."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from peers.core.calls import Call, Failure, Reply, Unreachable
from peers.core.inputs import CallerLeft, Input, RequestReceived
from peers.core.ledger.port import Operation
from peers.errors import PostClosed, WireError
from peers.rpc.deferred_replies import Answered, DeferredReplies, DeferredReply
from peers.rpc.wake_up import WakeUp


class _Waiter:
    """A caller whose thread sleeps until it is answered."""

    __slots__ = ("reply", "wake_up")

    def __init__(self) -> None:
        self.wake_up = WakeUp()
        self.reply: Reply | Failure = None

    def result(self) -> Reply:
        """What it was answered. Raises the WireError that it was answered with; PostClosed if nobody knows."""
        reply = self.reply
        if isinstance(reply, WireError):
            raise type(reply)(**reply.fields())  # one of its own: several callers may have been given the same
        if isinstance(reply, Unreachable):
            raise PostClosed(why=reply.why)
        return reply


class Step(Protocol):
    """Gives the core one input, under the host's lock. With `claims`, returns the operation that the calling thread
    must carry out itself, if there is one."""

    def __call__(self, event: Input, *, claims: bool = False) -> Operation | None: ...


class WaitingCalls:
    """All of them, by the number of the call.

    `patience_s` is how long a caller is kept waiting; `carry_out` carries a claimed operation out.
    """

    def __init__(
        self,
        step: Step,
        lock: threading.Lock,
        carry_out: Callable[[Operation], None],
        deferred: DeferredReplies,
        patience_s: float,
    ) -> None:
        self._step = step
        self._lock = lock
        self._carry_out = carry_out
        self._deferred = deferred
        self._patience_s = patience_s
        self._callers: dict[int, _Waiter | DeferredReply] = {}
        self._last_call = 0
        self._closed = False

    def __len__(self) -> int:
        return len(self._callers)

    # Without the lock:

    def call(self, call: Call) -> Reply:
        """Has the core answer a call; raises WireError where that is the answer."""
        waiter = _Waiter()
        with self._lock:
            call_id, claimed = self._begin(call, waiter)
        if claimed is not None:
            self._carry_out(claimed)
        if not waiter.wake_up.wait(self._patience_s):
            with self._lock:
                if self._callers.pop(call_id, None) is not None:
                    self._step(CallerLeft(call_id=call_id))
                    raise PostClosed(why="not decided yet")
        return waiter.result()

    def call_later(self, call: Call, answered: Answered) -> Callable[[], None] | None:
        """Has the core answer a call; `answered` gets the answer, on whichever thread has it, and must not block.

        Returns what the calling thread is to do next, once it may wait. Raises PostClosed if this peer has ended.
        """
        with self._lock:
            _, claimed = self._begin(call, self._deferred.defer(answered))
        self._deferred.hand_out()
        return None if claimed is None else partial(self._carry_out, claimed)

    def expire(self) -> bool:
        """Turns away the deferred ones that have waited for too long; returns whether others still wait."""
        now_s = time.monotonic()
        with self._lock:
            deferred = [(call_id, each) for call_id, each in self._callers.items() if isinstance(each, DeferredReply)]
            late = [call_id for call_id, each in deferred if each.due_s <= now_s]
            for call_id in late:
                self._step(CallerLeft(call_id=call_id))
                self.answer(call_id, PostClosed(why="not decided yet"))
        return len(late) < len(deferred)

    # Under the lock:

    def _begin(self, call: Call, caller: _Waiter | DeferredReply) -> tuple[int, Operation | None]:
        if self._closed:
            raise PostClosed(why="the peer is leaving")
        call_id = self._last_call = self._last_call + 1
        self._callers[call_id] = caller
        return call_id, self._step(RequestReceived(call_id=call_id, call=call), claims=True)

    def answer(self, call_id: int, reply: Reply | Failure) -> None:
        """Answers whoever waits for that call, if anybody still does."""
        caller = self._callers.pop(call_id, None)
        if isinstance(caller, DeferredReply):
            self._deferred.put(caller, reply)
        elif caller is not None:
            caller.reply = reply
            caller.wake_up.ring()

    def close(self) -> None:
        """Turns everybody away, and all who come from now on."""
        self._closed = True
        for call_id in list(self._callers):
            self.answer(call_id, PostClosed(why="the peer is leaving"))
