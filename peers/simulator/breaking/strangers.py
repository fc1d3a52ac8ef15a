"""A customer that is no peer: buys over its own connection, asks twice, and sometimes asks nonsense.

The contract lets anybody be the trader's customer. What a stranger is told counts as much as what a peer is told, and
nothing it sends may change anything but by the rules.
"""

from __future__ import annotations

from random import Random

from peers.core.calls import AskOutcome, Buy, Call, MakeDeposit, Search, Standing
from peers.core.market.money import to_money
from peers.core.market.records import Offer, PurchaseRequest
from peers.core.membership.clocks import LamportStamp, Stamp, VectorStamp
from peers.core.names import ITEMS
from peers.core.settings import Settings
from peers.simulator.environment.environment import Environment

_PAUSE_S = 0.15  # between two calls, in the mean
_FAR_AHEAD = 10**9  # a forged clock, which the trader must refuse


def last_purchase(name: str, settings: Settings) -> Buy:
    """A purchase by somebody who was never here before."""
    stamp: Stamp = VectorStamp(vector={name: 1}) if settings.clock == "vector" else LamportStamp(lamport=1)
    return Buy(
        request=PurchaseRequest(
            request_id=f"{name}-1", buyer=name, item=settings.market.items[0], quantity=1, clock=stamp
        )
    )


class Stranger:
    """Calls whoever seems to be trader, now and then, until it is stopped."""

    def __init__(self, environment: Environment, rng: Random, name: str) -> None:
        self._environment = environment
        self._schedule = environment.schedule
        self._rng = rng
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
        self._environment.network.call_from_outside(target, self._pick())
        self._schedule.push(self._schedule.now_s + 2 * _PAUSE_S * self._rng.random(), self._call, None, None)

    def _pick(self) -> Call:
        rng, draw = self._rng, self._rng.random()
        if draw < 0.4 or not self._requests:
            return Buy(request=self._request(f"{self._name}-{len(self._requests) + 1}"))
        known = rng.choice(self._requests)
        if draw < 0.6:
            return Buy(request=known)  # hears nothing, asks again
        if draw < 0.7:
            return Buy(request=self._request(known.request_id))  # the same id for something else
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
