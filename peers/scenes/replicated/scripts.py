"""What is played: a normal day, the fall of the primary, members that agree, and many customers at once."""

from __future__ import annotations

import asyncio

from db.audit.members import MembersReport
from peers.core.reports import Answered
from peers.rpc.forms.public_form import Document
from peers.scenes.customers import SceneCustomer, stock_of
from peers.scenes.hearing import is_sale
from peers.scenes.replicated import members
from peers.scenes.scene import Scene
from peers.scenes.stage import Stage

_CUSTOMERS = 12
_EACH = 15
_GOODS = 500


async def _normal(stage: Stage) -> None:
    """A customer adds stock, another searches and buys, and every peer answers what is on offer."""
    trader = (await stage.elected(1)).peer
    stage.check("members, of which any one may be lost", len(await members.whole(stage)), 3)
    ann, ben = stage.customer("ann"), stage.customer("ben")
    await ann.deposit("fish", 5, "3.00")
    stage.check("on offer at every peer", await _everywhere(stage, {"fish": 5}), {"fish": 5})
    bought = await ben.buy("fish", 2)
    await ann.deposit("salt", 4, "2.00")
    left = {"fish": 3, "salt": 4}
    stage.check("bought", (bought["status"], bought["amount"]), ("sold", "6.00"))
    stage.check("on offer at every peer after that", await _everywhere(stage, left), left)
    others = [name for name in stage.alive() if name != trader]
    stage.check("peers that answer beside the trader", len(others), 3)


async def _everywhere(stage: Stage, wanted: dict[str, int]) -> dict[str, int]:
    """Asks every peer until it shows what is wanted; a member may be behind by what the bound allows."""
    found: dict[str, int] = {}
    for name in stage.alive():

        async def shows(name: str = name) -> dict[str, int] | None:
            shown = stock_of(await stage.search_at(name))
            return shown if shown == wanted else None

        found = await stage.until(shows, f"that {name} shows {wanted}")
    return found


async def _fault_tolerance(stage: Stage) -> None:
    """The primary dies in mid-trade: another takes over, trade goes on, and nothing that was told is lost."""
    await stage.elected(1)
    await members.whole(stage)
    await stage.hears.hear(Answered, "a purchase", is_sale)
    before = {report.outcome.request.request_id for report in stage.hears.all(Answered, is_sale)}
    new = await members.kill_primary(stage)
    stage.say(f"{new} takes the writes now")
    told = await stage.hears.hear(
        Answered, "a purchase after that", lambda r: is_sale(r) and r.outcome.request.request_id not in before
    )
    stage.check("trade goes on", told.outcome.sale is not None)
    await members.whole(stage)
    stage.say("the member that was killed is back")
    ever_told = [report.outcome.request.request_id for report in stage.hears.all(Answered, is_sale)]
    recorded = {sale.request_id for sale in await stage.sales()}
    lost = [each for each in ever_told if each not in recorded]
    stage.check("purchases that were told and are lost", lost, [])
    stage.check("purchases that were told twice", len(ever_told) - len(set(ever_told)), 0)


async def _consistency(stage: Stage) -> None:
    """Every member has the same log; one that is behind has a beginning of it, and that it is behind is said."""
    await stage.elected(1)
    await members.whole(stage)
    customer = stage.customer("ann")
    await customer.deposit("fish", _GOODS, "3.00")
    async with members.held_back(stage) as behind:
        await _buy(customer, 5)
        found = await members.compared(stage)
        lag = {each.address: each.behind for each in found.members}
        stage.say("\n".join(found.lines()))
        stage.check("the one that was held back is behind", lag[behind] >= 1)
        stage.check("and what it has is the same", found.answer, "holds")

    async def abreast() -> MembersReport | None:
        compared = await members.compared(stage)
        return compared if compared.members and not any(each.behind for each in compared.members) else None

    found = await stage.until(abreast, "that all members have caught up")
    stage.say("\n".join(found.lines()))
    stage.check("members with the same books", sum(not each.differs for each in found.members), 3)
    stage.check("versions that they have", len({each.entries for each in found.members}), 1)


async def _stress(stage: Stage) -> None:
    """Many customers buy at once: each is served, nothing is sold that is not there, and all members agree."""
    await stage.elected(1)
    await members.whole(stage)
    warehouse = stage.customer("warehouse")
    await warehouse.deposit("fish", _GOODS, "3.00")
    customers = [stage.customer(f"customer{number}") for number in range(_CUSTOMERS)]
    stage.say(f"{_CUSTOMERS} customers buy {_EACH} times each, all at once")
    outcomes = [
        each for bought in await asyncio.gather(*(_buy(each, _EACH) for each in customers)) for each in bought
    ]
    sold = [each["request_id"] for each in outcomes if each["status"] == "sold"]
    recorded = {sale.request_id for sale in await stage.sales()}
    stage.check("purchases", len(set(sold)), _CUSTOMERS * _EACH)
    stage.check("of these in the books", len(recorded.intersection(sold)), _CUSTOMERS * _EACH)
    stage.check("left of the goods", stock_of(await warehouse.search()), {"fish": _GOODS - _CUSTOMERS * _EACH})
    stage.check("the members' books", (await members.compared(stage)).answer, "holds")


async def _buy(customer: SceneCustomer, times: int) -> list[Document]:
    return [await customer.buy("fish") for _ in range(times)]


SCENES = (
    Scene(
        name="replicated-1",
        market="replicated",
        title="normal",
        look_at="a customer adds stock, another searches and buys. Every peer says what is on offer: the trader from "
        "memory, the others from the member of the database that is nearest to them.",
        roles="buyers=2,sellers=2",
        script=_normal,
        trades=False,
    ),
    Scene(
        name="replicated-2",
        market="replicated",
        title="fault tolerance",
        look_at="the member that takes the writes is killed while the peers trade. Another is elected, trade goes on "
        "after some seconds, and all that anybody was told of stands in the books.",
        roles="buyers=3,sellers=3",
        script=_fault_tolerance,
        settings={"market.think_s": 0.05, "market.stock": 500},
    ),
    Scene(
        name="replicated-3",
        market="replicated",
        title="consistency",
        look_at="one member takes nothing in for a moment. What it has is the beginning of what the others have, and "
        "it is said how far behind it is; then it catches up, and all versions agree.",
        roles="buyers=2,sellers=2",
        script=_consistency,
        trades=False,
    ),
    Scene(
        name="replicated-4",
        market="replicated",
        title="stress",
        look_at=f"{_CUSTOMERS} customers buy {_EACH} times each, all at once. Each purchase is told once and stands "
        "in the books once, nothing is sold that is not there, and all members agree.",
        roles="buyers=2,sellers=2",
        script=_stress,
        trades=False,
    ),
)
"""In the order of the report."""
