"""Customers from outside who never stop: a process of its own with a thread for each, and a journal for each.

`python -m peers.chaos.crowd CONFIG` trades until its standard input ends, lets everybody finish what they are about,
and prints a line of JSON: what came of it all. What they were told is in their journals, which the audit holds
against the books like those of the peers. Once the chaos run has died there is nobody to tell, and it ends at once:
the next run may want the same directory.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import msgspec

from nameserver.client import NameServerClient
from peers.chaos.switch.faults import CUSTOMERS
from peers.core.names import ITEMS
from peers.customer import Customer
from peers.errors import TownError
from peers.runtime.faults.through_switch import reach_through

# The load of every chaos run is the same, so that their figures compare. So none of these is an option.
_PAUSE_S = (0.02, 0.08)
_LOT = 20  # Units a customer deposits when something is sold out.
_SEARCHES = 0.3  # After so many purchases a customer searches, and after so many it looks for an outcome.
_LOOK_UPS = 0.15
_REMEMBERED = 50  # Of so many requests it may look for the outcome.
_NEW_S = (0.1, 0.4)  # From one new customer to the next: each asks the name server, and buys once.
_WAITS_S = 0.25  # Whoever waits for the name server for longer is noted.
_AGAIN_S = 0.05
_FINISH_S = 40.0  # A little more than a customer's patience.
_LOOKS_S = 0.05  # So often one process looks whether the other still lives.


class CrowdConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is told."""

    host: str
    port: int
    directory: str
    customers: int
    seed: int
    switch: int | None = None  # The port of the switch that they reach everybody through.
    run: int = msgspec.field(default_factory=os.getpid)  # The process of the chaos run, which tells this one.


class Waited(msgspec.Struct, frozen=True, kw_only=True):
    """A new customer that had to wait for the name server; `at_s` is when it came, by the monotonic clock."""

    at_s: float
    waited_s: float


class CrowdTally(msgspec.Struct, kw_only=True):
    """What came of all of it. `unanswered`: calls that got no answer for as long as a customer waits."""

    asked: int = 0
    sold: int = 0
    unanswered: int = 0
    why: str = ""  # Says why the last unanswered call got no answer.
    waited: list[Waited] = []


def _trade(config: CrowdConfig, number: int, enough: threading.Event, tally: CrowdTally) -> None:
    """One customer's life: buys, and brings what there is none of."""
    rng = random.Random(f"{config.seed}/{number}")
    missing: str | None = None
    known: deque[str] = deque(maxlen=_REMEMBERED)
    with Customer(config.host, config.port, name=f"customer{number}", directory=Path(config.directory)) as customer:
        while not enough.wait(rng.uniform(*_PAUSE_S)):
            try:
                if missing is not None:
                    customer.deposit(missing, _LOT, f"{rng.randint(500, 1000) / 100:.2f}")
                    missing = None
                item = rng.choice(ITEMS)
                tally.asked += 1
                outcome = customer.buy(item, rng.choice((1, 1, 1, 2, 3)))
            except TownError as error:
                tally.unanswered += 1
                tally.why = str(error)
                continue
            if outcome["status"] == "sold":
                tally.sold += 1
            else:
                missing = item
            known.append(outcome["request_id"])
            try:
                _look(customer, rng, known)
            except TownError as error:
                tally.unanswered += 1
                tally.why = str(error)


def _keep_coming(config: CrowdConfig, enough: threading.Event, tally: CrowdTally) -> None:
    """New customers, one after the other: only who is new needs the name server."""
    rng = random.Random(f"{config.seed}/new")
    number = 0
    while not enough.wait(rng.uniform(*_NEW_S)):
        number += 1
        came_s = time.monotonic()
        while not _is_known_who_trades(config) and not enough.is_set():
            enough.wait(_AGAIN_S)
        waited_s = time.monotonic() - came_s
        if waited_s > _WAITS_S:
            tally.waited.append(Waited(at_s=came_s, waited_s=round(waited_s, 3)))
        try:
            with Customer(config.host, config.port, name=f"newcomer{number}") as customer:
                tally.asked += 1
                tally.sold += customer.buy(rng.choice(ITEMS))["status"] == "sold"
        except TownError as error:
            tally.unanswered += 1
            tally.why = str(error)


def _is_known_who_trades(config: CrowdConfig) -> bool:
    """Whether the name server answers, whomever it names."""
    try:
        with NameServerClient(config.host, config.port) as names:
            names.trader()
    except TownError:
        return False
    return True


def _look(customer: Customer, rng: random.Random, known: Sequence[str]) -> None:
    """Now and then a customer looks at what there is, or what became of a request: the audit judges what it saw."""
    drawn = rng.random()
    if drawn < _SEARCHES:
        customer.search(rng.choice((None, *ITEMS)))
    elif drawn < _SEARCHES + _LOOK_UPS:
        customer.outcome(rng.choice((*known, f"{known[-1]}-never")))


def _total(tallies: list[CrowdTally]) -> CrowdTally:
    return CrowdTally(
        asked=sum(tally.asked for tally in tallies),
        sold=sum(tally.sold for tally in tallies),
        unanswered=sum(tally.unanswered for tally in tallies),
        why=next((tally.why for tally in tallies if tally.why), ""),
        waited=[each for tally in tallies for each in tally.waited],
    )


def _finished(threads: Sequence[threading.Thread], run: int) -> bool:
    """Waits until everybody has finished, or has had the time to; False as soon as the chaos run has died.

    It ends our input in either case, and may die later. So what tells is whether it is still our parent."""
    deadline_s = time.monotonic() + _FINISH_S
    while os.getppid() == run:
        if time.monotonic() > deadline_s or not any(thread.is_alive() for thread in threads):
            return True
        time.sleep(_LOOKS_S)
    return False


def _end_all(fault: threading.ExceptHookArgs) -> None:
    """Ends the process, for who met a fault of this program would pass for a customer that had nothing to ask."""
    threading.__excepthook__(fault)
    os._exit(1)


def main() -> None:
    """The process."""
    config = msgspec.json.decode(sys.argv[1], type=CrowdConfig)
    threading.excepthook = _end_all
    if config.switch is not None:
        reach_through(config.switch, CUSTOMERS)
    enough = threading.Event()
    tallies = [CrowdTally() for _ in range(config.customers)]
    threads = [
        threading.Thread(target=_trade, args=(config, number, enough, tally), daemon=True)
        for number, tally in enumerate(tallies)
    ]
    tallies.append(CrowdTally())
    threads.append(threading.Thread(target=_keep_coming, args=(config, enough, tallies[-1]), daemon=True))
    for thread in threads:
        thread.start()
    sys.stdin.buffer.read()
    enough.set()
    if _finished(threads, config.run):
        print(msgspec.json.encode(_total(tallies)).decode(), flush=True)


class Crowd:
    """The process, seen from the chaos run."""

    def __init__(self, config: CrowdConfig, log: Path) -> None:
        self._log = log
        with log.open("ab") as complaints:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "peers.chaos.crowd", msgspec.json.encode(config).decode()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                start_new_session=True,  # The terminal's Ctrl-C is for the run alone.
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    async def gone(self) -> None:
        """Returns once the process has ended: before `finish`, that is a fault."""
        while self._process.poll() is None:
            await asyncio.sleep(_LOOKS_S)

    def finish(self) -> CrowdTally:
        """Has everybody finish; returns what came of it. TownError if the process cannot say."""
        try:
            said, _ = self._process.communicate(timeout=_FINISH_S + 5.0)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise TownError(f"the customers did not finish in time; see {self._log}") from error
        if self._process.returncode != 0 or not said:
            raise TownError(f"the customers died (exit code {self._process.returncode}); see {self._log}")
        return msgspec.json.decode(said, type=CrowdTally)

    def kill(self) -> None:
        """Ends it at once, if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


if __name__ == "__main__":
    main()
