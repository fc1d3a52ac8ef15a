"""A seller that holds less than it deposited: what it reports, and is told; a buyer that gets its money back."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from peers.core.calls import AskReversals, Buy, MakeDeposit, ReportStock, ReversalsReply, Standing, StockReply
from peers.core.inputs import HandedOver, LoseGoods, Received, Start
from peers.core.market.records import Deposit, Outcome, Reversal
from peers.core.membership.clocks import LamportStamp
from peers.core.membership.members import Snapshot
from peers.core.messages import Heartbeat
from peers.core.reports import Answered, CannotFill, Earned, GoodsLost, GotBack, TookBack
from tests.unit.core.customers.test_seller import opened, sale_of, standing
from tests.unit.core.shop import NEIGHBOUR, TRADER, Shop
from tests.unit.core.words import decided, deposited, offers, peer, rules


def undone(outcome: Outcome, number: int = 1) -> Outcome:
    assert outcome.sale is not None
    reversal = Reversal(
        number=number,
        amount=outcome.sale.amount,
        commission=outcome.sale.commission,
        earned=outcome.sale.earned,
        term=1,
        trader=TRADER.name,
        taken_back_at_ms=0,
        reason="gone",
    )
    return msgspec.structs.replace(outcome, taken_back=reversal)


def answer(*outcomes: Outcome, deposit: Deposit, written_off: int, remaining: int = 0) -> StockReply:
    counted = msgspec.structs.replace(deposit, remaining=remaining, written_off=written_off)
    return StockReply(deposit=counted, reversals=outcomes)


def hears_of_reversals(shop: Shop, number: int) -> None:
    beat = Heartbeat(clock=LamportStamp(lamport=1), term=1, trader=9, incarnation=1, digest=0, reversals=number)
    shop.happens(Received(sender=NEIGHBOUR.rank, incarnation=1, message=beat))


def reports_of(shop: Shop) -> list[ReportStock]:
    return [call for _, _, call in shop.asks if isinstance(call, ReportStock)]


def test_a_sale_is_filled_as_long_as_there_are_goods() -> None:
    shop, offer = opened()
    shop.is_told(sale_of(offer, 1), sale_of(offer, 2, quantity=2))
    assert len(shop.said(Earned)) == 2
    assert not reports_of(shop)


def test_what_is_lost_is_told_and_reported_in_the_next_period() -> None:
    shop, offer = opened()
    shop.happens(LoseGoods(share=0.5))
    (lost,) = shop.said(GoodsLost)
    assert lost.sentence() == f"seller1 lost 2 {offer.item} that it had deposited, and still holds 1 of them"
    assert not reports_of(shop)
    shop.time_comes("period")
    assert shop.asked == ReportStock(seller="seller1", deposit_id=offer.deposit_id, handed_over=0, holds=1)
    shop.is_answered(answer(deposit=deposited(offer), written_off=2, remaining=1))
    assert isinstance(shop.asked, Standing)
    shop.is_answered(standing(left=(deposited(offer, remaining=1),)))
    shop.time_comes("period")
    assert len(reports_of(shop)) == 1, "it is known by now"


def test_a_sale_that_cannot_be_filled_is_to_be_taken_back_until_that_is_answered() -> None:
    shop, offer = opened()
    shop.happens(LoseGoods(share=0.5))
    first, second = sale_of(offer, 1), sale_of(offer, 2, quantity=2)
    shop.is_told(first, second)
    assert len(shop.said(Earned)) == len(shop.said(CannotFill)) == 1
    wanted = ReportStock(
        seller="seller1", deposit_id=offer.deposit_id, handed_over=1, holds=0, unfilled=(second.request.request_id,)
    )
    assert shop.asked == wanted
    shop.hears_nothing()
    shop.loses_the_trader()
    shop.gets_a_trader()
    assert (shop.asked, shop.asked_whom) == (wanted, NEIGHBOUR.name)
    back = undone(second)
    shop.is_answered(answer(back, deposit=deposited(offer), written_off=2))
    (told,) = shop.said(TookBack)
    assert told.sentence() == f"seller1 cannot honour #2: taken back, {2 * offer.price} returned to buyer0"


def test_it_is_told_once_however_often_it_hears_of_it() -> None:
    shop, offer = opened()
    shop.happens(LoseGoods(share=1.0))
    sale = sale_of(offer, 1)
    shop.is_told(sale)
    back = undone(sale)
    shop.is_answered(answer(back, deposit=deposited(offer), written_off=3))
    shop.is_told(back)
    hears_of_reversals(shop, 1)
    assert shop.asked == AskReversals(customer="seller1", after=0)
    shop.is_answered(ReversalsReply(reversals=(back,), upto=1))
    assert len(shop.said(TookBack)) == 1
    hears_of_reversals(shop, 1)
    assert len([call for _, _, call in shop.asks if isinstance(call, AskReversals)]) == 1, "it knows all there is"


def test_a_sale_that_was_taken_back_before_it_was_heard_of_is_not_filled() -> None:
    shop, offer = opened()
    shop.gets_a_trader()
    shop.is_answered(standing(undone(sale_of(offer, 1))))
    assert not shop.said(Earned)
    assert not reports_of(shop)


def comes_back(handed_over: tuple[HandedOver, ...] = (), *, loses: bool = True) -> Shop:
    """seller1 in its second life; its first had deposited five as d1."""
    settings = rules(stock=3, period_s=60.0, restock_probability=0.0, loss_after_crash=loses)
    me = peer(1, "seller", incarnation=2)
    shop = Shop(me, settings, with_trader=False)
    snapshot = Snapshot(members=(me, NEIGHBOUR, TRADER), edges=((1, 8), (8, 9)), term=1, trader=TRADER.name)
    shop.happens(Start(snapshot=snapshot, handed_over=handed_over))
    return shop


BEFORE = offers("seller1-1-d1", quantity=5)


def test_one_who_comes_back_with_nothing_honours_only_what_its_journal_says_it_has_handed_over() -> None:
    shop = comes_back((HandedOver(seq=1, deposit=BEFORE.deposit_id, quantity=2),))
    honoured, not_honoured = sale_of(BEFORE, 1, quantity=2), sale_of(BEFORE, 2)
    shop.is_answered(standing(honoured, not_honoured, left=(deposited(BEFORE, remaining=2),)))
    assert shop.asked == ReportStock(
        seller="seller1",
        deposit_id=BEFORE.deposit_id,
        handed_over=2,
        holds=0,
        unfilled=(not_honoured.request.request_id,),
    )


def test_one_who_lost_nothing_in_a_crash_honours_all_of_it() -> None:
    shop = comes_back(loses=False)
    shop.is_answered(standing(sale_of(BEFORE, 1, quantity=2), left=(deposited(BEFORE, remaining=3),)))
    assert len(shop.said(Earned)) == 1
    assert not reports_of(shop)


def test_goods_are_lost_by_chance_once_in_a_period() -> None:
    settings = rules(stock=3, period_s=60.0, restock_probability=0.0, loss_probability=1.0)
    shop = Shop(peer(1, "seller"), settings)
    shop.is_answered(standing())
    assert isinstance(shop.asked, MakeDeposit)
    shop.is_answered(deposited(shop.asked.offer))
    shop.time_comes("period")
    assert len(shop.said(GoodsLost)) == 1


# -- the buyer -----------------------------------------------------------------------------------------------------


def bought(max_purchases: int = 0) -> tuple[Shop, Outcome]:
    """A buyer, and its first purchase."""
    shop = Shop(peer(0, "buyer"), rules(think_s=0.5, period_s=60.0, max_purchases=max_purchases))
    shop.time_comes("buy")
    assert isinstance(shop.asked, Buy)
    outcome = decided(shop.asked.request, offers("d1", shop.asked.request.item, seller="seller1"))
    shop.is_answered(outcome)
    return shop, outcome


def test_a_buyer_is_told_that_it_got_its_money_back() -> None:
    shop, outcome = bought()
    shop.is_told(undone(outcome))
    (told,) = shop.said(GotBack)
    item = outcome.request.item
    assert told.sentence() == f"buyer0 got back {Decimal('7.00')} for #1 (seller1 has no 1 {item})"


def test_a_buyer_that_missed_the_word_asks_for_it() -> None:
    shop, outcome = bought()
    hears_of_reversals(shop, 3)
    assert shop.asked == AskReversals(customer="buyer0", after=0)
    shop.hears_nothing()
    shop.time_comes("reversals")
    shop.is_answered(ReversalsReply(reversals=(undone(outcome, 2),), upto=3))
    assert len(shop.said(GotBack)) == 1


def test_what_was_taken_back_does_not_count_as_bought() -> None:
    shop, outcome = bought(max_purchases=1)
    assert "buy" not in shop.timers
    shop.is_told(undone(outcome))
    shop.time_comes("buy")
    assert isinstance(shop.asked, Buy)
    assert shop.asked.request.item != outcome.request.item


def test_a_purchase_that_is_known_to_be_taken_back_when_it_is_answered_counts_once() -> None:
    shop = Shop(peer(0, "buyer"), rules(think_s=0.5, period_s=60.0, max_purchases=1))
    shop.time_comes("buy")
    assert isinstance(shop.asked, Buy)
    outcome = decided(shop.asked.request, offers("d1", shop.asked.request.item, seller="seller1"))
    shop.is_told(undone(outcome))
    shop.is_answered(outcome)  # It was sent before.
    assert len(shop.said(Answered)) == 1
    shop.time_comes("buy")
    assert isinstance(shop.asked, Buy)
    assert shop.asked.request.request_id != outcome.request.request_id
