"""A customer that is no peer: buys over its own connection, asks twice, and sometimes asks nonsense.

Anybody may be the trader's customer. What a stranger is told counts as much as what a peer is told, and nothing it
sends may change anything but by the rules. What is beyond the limits of the market gets no further than the edge,
here as in a real peer: by the same code.
"""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from peers.core.bounds import MAX_TIME
from peers.core.calls import AskOutcome, Buy, Call, MakeDeposit, Search, Standing, check_call
from peers.core.market.limits import MAX_ID_LENGTH, MAX_PRICE, MAX_QUANTITY
from peers.core.market.money import CENT, to_money
from peers.core.market.records import Offer, PurchaseRequest
from peers.core.membership.clocks import LamportStamp, Stamp, VectorStamp
from peers.core.names import ITEMS
from peers.core.settings import Settings
from peers.errors import BadRequest
from peers.simulator.environment.environment import Environment

_PAUSE_S = 0.15  # Lies between two calls, in the mean.
_FAR_AHEAD = 10**9  # The time of a forged clock, which the trader must refuse.


def last_purchase(name: str, settings: Settings) -> Buy:
    """A purchase by somebody who was never here before."""
    stamp: Stamp = VectorStamp(vector={name: 1}) if settings.clock == "vector" else LamportStamp(lamport=1)
    return Buy(
        request=PurchaseRequest(
            request_id=f"{name}-1", buyer=name, item=settings.market.items[0], quantity=1, clock=stamp
        )
    )


def beyond_limits(name: str, settings: Settings) -> list[tuple[str, Call]]:
    """Returns calls of the customer `name` that must be refused, each with the field that is to be blamed."""
    request = last_purchase(name, settings).request
    clock: Stamp = LamportStamp(lamport=1) if settings.clock == "vector" else VectorStamp(vector={name: 1})
    late: Stamp = (
        VectorStamp(vector={name: MAX_TIME, "buyer0": 1})
        if settings.clock == "vector"
        else LamportStamp(lamport=MAX_TIME + 1)
    )
    offer = Offer(
        deposit_id=f"{name}-d", seller=name, item=request.item, quantity=1, price=MAX_PRICE, clock=request.clock
    )
    bought: list[dict[str, Any]] = [
        {"quantity": 0}, {"quantity": MAX_QUANTITY + 1}, {"item": "dodo"}, {"request_id": "one two"},
        {"request_id": "r" * (MAX_ID_LENGTH + 1)}, {"buyer": f"../{name}"}, {"clock": clock}, {"clock": late},
    ]  # fmt: skip
    deposited: list[dict[str, Any]] = [
        {"price": MAX_PRICE + CENT}, {"price": CENT / 10}, {"price": 0 * CENT}, {"quantity": -1}, {"deposit_id": ""},
        {"seller": "a/b"}, {"item": ""}, {"clock": clock},
    ]  # fmt: skip
    replaced = msgspec.structs.replace
    calls: list[tuple[str, Call]] = [(next(iter(b)), Buy(request=replaced(request, **b))) for b in bought]
    calls += [(next(iter(d)), MakeDeposit(offer=replaced(offer, **d))) for d in deposited]
    calls += [("request_id", AskOutcome(request_id="?")), ("item", Search(item="dodo"))]
    calls += [("seller", Standing(seller="", after_seq=0)), ("after_seq", Standing(seller=name, after_seq=-1))]
    return calls


class Stranger:
    """Calls whoever seems to be trader, now and then, until it is stopped."""

    def __init__(self, environment: Environment, key: int, name: str) -> None:
        self._environment = environment
        self._schedule = environment.schedule
        self._rng = Random(key)
        # It draws from a stream of its own, so that calls beyond the limits change nothing else of the schedule.
        self._odd_rng = Random(f"beyond the limits {key}")
        self._name = name
        self._requests: list[PurchaseRequest] = []
        self._stopped = False

    def start(self) -> None:
        self._environment.record.note(None, f"{self._name} comes to buy")
        self._schedule.push(self._schedule.now_s, self._call, None, None)

    def stop(self) -> None:
        self._stopped = True

    def _call(self, _: None, __: None) -> None:
        live = self._environment.lives.live()
        if self._stopped or not live:
            return
        held = [p for p in live if p.view.in_office]
        target = self._rng.choice(held if held and self._rng.random() < 0.8 else live)
        call = self._pick()
        settings = self._environment.settings
        check_call(call, settings.market.items, settings.clock)
        self._try_beyond_limits(settings)
        self._environment.network.call_from_outside(target, call)
        self._schedule.push(self._schedule.now_s + 2 * _PAUSE_S * self._rng.random(), self._call, None, None)

    def _try_beyond_limits(self, settings: Settings) -> None:
        field, call = self._odd_rng.choice(beyond_limits(self._name, settings))
        try:
            check_call(call, settings.market.items, settings.clock)
        except BadRequest as refusal:
            if refusal.field == field:
                return
        self._environment.record.violate("limits_hold", f"{self._name} was not refused for its {field}: {call}")

    def _pick(self) -> Call:
        rng, draw = self._rng, self._rng.random()
        if draw < 0.4 or not self._requests:
            return Buy(request=self._request(f"{self._name}-{len(self._requests) + 1}"))
        known = rng.choice(self._requests)
        if draw < 0.6:
            return Buy(request=known)  # As one who heard nothing, and asks again.
        if draw < 0.7:
            return Buy(request=self._request(known.request_id))  # The same id is used for something else.
        if draw < 0.8:
            return AskOutcome(request_id=rng.choice((known.request_id, "nobody-1")))
        if draw < 0.9:
            return Search(item=rng.choice((None, "fish")))
        if draw < 0.95:
            return Standing(seller=self._name, after_seq=0)
        return MakeDeposit(
            offer=Offer(
                deposit_id=f"{self._name}-d{rng.randint(1, 3)}",
                seller=self._name,
                item=rng.choice(ITEMS),
                quantity=2,
                price=to_money("7.77"),
                clock=self._stamp(),
            )
        )

    def _request(self, request_id: str) -> PurchaseRequest:
        request = PurchaseRequest(
            request_id=request_id,
            buyer=self._name,
            item=self._rng.choice(ITEMS),
            quantity=self._rng.randint(1, 2),
            clock=self._stamp(),
        )
        self._requests.append(request)
        return request

    def _stamp(self) -> Stamp:
        time = self._rng.choice((1, self._rng.randint(1, 60), _FAR_AHEAD))
        if self._environment.settings.clock == "vector":
            return VectorStamp(vector={self._name: time})
        return LamportStamp(lamport=time)
