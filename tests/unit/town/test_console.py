"""The console: lines a person can follow, whatever the speed of the market."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest

from peers.core.leadership.reasons import VacancyReason
from peers.core.market.records import Accepted, Outcome, PurchaseRequest, Sale
from peers.core.membership.clocks import LamportStamp
from peers.core.reports import Answered, Asked, Elected, ElectionStarted, GoodsLost, Lost, Slept
from peers.town.view.console import LINES_A_SECOND, Console


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def request() -> PurchaseRequest:
    return PurchaseRequest(request_id="r1", buyer="buyer0", item="fish", quantity=1, clock=LamportStamp(lamport=1))


def answered() -> Answered:
    price = Decimal("9.00")
    sale = Sale(
        seller="seller1", deposit="d1", price=price, amount=price, commission=Decimal("1.80"), earned=Decimal("7.20")
    )
    accepted = Accepted(request=request(), arrival=1, queued_at_ms=0, queued_term=1)
    outcome = Outcome(accepted=accepted, seq=1, term=1, trader="buyer2", decided_at_ms=0, sale=sale)
    return Answered(peer="buyer0", outcome=outcome)


def elected() -> Elected:
    return Elected(peer="buyer2", rank=2, term=1, pending=0, took_ms=3.0)


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_purchase_is_told_in_words(out: io.StringIO, clock: Clock) -> None:
    Console(out=out, clock=clock).tell(answered())
    assert out.getvalue().startswith("buyer0 bought fish from seller1")


def test_what_only_journals_keep_is_not_told(out: io.StringIO, clock: Clock) -> None:
    Console(out=out, clock=clock).tell(Asked(peer="buyer0", request=request()))
    assert out.getvalue() == ""


def test_a_fast_market_is_summed_up(out: io.StringIO, clock: Clock) -> None:
    console = Console(out=out, clock=clock)
    for _ in range(3):
        for _ in range(5000):
            console.tell(answered())
        clock.now += 1
        console.tick()
    lines = out.getvalue().splitlines()
    assert len(lines) < 48 + 3 * (LINES_A_SECOND + 2)
    assert "(15,000 purchases so far)" in lines[-1]
    shown = sum("bought fish" in line for line in lines)
    counted = sum(int(line.split()[2].replace(",", "")) for line in lines if line.startswith("…"))
    assert shown + counted == 15_000


def test_elections_and_failures_always_get_through(out: io.StringIO, clock: Clock) -> None:
    console = Console(out=out, clock=clock)
    for _ in range(500):
        console.tell(answered())
    for _ in range(40):
        console.tell(elected())
        console.tell(Lost(peer="buyer0", lost="buyer2"))
    text = out.getvalue()
    assert text.count("I am the new coordinator") == 40
    assert text.count("is gone") == 40


def test_a_storm_of_losses_is_summed_up_and_who_takes_office_still_told(out: io.StringIO, clock: Clock) -> None:
    console = Console(quiet=True, out=out, clock=clock)
    for _ in range(3000):
        console.tell(Lost(peer="buyer0", lost="buyer2"))
        console.tell(ElectionStarted(peer="buyer0", after_term=1, attempt=0, reason=VacancyReason.CRASHED))
    console.tell(elected())
    console.tick()
    lines = out.getvalue().splitlines()
    assert len(lines) < 52
    assert "coordinator" in lines[-2]
    assert "losses noticed" in lines[-1]
    assert "elections begun" in lines[-1]


def test_quiet_leaves_out_trade_but_counts_it(out: io.StringIO, clock: Clock) -> None:
    console = Console(quiet=True, out=out, clock=clock)
    console.tell(answered())
    console.tell(Slept(peer="buyer0", sleep_s=30))
    console.tick()
    assert out.getvalue() == ""
    console.tell(elected())
    assert "coordinator" in out.getvalue()
    assert console.purchases == 1


def test_no_colours_but_on_a_terminal(out: io.StringIO, clock: Clock) -> None:
    console = Console(out=out, clock=clock)
    console.tell(elected())
    console.warn("[bold]names[/bold] are no markup")
    assert "\x1b" not in out.getvalue()
    assert "[bold]names[/bold]" in out.getvalue()


def test_a_reader_that_is_gone_does_not_stop_the_town(clock: Clock) -> None:
    class Broken(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    console = Console(out=Broken(), clock=clock)
    console.say("one")
    console.tell(answered())
    console.close()


def test_a_flood_of_trade_does_not_hide_what_is_taken_back(out: io.StringIO, clock: Clock) -> None:
    console = Console(out=out, clock=clock)
    for _ in range(500):
        console.tell(answered())
    console.tell(GoodsLost(peer="seller1", deposit="d1", item="fish", units=2, holds=3))
    console.tick()
    assert "seller1 lost 2 fish" in out.getvalue()
