"""The replies: everybody is answered once, whoever has the answer."""

from __future__ import annotations

import threading

from peers.core.calls import Failure, Reply
from peers.rpc.deferred_replies import DeferredReplies
from tests.helpers.waiting import wait_until


class Callers:
    """Who was answered, and on which thread."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.late = threading.Event()
        self.replies = DeferredReplies(0.05, self.expire)

    def expire(self) -> bool:
        return not self.late.is_set()

    def answered(self, reply: Reply | Failure) -> None:
        del reply
        self.answers.append(threading.current_thread().name)


def test_answers_are_sent_by_the_thread_that_has_them() -> None:
    callers = Callers()
    for _ in range(100):
        callers.replies.put(callers.replies.defer(callers.answered), None)
    callers.replies.hand_out()
    assert callers.answers == [threading.current_thread().name] * 100
    callers.replies.close()
    callers.replies.join(5)


def test_what_is_put_elsewhere_is_sent_once_rung() -> None:
    callers = Callers()
    callers.replies.put(callers.replies.defer(callers.answered), None)
    callers.replies.ring()
    wait_until(lambda: callers.answers, what="the answer")
    callers.replies.close()
    callers.replies.join(5)


def test_closing_sends_what_is_ready() -> None:
    callers = Callers()
    callers.replies.put(callers.replies.defer(callers.answered), None)
    callers.replies.close()
    assert len(callers.answers) == 1
    callers.replies.join(5)
    callers.replies.hand_out()
    assert len(callers.answers) == 1
