"""How much slower a program runs on a busy machine than alone: what a limit in seconds has to be held against."""

from __future__ import annotations

import threading
import time
from types import TracebackType

_WORK_S = 0.01
_PAUSE_S = 0.1


class Slowness:
    """Works a little again and again while it is entered, and sees how long that takes. `factor` is 1 on a machine
    with processors to spare, and n where a program gets every n-th moment only."""

    def __init__(self) -> None:
        self._worked_s = self._took_s = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Slowness:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def factor(self) -> float:
        return max(self._took_s / self._worked_s, 1.0) if self._worked_s else 1.0

    def _work(self) -> None:
        while not self._ended.wait(_PAUSE_S):
            began_s, worked_s = time.monotonic(), time.thread_time()
            while time.thread_time() - worked_s < _WORK_S:
                pass
            self._worked_s += time.thread_time() - worked_s
            self._took_s += time.monotonic() - began_s
