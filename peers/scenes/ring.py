"""The scenes of the market `ring`."""

from __future__ import annotations

from peers.core.market.records import Post
from peers.core.names import rank_of, role_in
from peers.core.reports import Answered, Deposited, Earned, ElectionStarted, GotBack, Lost, TookBack
from peers.scenes.hearing import is_sale
from peers.scenes.scene import Scene
from peers.scenes.stage import Stage

_QUIET: dict[str, object] = {"market.resign_after_sales": 0, "market.think_s": 0.05, "market.stock": 3}


async def _mix(stage: Stage) -> None:
    """Everybody but the trader, which is the highest, trades by its role, and the trader does not."""
    trader = (await stage.elected(1)).peer
    others = [name for name in stage.alive() if name != trader]
    buyers = [name for name in others if role_in(name) != "seller"]
    sellers = _who_can_sell(others, buyers)
    for name in buyers:
        await stage.hears.hear(Answered, f"a purchase of {name}", is_sale, peer=name)
    for name in sellers:
        await stage.hears.hear(Earned, f"that {name} sells", peer=name)
    tally = await stage.in_books(lambda books: books.tally(Post()))
    sales = await stage.sales()
    election = await stage.election(1)
    kept = tally.peers[trader]
    stage.check("elected by", election.algorithm, "ring")
    stage.check("in office", trader, stage.alive()[-1])
    stage.check("who buys", _by_rank({sale.buyer for sale in sales}), buyers)
    stage.check("who sells", _by_rank({sale.seller for sale in sales}), sellers)
    stage.check("what the trader bought and sold", (kept.bought, kept.sold), (0, 0))
    stage.check("nobody bought from itself", not any(sale.buyer == sale.seller for sale in sales))


def _by_rank(names: set[str]) -> list[str]:
    return sorted(names, key=rank_of)


def _who_can_sell(others: list[str], buyers: list[str]) -> list[str]:
    """Those who have somebody else to sell to."""
    return [name for name in others if role_in(name) != "buyer" and any(buyer != name for buyer in buyers)]


async def _broken(stage: Stage) -> None:
    trader = (await stage.elected(1)).peer
    await stage.hears.hear(Answered, "a purchase", is_sale)
    peers = stage.alive()
    gone = [name for name in peers if rank_of(name) in (2, 5)] + [trader]
    stage.kill(*gone)
    stage.say(f"killed at once: {', '.join(gone)}; the ring is broken in three places, and a trader is to be found")
    await stage.hears.hear(ElectionStarted, "an election", lambda report: report.after_term == 1)
    new = await stage.elected(2)
    left = [name for name in peers if name not in gone]
    ring = {name: sorted((left[place - 1], left[(place + 1) % len(left)])) for place, name in enumerate(left)}

    async def closed() -> dict[str, list[str]] | None:
        graph = {name: sorted(neighbours) for name, neighbours in stage.graph().items()}
        return graph if graph == ring else None

    graph = await stage.until(closed, "that the ring closes")
    sold = await stage.hears.hear(
        Answered, "a purchase of term 2", lambda report: is_sale(report) and report.outcome.term >= 2
    )
    stage.check("this rank, the highest of the others, wins", new.rank, 6)
    stage.check("the ring closes over those that are gone", list(graph), left)
    stage.check("each has two neighbours, the next in rank", graph, ring)
    stage.check("trade goes on in term", sold.outcome.term, 2)


async def _seller_crash(stage: Stage) -> None:
    trader, buyer = (await stage.elected(1)).peer, "buyer0"
    sellers = [name for name in stage.alive() if name not in (trader, buyer)]
    deposits = [(await stage.hears.hear(Deposited, f"a deposit of {name}", peer=name)).deposit for name in sellers]
    seller = min(deposits, key=lambda deposit: deposit.offer.sort_key).offer.seller  # Its goods are sold first.
    filled = await stage.hears.hear(Earned, f"that {seller} sells", peer=seller)
    stage.kill(seller)
    stage.say(f"{seller} is killed, and its goods are lost; the trader does not know that, and sells them")
    await stage.hears.hear(Lost, f"that {seller} is missed", lambda report: report.lost == seller)
    # What is decided from here on it cannot have heard of, whatever it did in its last moments.
    before = (await stage.in_books(lambda books: books.post())).seq
    await stage.hears.hear(
        Answered, f"a sale of {seller}", lambda r: _sold_by(r) == seller and r.outcome.seq > before
    )
    stage.say(f"now {seller} comes back, with nothing")
    await stage.revive(seller)
    undone = await stage.hears.hear(
        TookBack, "a sale that is taken back", lambda report: report.outcome.seq > before, peer=seller
    )
    seq = undone.outcome.seq
    back = await stage.hears.hear(GotBack, f"that {buyer} is told", lambda r: r.outcome.seq == seq, peer=buyer)
    sale, reversal = back.outcome.sale, back.outcome.taken_back
    assert sale is not None
    assert reversal is not None
    await stage.hears.hear(
        Answered, f"that {buyer} buys again", lambda r: r.outcome.seq > seq and _sold_by(r) not in (None, seller)
    )
    sold = [sale.seq for sale in await stage.sales() if sale.seller == seller and sale.seq > before]
    undone_seqs = [report.outcome.seq for report in stage.hears.all(TookBack)]
    stage.check("what was sold while it was gone is taken back", seq in sold)
    stage.check("the buyer gets back all that it paid", reversal.amount, sale.amount)
    stage.check("the trader gives back its commission, the seller the rest", reversal.commission, sale.commission)
    stage.check("what it had handed over before stays sold", filled.outcome.seq not in undone_seqs)


def _sold_by(report: Answered) -> str | None:
    return report.outcome.sale.seller if report.outcome.sale is not None else None


def _mixed(number: int, title: str, roles: str, look_at: str) -> Scene:
    return Scene(
        name=f"ring-{number}",
        market="ring",
        title=title,
        look_at=look_at,
        roles=roles,
        script=_mix,
        settings=_QUIET,
    )


_NEUTRAL = "The trader is the highest, which both buys and sells, but not while it is in office."

SCENES = (
    _mixed(
        1,
        "1 buyer, 1 seller, 1 trader",
        "buyers=1,sellers=1,merchants=1",
        f"the buyer buys from the seller. {_NEUTRAL}",
    ),
    _mixed(
        2,
        "1 buyer, 1 seller, one that is both, 1 trader",
        "buyers=1,sellers=1,merchants=2",
        f"the one that is both sells to the buyer and buys from the seller, never from itself. {_NEUTRAL}",
    ),
    _mixed(
        3,
        "1 both, 1 seller, 1 trader",
        "sellers=1,merchants=2",
        f"the one that is both buys from the seller; nobody is there to buy its own goods. {_NEUTRAL}",
    ),
    _mixed(4, "2 both, 1 trader", "merchants=3", f"the two buy from each other, neither from itself. {_NEUTRAL}"),
    Scene(
        name="ring-broken",
        market="ring",
        title="the ring is broken by several failures",
        look_at="three of eight are killed at once, the trader among them. The ring closes over them, the highest of "
        "the others is elected, and trade goes on.",
        roles="buyers=4,sellers=4",
        script=_broken,
        settings={"market.resign_after_sales": 0},
    ),
    Scene(
        name="ring-seller",
        market="ring",
        title="a seller crashes",
        look_at="a seller is killed, and loses its goods; the trader sells them meanwhile. When the seller is back "
        "it cannot honour that: the sale is taken back, goods and money, and both are told.",
        roles="buyers=1,sellers=3",
        script=_seller_crash,
        settings={
            **_QUIET,
            "market.items": "fish,",
            "market.stock": 50,
            "market.restock_probability": 0.0,
            "market.loss_after_crash": "true",
        },
    ),
)
"""In the order of the report."""
