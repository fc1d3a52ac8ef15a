"""A town for one measurement: started by the command itself, with empty books, and audited when it ends.

Unless asked to, its peers do not trade by themselves, so that the only load is the experiment's; the goods come from
a warehouse that does not run out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from peers.customer import Customer
from peers.errors import TownError
from peers.town.files.directory import Directory, TownState
from peers.waiting import wait_until

_BAZAAR = (sys.executable, "-c", "from peers.cli.main import main; main()")
# None of these is an option: the times only end a measurement that has failed.
_START_S = 60.0
_STOP_S = 60.0
_LOOK_S = 0.02
_STOCK = 1_000_000  # More than any experiment buys.
_AUDIT_EXIT_CODES = (0, 1, 2)
_OF_THE_USER = "BAZAAR_"
"""So the variables begin by which whoever measures says where a town or books are: that is not this town."""


class PrivateTown:
    """One town in `directory`, which is emptied first. `options` are those of `bazaar run`; `clock` is what its
    customers keep, and has to be that of its options.

    Used as a context manager: open on entry; on exit closed, and its audit's exit code is in `audit_code`. What it
    said is in `said` (a file beside the directory's logs).
    """

    def __init__(
        self,
        directory: Path,
        peers: int,
        options: Iterable[str] = (),
        *,
        seed: int | None = None,
        trades: bool = False,
        clock: str = "lamport",
    ) -> None:
        self.clock = clock
        self.directory = Directory(directory)
        self.said = self.directory.logs / "terminal.log"
        self.audit_code: int | None = None
        self._arguments = ["run", "localhost", str(peers), "--dir", str(directory), "--quiet", *options]
        if not trades:
            self._arguments.append("--no-trade")
        if seed is not None:
            self._arguments += ["--seed", str(seed)]
        self._process: subprocess.Popen[bytes] | None = None
        self._state: TownState | None = None

    def __enter__(self) -> PrivateTown:
        if self.directory.in_use():
            raise TownError(f"a town runs in {self.directory.path}: end it, or choose another --out")
        if self.directory.path.exists():
            shutil.rmtree(self.directory.path)
        self.directory.make()
        with self.said.open("wb") as said:
            self._process = subprocess.Popen(
                [*_BAZAAR, *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env={name: value for name, value in os.environ.items() if not name.startswith(_OF_THE_USER)},
                start_new_session=True,  # A Ctrl-C is for the experiment, which ends the town in order.
            )
        try:
            self._state = self._wait_open(self._process)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        code = self._end()
        if kind is None and code not in _AUDIT_EXIT_CODES:
            raise TownError(f"the town ended with exit code {code}: see {self.said}")
        self.audit_code = code

    def customer(self, name: str, area: str = "") -> Customer:
        """A customer from outside, with a journal that the audit reads; of that area, where the town has several."""
        assert self._state is not None
        state = self._state
        return Customer(
            state.nameserver_host,
            state.nameserver_port,
            name=name,
            clock=self.clock,
            directory=self.directory.area(area).path,
            area=area,
        )

    def stock_up(self, item: str, price: str = "7.00", area: str = "") -> None:
        """Deposits more of `item` than anybody will buy. The seller is not the customer: nobody buys from itself."""
        with self.customer("warehouse", area) as warehouse:
            warehouse.deposit(item, _STOCK, price)

    def _wait_open(self, process: subprocess.Popen[bytes]) -> TownState:
        def opened() -> TownState | None:
            state = self.directory.running_town()
            if state is not None and state.phase == "open":
                return state
            if process.poll() is not None:
                last = self.said.read_text(errors="replace").strip().splitlines()[-1:]
                raise TownError(f"the town could not start: {' '.join(last) or f'see {self.said}'}")
            return None

        state = wait_until(opened, _START_S, look_s=_LOOK_S)
        if state is None:
            raise TownError(f"the town did not open in {_START_S:g} s: see {self.said}")
        return state

    def _end(self) -> int:
        assert self._process is not None
        if self._process.poll() is None:
            # SIGINT would not do: in a background job, the town ignores it as the experiment does.
            self._process.terminate()
        try:
            return self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
