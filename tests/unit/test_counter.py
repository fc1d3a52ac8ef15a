"""The counter: everybody is answered once, whoever has the answer."""

from __future__ import annotations

import threading

from peers.core.calls import Failure, Reply
from peers.host.counter import Counter
from tests.hosting import wait_until


class Callers:
    """Who was answered, and on which thread."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.late = threading.Event()
        self.counter = Counter(0.05, self.expire)

    def expire(self) -> bool:
        return not self.late.is_set()

    def answered(self, reply: Reply | Failure) -> None:
        del reply
        self.answers.append(threading.current_thread().name)


def test_answers_are_sent_by_the_thread_that_has_them() -> None:
    callers = Callers()
    for _ in range(100):
        callers.counter.put(callers.counter.ticket(callers.answered), None)
    callers.counter.hand_out()
    assert callers.answers == [threading.current_thread().name] * 100
    callers.counter.close()
    callers.counter.join(5)


def test_what_is_put_elsewhere_is_sent_once_rung() -> None:
    callers = Callers()
    callers.counter.put(callers.counter.ticket(callers.answered), None)
    callers.counter.ring()
    wait_until(lambda: callers.answers, what="the answer")
    callers.counter.close()
    callers.counter.join(5)


def test_closing_sends_what_is_ready() -> None:
    callers = Callers()
    callers.counter.put(callers.counter.ticket(callers.answered), None)
    callers.counter.close()
    assert len(callers.answers) == 1
    callers.counter.join(5)
    callers.counter.hand_out()
    assert len(callers.answers) == 1
