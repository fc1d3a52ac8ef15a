"""Where too many wait, more are told to come later, and those who are told so do: the same request, then."""

from __future__ import annotations

from random import Random

import pytest

from peers.core.calls import AskOutcome, Buy, Call, Failure, MakeDeposit, Reply
from peers.core.commands import Perform, Respond, SetTimer
from peers.core.context import Context
from peers.core.inputs import Now
from peers.core.ledger.port import Append, Appended, LedgerAway
from peers.core.ledger.post_state import PostState
from peers.core.market.records import Outcome
from peers.core.trader.term import TraderTerm
from peers.errors import PostClosed
from tests.helpers.deals import office
from tests.unit.core.shop import Shop
from tests.unit.core.words import T0_MS, offers, peer, rules, wants

MOST = 3


class Office:
    """merchant9 in office, with room for three that wait; its ledger takes as long as the test wants."""

    def __init__(self) -> None:
        settings = rules(timing={"max_pending": MOST, "queue_after_s": 60.0}, resign_after_sales=0)
        self.ctx = Context(peer(9, "merchant"), settings, Random(1))
        self.now_s = 0.0
        state = PostState()
        state.take_in(office(1, "merchant9"))
        self.term = TraderTerm(self.ctx, state, certain_s=0.0)
        self.answers: dict[int, Reply | Failure] = {}
        self._calls = 0
        self._appends: list[Append] = []

    def call(self, call: Call) -> int:
        """Asks; returns under which number the answer will be found."""
        self._calls += 1
        self.ctx.now = Now(mono_s=self.now_s, wall_ms=T0_MS)
        self.term.on_call(self._calls, call)
        self._take_commands()
        return self._calls

    def buy(self, number: int) -> int:
        return self.call(Buy(request=wants(f"r{number}", clock=number)))

    def ledger_answers(self, took_s: float = 0.0, *, away: bool = False) -> None:
        """What became of the entry under way, `took_s` after now."""
        operation = self._appends[-1]
        self.now_s += took_s
        self.ctx.now = Now(mono_s=self.now_s, wall_ms=T0_MS)
        self.term.on_ledger(operation, LedgerAway(why="gone") if away else Appended())
        self._take_commands()

    def _take_commands(self) -> None:
        for command in self.ctx.take_commands():
            if isinstance(command, Respond):
                assert command.call_id not in self.answers
                self.answers[command.call_id] = command.reply
            elif isinstance(command, Perform) and isinstance(command.operation, Append):
                self._appends.append(command.operation)

    def refusal(self, call_id: int) -> PostClosed:
        reply = self.answers[call_id]
        assert isinstance(reply, PostClosed)
        return reply


@pytest.fixture
def full() -> Office:
    """One request is being decided and two wait."""
    office = Office()
    for number in range(1, MOST + 1):
        office.buy(number)
    assert office.answers == {}
    return office


def test_more_than_may_wait_are_told_when_to_come_again(full: Office) -> None:
    for number in (4, 5):
        refusal = full.refusal(full.buy(number))
        assert "too many wait" in str(refusal)
        assert f"ask again in {refusal.retry_after_ms} ms with the same id" in str(refusal)
        assert 1 <= refusal.retry_after_ms <= 100
    assert full.ctx.counters["told_to_come_later"] == 2


def test_those_who_wait_already_may_ask_again(full: Office) -> None:
    again = full.buy(2)
    assert again not in full.answers
    full.ledger_answers()
    full.ledger_answers()
    assert isinstance(full.answers[again], Outcome)


def test_what_is_only_read_is_answered(full: Office) -> None:
    full.ledger_answers()
    full.buy(4)
    assert isinstance(full.answers[full.buy(5)], PostClosed)
    asked = full.call(AskOutcome(request_id="r1"))
    assert isinstance(full.answers[asked], Outcome)


def test_goods_that_others_wait_for_come_in(full: Office) -> None:
    asked = full.call(MakeDeposit(offer=offers("d1")))
    assert asked not in full.answers
    full.ledger_answers()
    full.ledger_answers()
    assert asked in full.answers


def test_once_there_is_room_the_same_request_is_taken_in(full: Office) -> None:
    refused = full.buy(4)
    full.ledger_answers()
    asked = full.buy(4)
    full.ledger_answers()
    full.ledger_answers()
    outcome = full.answers[asked]
    assert isinstance(outcome, Outcome)
    assert (outcome.request.request_id, outcome.seq) == ("r4", 4)
    assert isinstance(full.answers[refused], PostClosed)


def test_of_those_who_were_told_to_come_later_nothing_is_kept(full: Office) -> None:
    for number in range(4, 50):
        full.buy(number)
    full.ledger_answers()
    full.ledger_answers()
    outcomes = [reply for reply in full.answers.values() if isinstance(reply, Outcome)]
    assert [outcome.seq for outcome in outcomes] == [1, 2, 3]
    assert [outcome.accepted.arrival for outcome in outcomes] == [1, 2, 3]


def test_while_the_books_are_away_no_more_than_may_wait_wait(full: Office) -> None:
    full.ledger_answers(away=True)
    assert full.refusal(full.buy(4)).retry_after_ms >= 1


def test_the_slower_the_trader_is_the_later_they_are_to_come() -> None:
    def told_ms(took_s: float) -> int:
        office = Office()
        for number in range(1, 20):
            office.buy(number)
            office.ledger_answers(took_s)
        for number in range(20, 20 + MOST):
            office.buy(number)
        return office.refusal(office.buy(30)).retry_after_ms

    quick, slow, slower = told_ms(0.0001), told_ms(0.01), told_ms(10.0)
    assert quick < slow < slower == 100


# -- who is told so ----------------------------------------------------------------------------------------


def wait_s(shop: Shop) -> float:
    """How long it waits, by what it did last, before it asks again."""
    (timer,) = [command for command in shop.commands if isinstance(command, SetTimer)]
    return timer.after_s


def told(ms: int) -> PostClosed:
    return PostClosed(why="too many wait already", retry_after_ms=ms)


@pytest.mark.parametrize("seed", range(5))
def test_a_buyer_comes_again_no_sooner_than_it_was_told(seed: int) -> None:
    shop = Shop(peer(0, "buyer"), rules(think_s=0.5, period_s=60.0), seed=seed)
    shop.time_comes("buy")
    asked = shop.asked
    for ms in (700, 1500, 40):
        shop.is_answered(told(ms))
        assert wait_s(shop) >= ms / 1000
        shop.time_comes("ask")
        assert shop.asked == asked
    shop.is_answered(PostClosed())
    assert wait_s(shop) <= shop.settings.timing.retry_max_s


def test_a_seller_comes_again_no_sooner_than_it_was_told() -> None:
    shop = Shop(peer(1, "seller"))
    asked = shop.asked
    shop.is_answered(told(5000))
    assert wait_s(shop) >= 5
    (timer,) = [command.timer for command in shop.commands if isinstance(command, SetTimer)]
    shop.time_comes(timer)
    assert shop.asked == asked
