"""The scenes of the market `vector`."""

from __future__ import annotations

from decimal import Decimal

from peers.core.market.records import Post
from peers.core.names import rank_of
from peers.core.reports import Answered, Deposited, Earned, ElectionStarted, Report
from peers.scenes.customers import stock_of
from peers.scenes.hearing import is_sale
from peers.scenes.pending import leave_pending
from peers.scenes.scene import UNHURRIED, Scene
from peers.scenes.stage import Stage

_QUIET: dict[str, object] = {"market.resign_probability": 0.0, "market.restock_probability": 0.0}
"""Nobody resigns and nobody restocks by chance, so that a scene has only what it is about."""

_TEN_AT_TEN: dict[str, object] = {
    **_QUIET,
    "market.items": "fish,",
    "market.price_min": 10,
    "market.price_max": 10,
    "market.stock_min": 10,
    "market.stock": 10,
}
_PATIENT: dict[str, object] = {**_QUIET, "timing.ledger_patience_s": 10, "timing.call_timeout_s": 10}
"""Nobody gives up the office, or a call, for a database that is stopped for a moment."""


async def _commission(stage: Stage) -> None:
    trader = (await stage.elected(1)).peer
    await stage.hears.hear(Deposited, "a deposit")
    outcome = await stage.customer("ann").buy("fish", 5)
    stage.say(f"ann bought 5 fish at {outcome['price']} from {outcome['seller']}")
    tally = await stage.in_books(lambda books: books.tally(Post()))
    stage.check("amount", outcome["amount"], "50.00")
    stage.check("commission of the sale", outcome["commission"], "5.00")
    stage.check("what the trader has in the books", tally.peers[trader].commission, Decimal("5.00"))


async def _sellers_money(stage: Stage) -> None:
    await stage.elected(1)
    await stage.hears.hear(Deposited, "a deposit")
    outcome = await stage.customer("ann").buy("fish", 5)
    earned = await stage.hears.hear(Earned, "word to the seller")
    tally = await stage.in_books(lambda books: books.tally(Post()))
    stage.check("sold by", earned.peer, outcome["seller"])
    stage.check("price and units", (outcome["price"], outcome["quantity"]), ("10.00", 5))
    stage.check("the seller is told that it earned", earned.earned, Decimal("45.00"))
    stage.check("what the seller has in the books", tally.peers[earned.peer].earned, Decimal("45.00"))


async def _concurrent(stage: Stage, arriving: tuple[str, str, str]) -> None:
    trader = (await stage.elected(1)).peer
    stage.say(
        f"{arriving[0]} keeps the trader busy; {arriving[1]} and {arriving[2]} come next, each with its own clock"
    )
    pending = await leave_pending(stage, trader, arriving)
    outcomes = await pending.outcomes()
    order = sorted(outcomes.values(), key=lambda outcome: outcome["seq"])
    stage.say(f"arrived: {', '.join(arriving)}; decided: {', '.join(each['buyer'] for each in order)}")
    stage.check("concurrent", [each["buyer"] for each in order if each["concurrent"]], ["ann", "ben"])
    stage.check("decided in this order", [each["buyer"] for each in order], ["opener", "ann", "ben"])
    stage.check("none is lost", [each["status"] for each in order], ["sold"] * 3)


async def _ann_first(stage: Stage) -> None:
    await _concurrent(stage, ("opener", "ann", "ben"))


async def _ben_first(stage: Stage) -> None:
    await _concurrent(stage, ("opener", "ben", "ann"))


async def _not_available(stage: Stage) -> None:
    await stage.elected(1)
    await stage.customer("shop").deposit("fish", 200, "9.00")
    stage.say("there is fish, and nothing else")
    in_vain = await stage.hears.hear(
        Answered,
        "a buyer that asks for something else",
        lambda report: report.outcome.sale is None and report.outcome.request.item != "fish",
    )
    buyer, seq, item = in_vain.peer, in_vain.outcome.seq, in_vain.outcome.request.item
    following = await stage.hears.hear(
        Answered, f"what {buyer} asks next", lambda report: report.outcome.seq > seq, peer=buyer
    )
    bought = await stage.hears.hear(Answered, "its purchase", is_sale, peer=buyer)
    stage.check("the buyer is told why", in_vain.outcome.reason, "nobody has enough of it")
    stage.check("it looks for something else", following.outcome.request.item != item)
    stage.check("and in the end it buys", bought.outcome.request.item, "fish")


async def _fail(stage: Stage, term: int) -> tuple[int, int]:
    """Has the trader of that term resign; returns the ranks of who starts the election then, and of who wins."""
    await stage.resign((await stage.elected(term)).peer)
    started = await stage.hears.hear(
        ElectionStarted, "the next election", lambda report: report.after_term == term and report.attempt == 0
    )
    return rank_of(started.peer), (await stage.elected(term + 1)).rank


async def _first_election(stage: Stage) -> None:
    first = await stage.elected(1)
    before = len(stage.hears.all(ElectionStarted))
    starter, winner = await _fail(stage, 1)
    stage.check("elections before rank 0 is in office", before, 0)
    stage.check("fails", first.rank, 0)
    stage.check("starts", starter, 2)
    stage.check("wins", winner, 5)


async def _alternation(stage: Stage) -> None:
    ranks = [(await stage.elected(1)).rank]
    for term in (1, 2, 3):
        _, winner = await _fail(stage, term)
        ranks.append(winner)
    stage.check("in office, one after the other", ranks, [0, 5, 4, 5])


async def _former_trader(stage: Stage) -> None:
    former = (await stage.elected(1)).peer
    await stage.resign(former)
    new = (await stage.elected(2)).peer

    def trades(report: Report) -> bool:
        if isinstance(report, Deposited):
            return report.deposit.term > 1
        return isinstance(report, Answered) and report.outcome.sale is not None and report.outcome.term > 1

    report = await stage.hears.hear(Report, f"that {former} trades", trades, peer=former)
    role = str((await stage.status(former))["role"])
    expected = "deposits" if role == "seller" else "buys"
    stage.say(f"{former} {expected} now, for the lot made it a {role}")
    stage.check("another is in office", new != former)
    stage.check("the former trader trades under the new one", report.peer, former)
    stage.check("by its role, it", "deposits" if isinstance(report, Deposited) else "buys", expected)


async def _survival(stage: Stage) -> None:
    first = (await stage.elected(1)).peer
    await stage.customer("grocer").deposit("salt", 5, "8.00")
    pending = await leave_pending(stage, first, ("ann", "ben", "cleo"), dies=True)
    second = await stage.elected(2)
    outcomes = await pending.outcomes()
    stock = stock_of(await stage.customer("dan").search())
    sales = await stage.sales()
    stage.say(f"under {second.peer} there is {', '.join(f'{count} {item}' for item, count in sorted(stock.items()))}")
    stage.check("another is in office", second.peer != first)
    stage.check("what was pending is decided", sorted(outcomes), ["ann", "ben", "cleo"])
    stage.check("each once", sorted(sale.buyer for sale in sales), ["ann", "ben", "cleo"])
    stage.check("the inventory is there, but for what was sold", stock, {"fish": 17, "salt": 5})


_SALE_OF_FIFTY = "one sale of 5 units at 10. The market's commission is a tenth."
_CONCURRENT = (
    "two ask at the same time, and neither knows of the other. Both wait, and are decided in the fixed order, which "
    "is that of their names here, whoever came first."
)

SCENES = (
    Scene(
        name="TC_01",
        market="vector",
        title="commission",
        look_at=f"{_SALE_OF_FIFTY} 10 % of 50 is 5.00.",
        roles="sellers=3",
        script=_commission,
        settings=_TEN_AT_TEN,
    ),
    Scene(
        name="TC_02",
        market="vector",
        title="seller's money",
        look_at=f"{_SALE_OF_FIFTY} The seller gets 45.00.",
        roles="sellers=3",
        script=_sellers_money,
        settings=_TEN_AT_TEN,
    ),
    Scene(
        name="TC_03",
        market="vector",
        title="concurrent requests",
        look_at=_CONCURRENT,
        roles="buyers=2,sellers=2",
        script=_ann_first,
        settings=_PATIENT,
        trades=False,
    ),
    Scene(
        name="TC_04",
        market="vector",
        title="not available",
        look_at="a buyer asks for what nobody has, is told so, and asks for something else.",
        roles="buyers=3",
        script=_not_available,
        settings={**_QUIET, "market.think_s": 0.05, "market.buy_probability": 1.0},
    ),
    Scene(
        name="TC_05",
        market="vector",
        title="election",
        look_at="rank 0 begins in office, without an election. When it fails, the lowest buyer, of rank 2, starts an "
        "election, and rank 5 wins. The former trader keeps its role here.",
        roles="sellers=2,buyers=2,merchants=2",
        script=_first_election,
        settings={**_QUIET, **UNHURRIED, "market.demotion": "own"},
    ),
    Scene(
        name="TC_06",
        market="vector",
        title="only the highest alternate",
        look_at="5 fails and 4 wins; 4 fails and 5 wins again: whoever failed sits out one election only.",
        roles="sellers=2,buyers=2,merchants=2",
        script=_alternation,
        settings={**_QUIET, **UNHURRIED, "market.demotion": "own"},
    ),
    Scene(
        name="TC_07",
        market="vector",
        title="the former trader trades",
        look_at="the former trader is made buyer or seller by lot, and buys or deposits under the new one.",
        roles="buyers=3,sellers=3",
        script=_former_trader,
        settings=_QUIET,
    ),
    Scene(
        name="TC_08",
        market="vector",
        title="the market survives",
        look_at="three ask while nothing can be recorded, and the trader is killed. Under the new one all three are "
        "served, each once, and the stock is what it was but for that.",
        roles="buyers=2,sellers=2",
        script=_survival,
        settings=_PATIENT,
        trades=False,
    ),
    Scene(
        name="TC_09",
        market="vector",
        title="concurrent requests, in the other order",
        look_at=_CONCURRENT,
        roles="buyers=2,sellers=2",
        script=_ben_first,
        settings=_PATIENT,
        trades=False,
    ),
)
"""In the order of the report."""
