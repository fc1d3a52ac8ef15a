"""The words in which the tests of the core speak: peers, requests, offers, deposits, outcomes, clocks."""

from __future__ import annotations

from decimal import Decimal

from peers.core.market.money import to_money
from peers.core.market.records import Accepted, Deposit, Offer, Outcome, PurchaseRequest
from peers.core.market.rules import decide
from peers.core.market.stock import Draft, Stock
from peers.core.membership.clocks import LamportStamp
from peers.core.membership.members import Member
from peers.core.names import Role, peer_name
from peers.core.settings import Settings, make_settings

T0_MS = 1_800_000_000_000


def at(time: int) -> LamportStamp:
    return LamportStamp(lamport=time)


def peer(rank: int, role: Role = "buyer", *, incarnation: int = 1, up: bool = True) -> Member:
    name = peer_name(role, rank)
    return Member(rank=rank, name=name, role=role, uri=f"uri-of-{name}", incarnation=incarnation, up=up)


def wants(
    request_id: str, item: str = "fish", quantity: int = 1, *, buyer: str = "buyer0", clock: int = 1
) -> PurchaseRequest:
    return PurchaseRequest(request_id=request_id, buyer=buyer, item=item, quantity=quantity, clock=at(clock))


def offers(
    deposit_id: str,
    item: str = "fish",
    quantity: int = 10,
    price: str = "7",
    *,
    seller: str = "seller1",
    clock: int = 1,
) -> Offer:
    return Offer(
        deposit_id=deposit_id, seller=seller, item=item, quantity=quantity, price=to_money(price), clock=at(clock)
    )


def deposited(offer: Offer, *, remaining: int | None = None, term: int = 1) -> Deposit:
    left = offer.quantity if remaining is None else remaining
    return Deposit(offer=offer, remaining=left, deposited_at_ms=T0_MS, term=term)


def accepted(request: PurchaseRequest, *, arrival: int = 1, term: int = 1) -> Accepted:
    return Accepted(request=request, arrival=arrival, queued_at_ms=T0_MS, queued_term=term)


def decided(
    request: PurchaseRequest, goods: Offer | None = None, *, seq: int = 1, term: int = 1, trader: str = "merchant9"
) -> Outcome:
    """What a trader makes of `request`: sold out of `goods`, unavailable where there are none."""
    return decide(
        accepted(request, arrival=seq),
        Draft(Stock([deposited(goods)] if goods is not None else [])),
        seq=seq,
        term=term,
        trader=trader,
        now_ms=T0_MS,
        commission_rate=Decimal("0.20"),
    )


def rules(
    *, timing: dict[str, object] | None = None, clock: str = "lamport", election: str = "bully", **market: object
) -> Settings:
    """The settings, with these of the market (and of the timing) changed, and what has to wait queued at once."""
    return make_settings(
        {
            "market": market,
            "timing": {"queue_after_s": 0.0, "group_commit_delay_s": 0.0, **(timing or {})},
            "clock": clock,
            "election": election,
        }
    )
