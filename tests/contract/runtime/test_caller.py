"""What a peer asks the trader and what a trader tells sellers, when the other side hangs or talks nonsense."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from decimal import Decimal

import pytest
from Pyro5.server import expose

from peers.core.calls import Buy, Failure, MakeDeposit, Reply, Search, Standing, Unreachable
from peers.core.commands import CallTrader, NotifySales
from peers.core.market.records import Accepted, Deposit, Offer, Outcome, PurchaseRequest
from peers.core.membership.clocks import LamportStamp
from peers.core.membership.members import Member
from peers.errors import NotTrader
from peers.rpc import wire
from peers.rpc.forms import public_form
from peers.rpc.serving.server import Server
from peers.runtime.trader_client import SaleNotifier, TraderClient
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.timeout(30)

STAMP = LamportStamp(lamport=1)
REQUEST = PurchaseRequest(request_id="r", buyer="buyer0", item="fish", quantity=1, clock=STAMP)
OFFER = Offer(deposit_id="d", seller="seller0", item="fish", quantity=1, price=Decimal("7.20"), clock=STAMP)
OUTCOME = Outcome(
    accepted=Accepted(request=REQUEST, arrival=1, queued_at_ms=1, queued_term=1),
    seq=1,
    term=1,
    trader="seller1",
    decided_at_ms=2,
    reason="nobody has enough of it",
)


@expose
class Trader:
    """Answers, hangs, refuses or talks nonsense, as told; and is a seller that hears of sales."""

    def __init__(self) -> None:
        self.mood = "fine"
        self.heard: list[int] = []
        self.release = threading.Event()

    def buy(self, request: dict[str, object]) -> object:
        assert request == public_form.request_dict(REQUEST)
        if self.mood == "hangs":
            self.release.wait(10)
        if self.mood == "refuses":
            raise NotTrader(trader="buyer9", term=4)
        return public_form.outcome_dict(OUTCOME) if self.mood == "fine" else {"_id": 7}

    def deposit(self, offer: dict[str, object]) -> object:
        assert offer == public_form.offer_dict(OFFER)
        return public_form.deposit_dict(Deposit(offer=OFFER, remaining=1, deposited_at_ms=1, term=1))

    def told(self, packed: bytes) -> None:
        if self.mood == "hangs":
            self.release.wait(10)
        self.heard += [outcome.seq for outcome in wire.unpack_sales(packed)]


class Served:
    def __init__(self, rank: int) -> None:
        self.trader = Trader()
        self.server = Server("127.0.0.1", self.trader, f"seller{rank}")
        self.server.start()
        self.member = Member(rank=rank, name=f"seller{rank}", role="seller", uri=self.server.uri, incarnation=1)

    def close(self) -> None:
        self.trader.release.set()
        self.server.close()


@pytest.fixture
def served() -> Iterator[tuple[Served, Served]]:
    both = (Served(1), Served(2))
    yield both
    for one in both:
        one.close()


class Asking:
    def __init__(self) -> None:
        self.replies: dict[int, Reply | Failure] = {}
        self.asker = TraderClient(5.0, self.replies.__setitem__)

    def ask(self, ask_id: int, trader: Member, call: Buy | MakeDeposit | Standing | Search) -> None:
        self.asker.ask(CallTrader(ask_id=ask_id, trader=trader, call=call))

    def reply(self, ask_id: int) -> Reply | Failure:
        wait_until(lambda: ask_id in self.replies, what=f"reply {ask_id}", deadline_s=4)
        return self.replies[ask_id]


@pytest.fixture
def asking() -> Iterator[Asking]:
    asking = Asking()
    yield asking
    asking.asker.stop()
    asking.asker.join(2.0)


def test_answers_are_the_cores_own_types(served: tuple[Served, Served], asking: Asking) -> None:
    asking.ask(1, served[0].member, Buy(request=REQUEST))
    asking.ask(2, served[0].member, MakeDeposit(offer=OFFER))
    assert asking.reply(1) == OUTCOME
    deposit = asking.reply(2)
    assert isinstance(deposit, Deposit)
    assert deposit.offer == OFFER


def test_failures_say_what_is_known(served: tuple[Served, Served], asking: Asking) -> None:
    served[0].trader.mood = "refuses"
    asking.ask(1, served[0].member, Buy(request=REQUEST))
    refusal = asking.reply(1)
    assert isinstance(refusal, NotTrader)
    assert (refusal.trader, refusal.term) == ("buyer9", 4)
    served[0].trader.mood = "talks nonsense"
    asking.ask(2, served[0].member, Buy(request=REQUEST))
    assert isinstance(asking.reply(2), Unreachable)
    asking.ask(3, served[0].member, Standing(seller="seller0", after_seq=0))  # The stand-in knows no such method.
    assert isinstance(asking.reply(3), Unreachable)
    served[0].server.close()
    asking.ask(4, served[0].member, Buy(request=REQUEST))
    assert isinstance(asking.reply(4), Unreachable)


def test_a_trader_that_hangs_does_not_hold_up_asking_the_next(served: tuple[Served, Served], asking: Asking) -> None:
    old, new = served
    old.trader.mood = "hangs"
    asking.ask(1, old.member, Buy(request=REQUEST))
    asking.ask(2, old.member, MakeDeposit(offer=OFFER))  # Selling does not wait for buying.
    assert isinstance(asking.reply(2), Deposit)
    began_s = time.monotonic()
    asking.ask(3, new.member, Buy(request=REQUEST))
    assert asking.reply(3) == OUTCOME
    assert isinstance(asking.reply(1), Unreachable)
    assert time.monotonic() - began_s < 3  # It would wait five seconds for the answer.


def sale(seq: int) -> Outcome:
    return Outcome(
        accepted=OUTCOME.accepted, seq=seq, term=1, trader="seller1", decided_at_ms=2, reason=OUTCOME.reason
    )


def test_a_seller_that_hangs_does_not_hold_up_telling_others(served: tuple[Served, Served]) -> None:
    teller = SaleNotifier()
    hung, fine = served
    hung.trader.mood = "hangs"
    for seq in range(20):
        for seller in (hung, fine):
            teller.tell(NotifySales(customer=seller.member, sales=(sale(seq),)))
    wait_until(lambda: fine.trader.heard == list(range(20)), what="all told", deadline_s=4)
    teller.rest()
    hung.trader.release.set()
    teller.tell(NotifySales(customer=fine.member, sales=(sale(20),)))
    wait_until(lambda: fine.trader.heard[-1] == 20, what="told after a rest", deadline_s=4)
    teller.stop()
    teller.join(2.0)
