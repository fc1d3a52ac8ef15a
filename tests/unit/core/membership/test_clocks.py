"""The laws of logical clocks: ticking, merging, and one total order that never contradicts happens-before."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peers.core.bounds import MAX_TIME, NO_RANK
from peers.core.market.sort_key import sort_key
from peers.core.membership.clocks import CLOCKS, LamportStamp, Stamp, VectorStamp, make_clock, zero_stamp
from peers.core.names import peer_name, rank_of

NAMES = [peer_name("buyer", 0), peer_name("seller", 1), peer_name("merchant", 2), peer_name("buyer", 10)]

lamports = st.builds(LamportStamp, lamport=st.integers(0, MAX_TIME))
vectors = st.builds(VectorStamp, vector=st.dictionaries(st.sampled_from(NAMES), st.integers(0, 2**40)))
stamps_of_one_kind = st.sampled_from([lamports, vectors]).flatmap(lambda kind: st.lists(kind, min_size=1, max_size=6))

Event = tuple[int, int | None]
"""Who does it, and whose last message it first takes in (None: a step of its own)."""

histories = st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, 3)), min_size=1, max_size=30)


def live_through(kind: str, history: list[Event]) -> list[tuple[str, Stamp, frozenset[int]]]:
    """Plays a history; returns of each event its owner, its stamp, and the events that happened before it."""
    clocks = [make_clock(kind, name) for name in NAMES]
    past: list[frozenset[int]] = [frozenset()] * len(NAMES)
    told: dict[int, tuple[Stamp, frozenset[int]]] = {}
    events = []
    for number, (who, heard_of) in enumerate(history):
        if heard_of is not None and heard_of in told:
            stamp, before = told[heard_of]
            clocks[who].merge(stamp)
            past[who] |= before
        stamp = clocks[who].tick()
        events.append((NAMES[who], stamp, past[who]))
        past[who] |= {number}
        told[who] = (stamp, past[who])
    return events


def key(event: tuple[str, Stamp, frozenset[int]], number: int) -> str:
    owner, stamp, _ = event
    return sort_key(stamp, owner, f"id{number}")


@pytest.mark.parametrize("kind", CLOCKS)
@given(history=histories)
def test_what_happened_before_comes_first_in_the_order(kind: str, history: list[Event]) -> None:
    events = live_through(kind, history)
    for later, (_, _, past) in enumerate(events):
        for earlier in past:
            assert key(events[earlier], earlier) < key(events[later], later)


@given(history=histories)
def test_a_vector_knows_exactly_what_happened_before(history: list[Event]) -> None:
    events = live_through("vector", history)
    for b, (_, stamp_b, past) in enumerate(events):
        for a, (_, stamp_a, past_of_a) in enumerate(events):
            assert isinstance(stamp_a, VectorStamp)
            assert isinstance(stamp_b, VectorStamp)
            assert stamp_a.happens_before(stamp_b) == (a in past)
            assert stamp_a.concurrent(stamp_b) == (a != b and a not in past and b not in past_of_a)


@given(history=histories)
def test_lamport_never_denies_what_happened_before(history: list[Event]) -> None:
    events = live_through("lamport", history)
    for _, stamp, past in events:
        for earlier in past:
            before = events[earlier][1]
            assert isinstance(before, LamportStamp)
            assert isinstance(stamp, LamportStamp)
            assert before.happens_before(stamp)


@given(stamps=stamps_of_one_kind, data=st.data())
def test_merging_gives_the_same_in_any_order_however_often(stamps: list[Stamp], data: st.DataObject) -> None:
    again = data.draw(st.permutations(stamps + data.draw(st.lists(st.sampled_from(stamps)))))
    assert merged(stamps) == merged(list(again))


@given(stamps=stamps_of_one_kind, split=st.integers(0, 6))
def test_merging_is_associative(stamps: list[Stamp], split: int) -> None:
    left, right = stamps[:split], stamps[split:]
    grouped = [merged(part) for part in (left, right) if part]
    assert merged(grouped) == merged(stamps)


@given(stamps=stamps_of_one_kind)
def test_only_news_is_news(stamps: list[Stamp]) -> None:
    clock = clock_for(stamps[0])
    for stamp in stamps:
        before = clock.stamp()
        assert clock.merge(stamp) == (clock.stamp() != before)
        assert not clock.merge(stamp)


def clock_for(stamp: Stamp):  # type: ignore[no-untyped-def]
    return make_clock("vector" if isinstance(stamp, VectorStamp) else "lamport", "nobody")


def merged(stamps: list[Stamp]) -> Stamp:
    clock = clock_for(stamps[0])
    for stamp in stamps:
        clock.merge(stamp)
    result = clock.stamp()
    if isinstance(result, VectorStamp):  # An absent entry stands for 0, so entries of 0 are left out.
        return VectorStamp(vector={name: count for name, count in result.vector.items() if count})
    assert isinstance(result, LamportStamp)
    return result


@pytest.mark.parametrize("kind", CLOCKS)
def test_a_tick_is_later_than_everything_known(kind: str) -> None:
    clock, other = make_clock(kind, "buyer0"), make_clock(kind, "seller1")
    for _ in range(3):
        clock.merge(other.tick())
        known = clock.stamp()
        assert clock.tick().time == known.time + 1


@pytest.mark.parametrize("kind", CLOCKS)
def test_a_clock_takes_no_news_of_the_other_kind(kind: str) -> None:
    clock = make_clock(kind, "buyer0")
    other = VectorStamp(vector={"seller1": 5}) if kind == "lamport" else LamportStamp(lamport=5)
    assert not clock.merge(other)
    assert clock.stamp() == zero_stamp(kind)


def test_a_stamp_given_away_does_not_change_with_the_clock() -> None:
    clock = make_clock("vector", "buyer0")
    first = clock.tick()
    clock.tick()
    assert first == VectorStamp(vector={"buyer0": 1})


owned = st.tuples(lamports | vectors, st.sampled_from([*NAMES, "outsider", "buyer007x"]), st.uuids().map(str))


@given(st.lists(owned, min_size=2, max_size=8, unique_by=lambda record: record[2]))
def test_the_order_is_total_and_the_same_wherever_one_starts(records: list[tuple[Stamp, str, str]]) -> None:
    keys = [sort_key(*record) for record in records]
    assert len(set(keys)) == len(keys)
    as_told = sorted(records, key=lambda r: (r[0].time, rank_of(r[1]), r[1], r[2]))
    assert [sort_key(*record) for record in as_told] == sorted(keys)


def test_equal_clocks_are_broken_by_rank_and_strangers_come_last() -> None:
    stamp = LamportStamp(lamport=7)
    in_order = ["seller2", "buyer10", "merchant100", "someone-else"]
    for names in permutations(in_order):
        assert sorted(names, key=lambda name: sort_key(stamp, name, "id")) == in_order
    assert rank_of("someone-else") == NO_RANK


@pytest.mark.parametrize("time", [0, 9, 10, 99, 10**15, MAX_TIME])
def test_the_order_of_strings_is_the_order_of_numbers(time: int) -> None:
    here, next_ = LamportStamp(lamport=time), LamportStamp(lamport=time + 1)
    assert sort_key(here, "buyer999999", "z") < sort_key(next_, "buyer0", "a")


@given(history=histories)
def test_folding_the_clocks_of_strangers_keeps_the_order(history: list[Event]) -> None:
    """The last of NAMES is no peer here: whoever hears of it takes its clock in folded."""
    known = frozenset(NAMES[:-1])
    clocks = [make_clock("vector", name) for name in NAMES]
    told: dict[int, tuple[Stamp, frozenset[int]]] = {}
    past: list[frozenset[int]] = [frozenset()] * len(NAMES)
    events: list[tuple[str, Stamp, frozenset[int]]] = []
    for number, (who, heard_of) in enumerate(history):
        if heard_of is not None and heard_of in told:
            stamp, before = told[heard_of]
            assert isinstance(stamp, VectorStamp)
            clocks[who].merge(stamp if who == len(NAMES) - 1 else stamp.folded(known))
            past[who] |= before
        stamp = clocks[who].tick()
        events.append((NAMES[who], stamp, past[who]))
        past[who] |= {number}
        told[who] = (stamp, past[who])
    for later, (_, _, before) in enumerate(events):
        for earlier in before:
            assert key(events[earlier], earlier) < key(events[later], later)


def test_folded_is_the_same_where_all_are_known() -> None:
    stamp = VectorStamp(vector={"buyer0": 3, "seller1": 2})
    assert stamp.folded({"buyer0", "seller1"}) == stamp
    assert stamp.folded({"buyer0"}) == VectorStamp(vector={"buyer0": 3, "others": 2})
    assert stamp.folded({"buyer0"}).time == stamp.time
