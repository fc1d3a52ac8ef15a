"""Elections on a timer: the trader in office is asked to resign once in so many seconds, as it may do by itself."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from nameserver.client import NameServerClient
from peers.errors import TownError, WireError
from peers.rpc.rpc_connection import CallFailed, RpcConnection

_TIMEOUT_S = 5.0  # No option: an answer takes a millisecond, and this only ends a measurement that has failed.
_JOIN_S = 30.0


class Resignations:
    """Used as a context manager: within, traders resign every `period_s`, the first of them after half of it.

    A trader that has gone by the time it is asked is not asked again; `asked` counts those that did resign.
    """

    def __init__(self, nameserver: tuple[str, int], period_s: float) -> None:
        self.asked = 0
        self._nameserver = nameserver
        self._period_s = period_s
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="resignations", daemon=True)

    def __enter__(self) -> Resignations:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(_JOIN_S)
        if kind is None and self._error is not None:
            raise TownError(f"the trader could not be asked to resign ({self._error})") from self._error

    def _run(self) -> None:
        due_s = time.monotonic() + self._period_s / 2
        try:
            while not self._ended.wait(max(0.0, due_s - time.monotonic())):
                self.asked += self._ask()
                due_s += self._period_s
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            self._error = error

    def _ask(self) -> bool:
        names = NameServerClient(*self._nameserver, _TIMEOUT_S)
        try:
            listed = names.trader()
        finally:
            names.close()
        if listed is None:
            return False
        line = RpcConnection(listed.uri, _TIMEOUT_S)
        try:
            line.call("resign")
        except (CallFailed, WireError):
            return False  # It left office between the two questions.
        finally:
            line.close()
        return True
