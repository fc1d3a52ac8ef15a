"""`failover`: the trader is killed while customers buy, then the database; nothing acknowledged is lost."""

from __future__ import annotations

import time

from peers.demos.crowd import Crowd, in_words
from peers.scenes.scene import Scene
from peers.scenes.stage import Stage

_BUYERS = ("ann", "ben", "cleo", "dan")
_SOME = 600
"""Purchases before and after each kill. No option: enough for the count to be seen running, and over in seconds."""


async def _failover(stage: Stage) -> None:
    first = await stage.elected(1)
    crowd = Crowd(stage, _BUYERS)
    await crowd.open()
    try:
        await crowd.more(_SOME)
        killed_s = time.monotonic()
        stage.say(f"first act: {first.peer}, who is in office, is killed (SIGKILL), in the midst of it")
        stage.kill(first.peer)
        second = await stage.elected(2)
        await crowd.more(_SOME)
        without_trader_s = crowd.longest_gap_s(killed_s)
        stage.say(f"{second.peer} has taken over; for {in_words(without_trader_s)} nobody was served")
        killed_s = time.monotonic()
        stage.say("second act: the database that takes the writes is killed (SIGKILL), in the midst of it")
        stage.kill_database()
        await crowd.more(_SOME)
        without_books_s = crowd.longest_gap_s(killed_s)
        stage.say(f"the books are back; for {in_words(without_books_s)} nobody was served")
    finally:
        await crowd.close()
    stage.say("everybody has stopped buying; now what they were told is held against the books")
    await crowd.prove()
    stage.check("another took office", second.peer != first.peer)


FAILOVER = Scene(
    name="failover",
    market="lamport",
    title="the trader is killed under load, and then the database",
    look_at=(
        "the count of purchases, before and after each kill, and how long nobody is served. In the end everything "
        "that a customer was told is looked up in the books: nothing may be missing, doubled or invented."
    ),
    roles="buyers=3,sellers=3",
    script=_failover,
    settings={"market.resign_after_sales": 0},
    trades=False,
)
