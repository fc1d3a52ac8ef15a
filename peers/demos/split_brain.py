"""`split-brain`: a frozen trader wakes up believing that it is in office; its late commit finds its place taken.

What a peer that wakes up does first is the scheduler's choice, and in a healthy network the news of its successor is
there within milliseconds. So here its links stay cut until it has tried: nobody can tell it, and only the log stands
between it and a second sale of the same goods.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from peers.core.reports import Elected, EntryRefused
from peers.errors import NotTrader, WireError
from peers.rpc.forms.public_form import Document
from peers.rpc.rpc_connection import CallFailed, RpcConnection
from peers.scenes.customers import SceneCustomer
from peers.scenes.scene import Scene
from peers.scenes.stage import Stage

_LATE = ("ben", "cleo", "dan")
"""Customers who ask the frozen trader."""

_STOCK = 100


async def _split_brain(stage: Stage) -> None:
    old = await stage.elected(1)
    olga, ann = stage.customer("olga"), stage.customer("ann")
    await olga.deposit("fish", _STOCK, "2.50")
    bought = await ann.buy("fish")
    stage.say(f"{old.peer} is in office: ann buys 1 fish of it (decision {bought['seq']}, term {bought['term']})")
    clock = await stage.clock(old.peer)
    requests = [_request(name, clock + place) for place, name in enumerate(_LATE, start=1)]
    new, answers = await _freeze(stage, old, requests)
    refused = await stage.hears.hear(EntryRefused, f"that a commit of {old.peer} is refused", peer=old.peer)
    stage.say(f"the place in the log where {old.peer} wanted to write is taken, by the entry of {new.peer}")
    stage.check("the late commit was of term", refused.term, 1)
    stage.check("it was refused, for this term stands in the log", refused.current_term, 2)
    stage.check(f"what {old.peer} tells those who asked it", answers, [f"not in office: ask {new.peer}"] * len(_LATE))
    stage.heal(old.peer)
    await _ask_the_new_one(stage, new, requests, olga)
    status = await stage.until(lambda: _follows(stage, old, new), f"that {old.peer} follows {new.peer}")
    stage.check(f"whom {old.peer} takes for trader in the end", status["trader"], new.peer)


async def _freeze(stage: Stage, old: Elected, requests: Sequence[Document]) -> tuple[Elected, list[str]]:
    """Freezes the trader, has another take office, and wakes it; returns who took office, and what the old one told
    those who had asked it meanwhile."""
    async with stage.connections(old.peer, len(requests)) as connections:
        await stage.cut_off(old.peer)
        await stage.freeze(old.peer)
        try:
            stage.say(f"{old.peer} is frozen (SIGSTOP), and its links are cut: it still believes it is in office")
            sent = [
                asyncio.create_task(asyncio.to_thread(_buy, line, request))
                for line, request in zip(connections, requests, strict=True)
            ]
            stage.say(f"{', '.join(_LATE)} ask it for 1 fish each; that lies before it, unread")
            new = await stage.elected(2)
            bought = await stage.customer("eve").buy("fish")
            stage.say(f"eve buys of {bought['trader']} meanwhile (decision {bought['seq']}, term {bought['term']})")
        finally:
            stage.wake(old.peer)
        stage.say(
            f"{old.peer} wakes up (SIGCONT): two believe they are trader, and it tries to sell what it was asked"
        )
        return new, await asyncio.gather(*sent)


async def _ask_the_new_one(stage: Stage, new: Elected, requests: Sequence[Document], olga: SceneCustomer) -> None:
    """Has the customers ask again with their ids, and holds the books against all of it."""
    before = [sale.buyer for sale in await stage.sales()]
    stage.check("who had bought, by the books, when the frozen one had been refused", before, ["ann", "eve"])
    async with stage.connections(new.peer, len(requests)) as connections:
        for line, request in zip(connections, requests, strict=True):
            await asyncio.to_thread(_buy, line, request)
    sales = await stage.sales()
    stage.say(f"{', '.join(_LATE)} ask {new.peer} again, with the same ids")
    stage.check("who has bought in the end, each once", [sale.buyer for sale in sales], ["ann", "eve", *_LATE])
    stage.check("in these terms", [sale.term for sale in sales], [1, *[2] * (len(_LATE) + 1)])
    left = sum(int(row["remaining"]) for row in await olga.search())
    stage.check("fish gone from the stock", _STOCK - left, len(sales))


async def _follows(stage: Stage, old: Elected, new: Elected) -> Document | None:
    status = await stage.status(old.peer)
    return status if status["trader"] == new.peer else None


def _request(buyer: str, time: int) -> Document:
    return {
        "request_id": f"{buyer}/late",
        "buyer": buyer,
        "item": "fish",
        "quantity": 1,
        "clock": {"lamport": time},
    }


def _buy(line: RpcConnection, request: Document) -> str:
    """Returns what the one who was asked says to it, in a few words."""
    try:
        outcome: Document = line.call("buy", request)
    except NotTrader as error:
        return f"not in office: ask {error.trader or 'again'}"
    except (WireError, CallFailed) as error:
        return str(error)
    return str(outcome["status"])


SPLIT_BRAIN = Scene(
    name="split-brain",
    market="lamport",
    title="a frozen trader wakes up, and its late commit is refused",
    look_at=(
        "for a while two peers believe that they are trader. The one that was frozen tries to commit what it was "
        "asked for, and finds the next place of the log taken by the other's entry: so it learns that it was deposed."
    ),
    roles="buyers=3,sellers=3",
    script=_split_brain,
    settings={"market.resign_after_sales": 0},
    trades=False,
)
