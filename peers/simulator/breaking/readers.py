"""Customers that only look: what can be bought, and what became of requests, of whoever seems to be trader.

Each asks for one thing after another, says what it was told before (`since`), and writes down what it saw, in the
form of a customer's journal. It draws from a stream of its own.
"""

from __future__ import annotations

from random import Random

from db.audit.history.digest import seen_digest
from peers.core.calls import AskOutcome, AsOf, Failure, OnOffer, Reply, Search
from peers.core.ledger.log import NOWHERE
from peers.core.market.records import Outcome
from peers.errors import WireError
from peers.simulator.environment.environment import Environment
from peers.simulator.environment.process import Process

_PAUSE_S = 0.1  # Lies between two readings, in the mean.
_TIMEOUT_S = 2.0
_TRUE_TO_ONE = 0.4  # In so many cases it asks whom it asked last, be that one deposed.
_ROWS_NOTED = 8


class Reader:
    """One customer, from the beginning of a schedule to the end of its faults."""

    def __init__(self, environment: Environment, name: str, seed: int) -> None:
        self._environment = environment
        self._schedule = environment.schedule
        self._rng = Random(f"{name} {seed}")
        self._name = name
        # As of what it was told something, wherever: areas have one log here, and so its places compare.
        self._told: AsOf | None = None
        self._last: Process | None = None
        # The number of the reading at hand; an answer to an earlier one comes too late.
        self._number = 0
        self._stopped = False

    def start(self) -> None:
        """Begins to look."""
        self._schedule.push(self._schedule.now_s + _PAUSE_S * self._rng.random(), self._ask, None, None)

    def stop(self) -> None:
        """Looks no more."""
        self._stopped = True

    def _ask(self, _: None, __: None) -> None:
        live = self._environment.lives.live()
        if self._stopped or not live:
            return
        self._number += 1
        number, asked_s, target = self._number, self._schedule.now_s, self._target(live)
        self._last = target
        call = self._pick()

        def hear(reply: Reply | Failure) -> None:
            if number == self._number:
                self._hear(call, asked_s, target.area, reply)
                self._next(number)

        self._environment.network.call_from_outside(target, call, hear)
        self._schedule.push(asked_s + _TIMEOUT_S, self._give_up, None, number)

    def _target(self, live: list[Process]) -> Process:
        if self._last is not None and self._last.up and self._rng.random() < _TRUE_TO_ONE:
            return self._last
        held = [process for process in live if process.view.in_office]
        return self._rng.choice(held if held and self._rng.random() < 0.9 else live)

    def _pick(self) -> Search | AskOutcome:
        since = self._told
        known = self._environment.judge.known_requests
        if not known or self._rng.random() < 0.6:
            return Search(item=self._rng.choice((None, *self._environment.settings.market.items)), since=since)
        newest = known[-self._rng.randint(1, min(len(known), 10)) :]
        return AskOutcome(request_id=self._rng.choice(newest), since=since)

    def _give_up(self, _: None, number: int) -> None:
        if number == self._number:
            self._next(number)

    def _next(self, number: int) -> None:
        del number
        self._number += 1
        pause_s = 2 * _PAUSE_S * self._rng.random()
        self._schedule.push(self._schedule.now_s + pause_s, self._ask, None, None)

    def _hear(self, call: Search | AskOutcome, asked_s: float, area: str, reply: Reply | Failure) -> None:
        if isinstance(reply, WireError):
            return
        words: dict[str, object] = {"asked_us": int(asked_s * 1_000_000)}
        if isinstance(call, Search):
            assert isinstance(reply, OnOffer), reply
            as_of, rows = reply.as_of, [(each.offer.deposit_id, each.remaining) for each in reply.deposits]
            within_ms = round(1000 * self._environment.settings.ledger.max_staleness_s)
            words |= {"what": "search", "item": call.item, "area": reply.area, "within_ms": within_ms}
            words |= {"term": as_of.term, "seq": as_of.seq, "place": as_of.place}
            words |= {"rows": len(rows), "digest": seen_digest(rows), "first": rows[:_ROWS_NOTED]}
            self._take_in(as_of, area)
            self._environment.record.saw("a customer saw what can be bought")
        else:
            decided = isinstance(reply, Outcome)
            undone = isinstance(reply, Outcome) and reply.taken_back is not None
            seq = reply.seq if isinstance(reply, Outcome) else None
            if isinstance(reply, Outcome):
                place = reply.taken_back.place if reply.taken_back is not None else NOWHERE
                self._take_in(AsOf(term=reply.term, seq=reply.seq, place=place), area)
            state = "taken_back" if undone else "decided" if decided else "none"
            words |= {"what": "outcome", "request_id": call.request_id, "state": state, "seq": seq}
            self._environment.record.saw(f"a customer looked up a request that was {_SAID[state]}")
        self._environment.judge.on_read(self._name, words)

    def _take_in(self, as_of: AsOf, area: str) -> None:
        self._told = as_of.joined(self._told or as_of, shared=bool(area))


_SAID = {"taken_back": "taken back", "decided": "decided", "none": "undecided"}
