"""The scenes of the market `lamport`."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from peers.core.membership.clocks import LamportStamp
from peers.core.names import rank_of
from peers.core.reports import Answered, Deposited, Earned, ElectionStarted, LeftOffice, Opened, Slept
from peers.scenes.hearing import is_sale
from peers.scenes.pending import leave_pending
from peers.scenes.scene import UNHURRIED, Scene
from peers.scenes.stage import Stage
from peers.scenes.verdict import NotSeen

_QUIET: dict[str, object] = {"market.resign_after_sales": 0, "market.restock_probability": 0.0}
"""Nobody resigns and nobody restocks, so that a scene has only what it is about."""


async def _election(stage: Stage) -> None:
    started = await stage.hears.hear(ElectionStarted, "the beginning of an election")
    elected = await stage.elected(1)
    joined = [rank_of(report.peer) for report in stage.hears.all(Opened)]
    peers = stage.alive()

    async def acknowledged() -> str | None:
        told = [await stage.status(name) for name in peers]
        said = {f"{status['trader']} in term {status['term']}" for status in told}
        return said.pop() if len(said) == 1 and told[0]["trader"] else None

    said = await stage.until(acknowledged, "that all name the same trader")
    stage.say(f"asked who is trader, all {len(peers)} peers, the winner among them, name {said}")
    stage.check("ranks join one by one, the one that is to start at last", joined, [0, 1, 3, 4, 5, 2])
    stage.check("this rank starts the election", rank_of(started.peer), 2)
    stage.check("this rank, the highest, wins", elected.rank, 5)
    stage.check("everybody acknowledges", said, "seller5 in term 1")


async def _registration(stage: Stage) -> None:
    elected = await stage.elected(1)
    sellers = [name for name in stage.alive() if name != elected.peer]
    deposits = [(await stage.hears.hear(Deposited, f"a deposit of {name}", peer=name)).deposit for name in sellers]
    stage.say("all sellers but the one in office have registered; now the buyers come, and trade starts")
    await stage.join("buyer", "buyer")
    bought = await stage.hears.hear(Answered, "a purchase", is_sale)
    assert bought.outcome.sale is not None
    known = {deposit.offer.deposit_id for deposit in deposits}
    stage.check("these have deposited before trade starts", [d.offer.seller for d in deposits], sellers)
    stage.check("units of each deposit", [d.offer.quantity for d in deposits], [10] * len(sellers))
    stage.check("each price is from 5 to 10", all(5 <= d.offer.price <= 10 for d in deposits))
    stage.check("the first sale is out of one of these", bought.outcome.sale.deposit in known)


async def _messages(stage: Stage) -> None:
    bought = await stage.hears.hear(Answered, "a purchase", is_sale)
    sale, seq = bought.outcome.sale, bought.outcome.seq
    assert sale is not None
    earned = await stage.hears.hear(Earned, "word to the seller", lambda report: report.outcome.seq == seq)
    stage.check("price", sale.price, Decimal("9.00"))
    stage.check("the seller is told that it earned", earned.earned, Decimal("7.20"))
    stage.check("the seller is told how many are left", earned.left, 9)
    stage.check("the trader keeps", sale.commission, Decimal("1.80"))
    stage.check("the buyer is told who sold", sale.seller, earned.peer)


async def _resignation(stage: Stage) -> None:
    first = await stage.elected(1)
    left = await stage.hears.hear(LeftOffice, "that the trader leaves", peer=first.peer)
    started = await stage.hears.hear(ElectionStarted, "a second election", lambda report: report.after_term == 1)
    second = await stage.elected(2)
    back = await stage.hears.hear(
        Deposited,
        f"that {first.peer} deposits again",
        lambda report: report.deposit.term >= 2,
        peer=first.peer,
    )
    stage.check("sales of the trader before it resigned", left.sales, 40)
    stage.check("the first trader", first.peer, "seller5")
    stage.check("this buyer, the lowest, restarts", started.peer, "buyer0")
    stage.check("the next highest wins", second.peer, "seller4")
    stage.check("the old one is back in its role, and deposits", back.peer, "seller5")


async def _pending_first(stage: Stage) -> None:
    first = await stage.elected(1)
    pending = await leave_pending(stage, first.peer, ("ann", "ben", "cleo", "dan"), resigns=True)
    second = await stage.elected(2)
    late = stage.customer("eve")
    stage.say(f"eve comes when {second.peer} is in office")
    await late.buy("fish")
    await pending.outcomes()
    sales = await stage.sales()
    stage.check("pending when the new trader came", second.pending, 3)
    stage.check("decided in this order", [s.buyer for s in sales], ["ann", "ben", "cleo", "dan", "eve"])
    stage.check("in these terms", [s.term for s in sales], [1, 2, 2, 2, 2])


async def _clocks(stage: Stage) -> None:
    buyer, old = "buyer0", (await stage.elected(1)).peer

    def bought() -> bool | None:
        return len(stage.hears.all(Answered, is_sale, peer=buyer)) == 10 or None

    await stage.hears.wait_for(bought, f"ten purchases of {buyer}")
    stamps = [_lamport(report) for report in stage.hears.all(Answered, peer=buyer)]
    last = stamps[-1]
    stage.say(f"{buyer} has bought ten times, and stops; its stamps: {', '.join(map(str, stamps))}")
    others = [name for name in stage.alive() if name not in (buyer, old)]

    async def merged() -> dict[str, int] | None:
        clocks = {name: await stage.clock(name) for name in others}
        return clocks if min(clocks.values()) >= last else None

    clocks = await stage.until(merged, f"that all merge the clock of {buyer}, which is {last}")
    stage.say(
        f"the others have merged that, and not counted: {', '.join(f'{name} {t}' for name, t in clocks.items())}"
    )
    counted = await stage.clock(old)
    await stage.resign(old)
    new = (await stage.elected(2)).peer
    in_office = await stage.clock(new)
    stage.say(f"{old} had counted to {counted} in office; {new} goes on from {clocks[new]}, and has {in_office}")
    steps = sorted({after - before for before, after in pairwise(stamps)})
    stage.check("with each purchase the buyer's clock goes up by", steps, [1])
    stage.check(
        "the others' differ from it by",
        {name: time - last for name, time in clocks.items()},
        dict.fromkeys(others, 0),
    )
    stage.check("a new trader goes on from its own", in_office >= clocks[new] > 0)


async def _slow_peer(stage: Stage) -> None:
    slow, busy = "buyer0", "buyer1"
    nap = await stage.hears.hear(Slept, f"that {slow} sleeps", peer=slow)
    bought = stage.hears.all(Answered, is_sale, peer=slow)
    asleep = await stage.clock(slow)

    async def followed() -> int | None:
        time = await stage.clock(slow)
        return time if time >= asleep + 5 else None

    later = await stage.until(followed, f"that the clock of {slow} follows")
    if len(stage.hears.all(Answered, is_sale, peer=slow)) > len(bought):
        raise NotSeen(f"{slow} woke before its clock had gone up by five")
    stage.say(f"the clock of {slow} while it sleeps: {asleep}, then {later}, by what {busy} buys")
    woken = await stage.hears.hear(Answered, f"that {slow} wakes", lambda report: _lamport(report) > later, peer=slow)
    stage.check("purchases before it sleeps", len(bought), 10)
    stage.check("seconds of sleep, instead of 30", nap.sleep_s, 5.0)
    stage.check("its clock follows meanwhile", later - asleep >= 5)
    stage.check("its first request after that is stamped later", _lamport(woken) > later)
    stage.check("and served", woken.outcome.sale is not None)


def _lamport(report: Answered) -> int:
    clock = report.outcome.request.clock
    assert isinstance(clock, LamportStamp)
    return clock.lamport


SCENES = (
    Scene(
        name="lamport-1",
        market="lamport",
        title="election",
        look_at="peers join one by one; rank 2 comes last and starts; the highest wins, and everybody knows it.",
        roles="buyers=3,sellers=3",
        script=_election,
        settings=UNHURRIED,
        starter=2,
        trades=False,
    ),
    Scene(
        name="lamport-2",
        market="lamport",
        title="registration",
        look_at="every seller deposits 10 units at a price of 5 to 10 before the first buyer is there.",
        roles="sellers=4",
        script=_registration,
        settings=_QUIET,
    ),
    Scene(
        name="lamport-3",
        market="lamport",
        title="messages after the sale",
        look_at="what buyer and seller are told of one sale. Everything costs 9, of which the trader keeps a fifth.",
        roles="sellers=2,buyers=2",
        script=_messages,
        settings={
            **_QUIET,
            "market.items": "fish,",
            "market.price_min": 9,
            "market.price_max": 9,
            "market.max_purchases": 1,
        },
    ),
    Scene(
        name="lamport-4",
        market="lamport",
        title="the trader resigns",
        look_at="after 40 sales the trader resigns; the lowest buyer starts an election, the next highest wins, and "
        "the old one deposits goods again.",
        roles="buyers=3,sellers=3",
        script=_resignation,
        settings={**UNHURRIED, "market.think_s": 0.02},
    ),
    Scene(
        name="lamport-5",
        market="lamport",
        title="pending first",
        look_at="four ask while nothing can be recorded, and the trader resigns. One was under way; the other three "
        "wait in the log, and the new trader decides them before it decides who came later.",
        roles="buyers=2,sellers=2",
        script=_pending_first,
        settings={"timing.ledger_patience_s": 10, "timing.call_timeout_s": 10},
        trades=False,
    ),
    Scene(
        name="lamport-6",
        market="lamport",
        title="clocks",
        look_at="the stamps of the one buyer go up by one; the others have the same time, for they merge and do not "
        "count; a new trader goes on from its own.",
        roles="buyers=1,sellers=3",
        script=_clocks,
        settings={
            **_QUIET,
            "market.items": "fish,",
            "market.stock": 100,
            "market.think_s": 0.05,
            "market.max_purchases": 10,
        },
    ),
    Scene(
        name="lamport-7",
        market="lamport",
        title="slow peer",
        look_at="one buyer sleeps after 10 purchases, for 5 s here and not for 30 s after 30. Its clock follows the "
        "others' meanwhile, so it asks in their order when it wakes, and does not jump the queue.",
        roles="buyers=2,sellers=2",
        script=_slow_peer,
        settings={
            **_QUIET,
            "market.items": "fish,",
            "market.stock": 200,
            "market.think_s": 0.1,
            "market.slow_after": 10,
            "market.slow_sleep_s": 5,
        },
    ),
)
"""In the order of the report."""
