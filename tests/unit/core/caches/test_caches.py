"""One suite for all caches of the stock: what each may say, and when it learns of what others sell."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any, get_args

import msgspec
import pytest

from peers.core.caches.base import StockCache
from peers.core.caches.policies import POLICIES, make_cache
from peers.core.commands import Send
from peers.core.context import Context
from peers.core.inputs import Now
from peers.core.ledger.log import Entry, Leasing
from peers.core.ledger.port import MakeBooks
from peers.core.ledger.post_state import PostState, UnsoundLog
from peers.core.market.records import Deposit, Lease, PurchaseRequest
from peers.core.market.runs import LONGEST
from peers.core.market.stock import Draft, Stock
from peers.core.membership.clocks import LamportStamp
from peers.core.messages import StockNews
from peers.core.settings import MarketSettings
from peers.core.trader.seat import Seat
from tests.helpers.deals import T0_MS, stock
from tests.helpers.shared_log import FISH, NORTH, SOUTH, decided, takes_office, trades
from tests.unit.core.words import peer, rules

TTL_S = 1.0


class Warehouse:
    """The south's trader, merchant9, and its cache over nine fish of the north."""

    def __init__(self, policy: str, area: str = SOUTH) -> None:
        self.ctx = Context(peer(9, "merchant"), rules(cache=policy, cache_ttl_s=TTL_S), Random(1), area)
        self.state = PostState()
        for entry in (takes_office(NORTH), takes_office(SOUTH), trades(NORTH, deposits=(FISH,))):
            self.state.take_in(entry)
        self.cache: StockCache = make_cache(self.ctx, self.state, Seat(area))
        self.asked = 0

    def passes(self, seconds: float) -> None:
        self.ctx.now = Now(mono_s=self.ctx.now.mono_s + seconds, wall_ms=T0_MS)

    def takes_in(self, entry: Entry) -> MakeBooks:
        return self.state.take_in(entry)

    def the_north_sells_all(self) -> MakeBooks:
        """The entry stands; whether the south learns of it is another matter."""
        seq, number = self.state.post.seq + 1, 100 + self.state.post.seq
        outcome = decided(NORTH, number, seq, self.left(), term=1)
        request = msgspec.structs.replace(outcome.accepted.request, quantity=self.left().remaining)
        accepted = msgspec.structs.replace(outcome.accepted, request=request)
        return self.takes_in(trades(NORTH, msgspec.structs.replace(outcome, accepted=accepted)))

    def left(self) -> Deposit:
        deposit = self.state.stock.get(FISH.offer.deposit_id)
        assert deposit is not None
        return deposit

    def says(self, quantity: int = 1) -> str | None:
        """What the cache says to somebody who wants so many fish."""
        self.asked += 1
        request = PurchaseRequest(
            request_id=f"q{self.asked}",
            buyer="buyer0",
            item="fish",
            quantity=quantity,
            clock=LamportStamp(lamport=self.asked),
        )
        return self.cache.foretell(request, ("buyer0", *self.state.post.in_office()))


each_policy = pytest.mark.parametrize("policy", POLICIES)
each_that_believes = pytest.mark.parametrize("policy", ["write-through", "push", "ttl"])
"""Those that promise what they only believe to be there."""


def test_every_policy_that_can_be_set_is_there() -> None:
    assert set(get_args(MarketSettings.model_fields["cache"].annotation)) == set(POLICIES)
    assert all(policy.sentence for policy in POLICIES.values())


@each_policy
def test_who_shares_with_nobody_needs_no_cache(policy: str) -> None:
    alone = Warehouse(policy, area="")
    assert alone.says() is None
    offers = alone.cache.offers("fish")
    assert offers is not None
    assert [each.remaining for each in offers] == [9]


def test_without_a_cache_a_search_reads_first_and_nothing_is_promised() -> None:
    warehouse = Warehouse("none")
    assert warehouse.cache.offers("fish") is None
    assert warehouse.says() is None


@each_that_believes
def test_no_more_is_promised_than_there_is_at_hand(policy: str) -> None:
    warehouse = Warehouse(policy)
    assert [warehouse.says(4), warehouse.says(4), warehouse.says(4)] == ["promised", "promised", "refused"]
    assert warehouse.says(1) == "promised"
    assert warehouse.says(1) == "refused"


@each_that_believes
def test_what_was_promised_is_free_again_once_that_is_settled(policy: str) -> None:
    warehouse = Warehouse(policy)
    assert warehouse.says(9) == "promised"
    assert warehouse.says(1) == "refused"
    warehouse.cache.settle("q1")
    assert warehouse.says(9) == "promised"


@each_that_believes
def test_own_sales_are_known_at_once(policy: str) -> None:
    warehouse = Warehouse(policy)
    changes = warehouse.takes_in(trades(SOUTH, decided(SOUTH, 7, 1, FISH)))
    warehouse.cache.on_own(changes.deposits, changes.place)
    assert [each.remaining for each in warehouse.cache.offers("fish") or ()] == [8]


@each_that_believes
def test_what_others_sold_is_not_known_by_itself(policy: str) -> None:
    warehouse = Warehouse(policy)
    warehouse.the_north_sells_all()
    assert warehouse.says(9) == "promised", "which will be told to be in vain"


@pytest.mark.parametrize(("policy", "known"), [("write-through", True), ("push", True), ("ttl", False)])
def test_what_was_read_is_known_unless_its_time_is_still_to_come(policy: str, known: bool) -> None:
    warehouse = Warehouse(policy)
    changes = warehouse.the_north_sells_all()
    warehouse.cache.on_read(changes.deposits, changes.place)
    warehouse.cache.on_end()
    assert warehouse.says() == ("refused" if known else "promised")


@pytest.mark.parametrize(("policy", "known"), [("write-through", False), ("push", True), ("ttl", False)])
def test_only_one_policy_listens_to_what_others_tell(policy: str, known: bool) -> None:
    warehouse = Warehouse(policy)
    changes = warehouse.the_north_sells_all()
    warehouse.cache.on_pushed(changes.deposits, changes.place)
    assert warehouse.says() == ("refused" if known else "promised")


@each_policy
def test_only_one_policy_tells_others_of_its_own_sales(policy: str) -> None:
    warehouse = Warehouse(policy)
    changes = warehouse.takes_in(trades(SOUTH, decided(SOUTH, 7, 1, FISH)))
    warehouse.cache.on_own(changes.deposits, changes.place)
    sent = [command for command in warehouse.ctx.take_commands() if isinstance(command, Send)]
    assert [(each.to.name, type(each.message)) for each in sent] == (
        [("merchant8", StockNews)] if policy == "push" else []
    )


def test_news_that_come_late_do_not_bring_back_what_is_gone() -> None:
    warehouse = Warehouse("push")
    early = warehouse.takes_in(trades(NORTH, decided(NORTH, 5, 1, FISH)))
    late = warehouse.the_north_sells_all()
    warehouse.cache.on_pushed(late.deposits, late.place)
    warehouse.cache.on_pushed(early.deposits, early.place)
    assert warehouse.says() == "refused"


def test_what_is_older_than_its_time_to_live_says_nothing_until_it_was_read_again() -> None:
    warehouse = Warehouse("ttl")
    warehouse.the_north_sells_all()
    warehouse.passes(TTL_S + 0.1)
    assert warehouse.says() is None
    assert warehouse.cache.offers("fish") is None
    warehouse.cache.on_end()
    assert warehouse.says() == "refused"


@each_that_believes
def test_nothing_is_promised_out_of_what_a_trader_or_the_buyer_itself_deposited(policy: str) -> None:
    warehouse = Warehouse(policy)
    request = PurchaseRequest(
        request_id="own", buyer="seller1", item="fish", quantity=1, clock=LamportStamp(lamport=1)
    )
    assert FISH.offer.seller == "seller1"
    assert warehouse.cache.foretell(request, ("seller1",)) == "refused"
    assert FISH.offer.price > Decimal(0)


# -- leases ------------------------------------------------------------------------------------------------


class Leaseholder(Warehouse):
    """The south's trader with three of the nine fish set aside for it."""

    def __init__(self, units: int = 3) -> None:
        super().__init__("lease")
        self.leases(units)

    def leases(self, units: int) -> None:
        leasing = Leasing(deposit=FISH.offer.deposit_id, units=units)
        changes = self.takes_in(msgspec.structs.replace(trades(SOUTH), leases=(leasing,)))
        self.cache.on_own(changes.deposits, changes.place)

    def sells(self, area: str, quantity: int, *, promised: bool = False) -> None:
        """A sale of fish is recorded at the post of an area. Raises UnsoundLog if it cannot be."""
        seq = self.state.post.seq + 1
        outcome = decided(area, 200 + seq, seq, self.left())
        request = msgspec.structs.replace(outcome.accepted.request, quantity=quantity)
        accepted = msgspec.structs.replace(outcome.accepted, request=request)
        foretold = "promised" if promised else None
        self.takes_in(trades(area, msgspec.structs.replace(outcome, accepted=accepted, foretold=foretold)))


def test_no_more_is_promised_than_is_leased_and_nothing_is_refused() -> None:
    south = Leaseholder(3)
    assert [south.says(2), south.says(2), south.says(1)] == ["promised", None, "promised"]
    assert south.cache.pinned("q1") == FISH.offer.deposit_id
    assert south.cache.pinned("q2") is None


def test_what_is_leased_is_sold_to_nobody_else() -> None:
    south = Leaseholder(3)
    south.sells(NORTH, 6)
    with pytest.raises(UnsoundLog, match="1 cannot be sold"):
        south.sells(NORTH, 1)
    with pytest.raises(UnsoundLog, match="1 cannot be sold"):
        south.sells(SOUTH, 1)


def test_what_was_promised_is_sold_out_of_the_lease_where_nothing_else_is_left() -> None:
    south = Leaseholder(3)
    south.sells(SOUTH, 1, promised=True)
    assert south.left().leases == (Lease(area=SOUTH, units=3),), "there was enough besides"
    south.sells(NORTH, 5)
    south.sells(SOUTH, 2, promised=True)
    assert (south.left().remaining, south.left().leases) == (1, (Lease(area=SOUTH, units=1),))


def test_a_lease_ends_with_the_term_of_its_trader() -> None:
    south = Leaseholder(3)
    freed = south.takes_in(takes_office(SOUTH, 2, "merchant7")).deposits
    assert [(each.offer.deposit_id, each.leases) for each in freed] == [(FISH.offer.deposit_id, ())]
    south.sells(NORTH, 9)


def test_no_more_can_be_leased_than_there_is() -> None:
    with pytest.raises(UnsoundLog, match="10 of d1 cannot be leased"):
        Leaseholder(10)


def test_what_people_ask_for_is_leased_and_given_back_when_they_do_not_any_more() -> None:
    south = Warehouse("lease")
    assert south.says() is None
    (wanted,) = south.cache.leases(Draft(south.state.stock))
    assert wanted == Leasing(deposit=FISH.offer.deposit_id, units=4), "half of what is free, for there are two areas"
    changes = south.takes_in(msgspec.structs.replace(trades(SOUTH), leases=(wanted,)))
    south.cache.on_own(changes.deposits, changes.place)
    south.passes(TTL_S + 0.1)
    assert south.cache.has_idle_leases
    assert south.cache.leases(Draft(south.state.stock)) == (Leasing(deposit=FISH.offer.deposit_id, units=0),)
    assert south.says() is None, "what the entry under way gives back is promised to nobody"


@each_policy
def test_a_request_for_more_than_anybody_has_does_not_look_at_all_deposits(
    policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = Warehouse(policy)
    small = tuple(stock(f"small{n}", 1, seller="seller.north") for n in range(3000))
    changes = warehouse.takes_in(trades(NORTH, deposits=small))
    warehouse.cache.on_read(changes.deposits, changes.place)
    warehouse.cache.on_end()
    looks: list[str] = []
    monkeypatch.setattr(Stock, "holding", _noted(Stock.holding, looks))
    monkeypatch.setattr(Draft, "free", _noted(Draft.free, looks))
    for _ in range(20):
        assert warehouse.says(10) != "promised"
        warehouse.cache.leases(Draft(warehouse.state.stock))
    assert len(looks) < 20 * 2 * LONGEST


def _noted(method: Callable[[Any, str], object], looks: list[str]) -> Callable[[Any, str], object]:
    def noting(self: Any, deposit_id: str) -> object:
        looks.append(deposit_id)
        return method(self, deposit_id)

    return noting
