"""When a trader takes that of another area for gone: not if it did not listen itself, nor once it has heard it."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from peers.core.commands import Perform
from peers.core.context import Context
from peers.core.inputs import LedgerReplied, Now
from peers.core.leadership.fellows import Fellows
from peers.core.leadership.incumbency import Incumbency
from peers.core.ledger.log import NOWHERE
from peers.core.ledger.port import Load, Loaded
from peers.core.ledger.post_state import PostState
from peers.core.market.records import Post
from peers.core.membership.gossip import Gossip
from peers.core.messages import FellowBeat
from peers.core.names import rank_of
from tests.helpers.shared_log import NORTH, SOUTH, TRADERS, takes_office
from tests.unit.core.words import T0_MS, peer, rules

LOG = (takes_office(NORTH), takes_office(SOUTH))
SUSPECT_S, BEAT_S = 1.0, 0.25  # As the settings have it.


class _Reader(Incumbency):
    """The post of one who is in office as long as the test says so, and has read the log."""

    has_office = True

    @property
    def post(self) -> Post | None:
        state = PostState()
        for entry in LOG:
            state.take_in(entry)
        return state.post if self.has_office else None


class North:
    """The trader of the north, who watches that of the south."""

    def __init__(self) -> None:
        self.ctx = Context(peer(8, "merchant"), rules(), Random(1), area=NORTH)
        self.incumbency = _Reader(self.ctx, Gossip(self.ctx))
        self.fellows = Fellows(self.ctx, self.incumbency)
        self.now_s = 0.0
        self.beats_for(BEAT_S)

    def beats_for(self, seconds: float, *, heard: bool = True) -> None:
        """So much time passes; the fellow is `heard` in it."""
        for _ in range(round(seconds / BEAT_S)):
            self.now_s += BEAT_S
            self.ctx.now = Now(mono_s=self.now_s, wall_ms=T0_MS + round(1000 * self.now_s))
            self.fellows.on_heartbeat_timer()
            if heard:
                self.hears_south()

    def hears_south(self) -> None:
        self.fellows.on_beat(rank_of(TRADERS[SOUTH]), FellowBeat(area=SOUTH, term=1, contacts=(peer(1, "seller"),)))

    def reads(self) -> int:
        """How often it has begun to read the log for a bid since this was asked last."""
        commands = self.ctx.take_commands()
        return sum(isinstance(each, Perform) and isinstance(each.operation, Load) for each in commands)

    def reads_log(self) -> None:
        """The log is read, and all of it was written just now."""
        entries = tuple(msgspec.structs.replace(each, written_at_ms=self.ctx.now.wall_ms) for each in LOG)
        loaded = Loaded(made=NOWHERE, post=Post(), queue=(), stock=(), entries=entries)
        self.fellows.on_ledger(LedgerReplied(operation=Load(), result=loaded))


@pytest.fixture
def north() -> North:
    north = North()
    north.beats_for(1)
    assert north.reads() == 0
    return north


def test_a_fellow_that_is_silent_for_long_is_taken_for_gone(north: North) -> None:
    north.beats_for(SUSPECT_S, heard=False)
    assert north.reads() == 0
    north.beats_for(2 * BEAT_S, heard=False)
    assert north.reads() == 1


def test_who_was_out_of_office_has_not_listened(north: North) -> None:
    north.incumbency.has_office = False
    north.beats_for(2 * SUSPECT_S)
    north.incumbency.has_office = True
    north.beats_for(SUSPECT_S, heard=False)
    assert north.reads() == 0


def test_a_bid_is_dropped_once_the_fellow_is_heard(north: North) -> None:
    north.beats_for(SUSPECT_S + BEAT_S, heard=False)
    assert north.reads() == 1
    north.reads_log()  # So it is at work, and the bid is put off.
    north.hears_south()
    for _ in range(3):
        north.beats_for(SUSPECT_S)
        north.fellows.on_ledger_timer()
    assert north.reads() == 0
