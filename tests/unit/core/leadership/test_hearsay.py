"""A vacancy of which a heartbeat tells may be one for those beyond a cut only: who bids for the post looks first."""

from __future__ import annotations

from random import Random

import pytest

from peers.core.commands import Command, Perform, SetTimer
from peers.core.inputs import Input, LedgerReplied, Now, Received, Start, TimerFired
from peers.core.ledger.log import Entry, OfficeEntry, TradeEntry
from peers.core.ledger.port import Append, Load, Loaded, Taken
from peers.core.market.records import Post
from peers.core.membership.members import Snapshot
from peers.core.messages import Heartbeat
from peers.core.peer import Peer
from tests.unit.core.words import T0_MS, at, peer, rules

MEMBERS = (peer(0), peer(1, "seller"), peer(2, "seller"), peer(3))
TRADER = MEMBERS[0]


class Follower:
    """The highest peer of a market in which the lowest is in office, for term 1."""

    def __init__(self) -> None:
        self._peer = Peer(MEMBERS[3], rules(), Random(1), trades=False)
        self._now_s = 0.0
        snapshot = Snapshot(members=MEMBERS, edges=((0, 1), (1, 2), (2, 3)), term=1, trader=TRADER.name)
        self.hears(Start(snapshot=snapshot, starts_election=False))

    def hears(self, event: Input) -> list[Command]:
        self._now_s += 0.1
        return self._peer.handle(event, Now(mono_s=self._now_s, wall_ms=T0_MS))

    def finds_the_post_vacant(self) -> None:
        """A neighbour's heartbeat says so, and in time this peer is nominated."""
        heard = Heartbeat(clock=at(1), term=1, trader=None, incarnation=1, digest=0)
        self.hears(Received(sender=2, incarnation=1, message=heard))
        asked = self.hears(TimerFired(timer="vacancy"))
        assert [c for c in asked if isinstance(c, Perform) and isinstance(c.operation, Load)]

    def reads(self, written_at_ms: int = T0_MS, *, more: tuple[Entry, ...] = ()) -> list[Command]:
        """It reads a log whose office entry is of that time, and `more`."""
        entry = OfficeEntry(entry_id="e", term=1, trader=TRADER.name, written_at_ms=written_at_ms, reason="start")
        loaded = Loaded(made=-1, post=Post(), queue=(), stock=(), entries=(entry, *more))
        return self.hears(LedgerReplied(operation=Load(), result=loaded))

    def looks_again(self) -> Append:
        """The moment that it leaves the trader is over: it tries to take the place that was free then."""
        done = self.hears(TimerFired(timer="ledger"))
        return next(c.operation for c in done if isinstance(c, Perform) and isinstance(c.operation, Append))


def bids(commands: list[Command]) -> bool:
    return any(isinstance(c, Perform) and isinstance(c.operation, Append) for c in commands)


def waits(commands: list[Command]) -> list[float]:
    return [c.after_s for c in commands if isinstance(c, SetTimer) and c.timer == "ledger"]


def test_a_trader_at_work_in_the_books_is_not_deposed_on_hearsay() -> None:
    follower = Follower()
    follower.finds_the_post_vacant()
    assert waits(follower.reads())
    written = TradeEntry(entry_id="t", term=1, trader=TRADER.name, written_at_ms=T0_MS)
    refused = follower.hears(LedgerReplied(operation=follower.looks_again(), result=Taken(entry=written)))
    assert [c for c in refused if isinstance(c, Perform) and isinstance(c.operation, Load)]
    done = follower.reads(more=(written,))
    assert not bids(done)
    assert waits(done), "it looks again"


@pytest.mark.parametrize("years", [0, -50, 50])
def test_one_that_writes_no_more_is_replaced_whatever_the_time_of_its_entries(years: int) -> None:
    follower = Follower()
    follower.finds_the_post_vacant()
    moment_s = waits(follower.reads(written_at_ms=T0_MS + years * 31_536_000_000))
    assert moment_s[0] < rules().timing.suspect_s / 4
    assert follower.looks_again().place == 1
