"""Has requests pending at the moment when a trader goes, the same way each time.

The database is stopped. The first request is then under way, in an entry that is not recorded, and all that come
after it wait at the trader; each is sent only when the one before has been taken in. Then the trader goes, and the
database goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from peers.rpc.forms.public_form import Document
from peers.scenes.stage import Stage

_DEPOSIT = ("fish", 20, "9.00")


class Pending:
    """What was asked for, by customer, in the order in which it was."""

    def __init__(self, asked: dict[str, asyncio.Future[Document]]) -> None:
        self._asked = asked

    async def outcomes(self) -> dict[str, Document]:
        """Returns what became of each, once all are decided. TownError if one never is."""
        return {name: await outcome for name, outcome in self._asked.items()}


async def leave_pending(
    stage: Stage, trader: str, buyers: Sequence[str], *, resigns: bool = False, dies: bool = False
) -> Pending:
    """Deposits 20 fish, and has each of `buyers` ask for one while nothing can be recorded; has `trader` resign or
    die then, if so wanted. NotSeen if it does not come to that."""
    await stage.customer("shop").deposit(*_DEPOSIT)
    customers = [stage.customer(name) for name in buyers]
    for customer in customers:
        await customer.search()  # From here on it knows the trader, and its clock.
    leaving: asyncio.Task[None] | None = None
    async with stage.books_standing_still():
        asked = {each.name: await stage.begin_buying(trader, each, "fish") for each in customers}
        if resigns:
            leaving = asyncio.create_task(stage.resign(trader))
            await stage.is_leaving(trader)
            stage.say(f"{trader} resigns, and takes in nothing more")
        elif dies:
            stage.kill(trader)
            stage.say(f"{trader} is killed")
    if leaving is not None:
        await leaving
    return Pending(asked)
