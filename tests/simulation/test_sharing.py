"""Several areas over one log and one stock: each with a trader, a term and a queue of its own."""

from __future__ import annotations

import pytest

from peers.core.caches.policies import POLICIES
from peers.core.ledger.log import OfficeEntry, TradeEntry
from peers.core.market.records import Post
from peers.simulator.environment.process import Process
from peers.simulator.faults import FaultOptions
from peers.simulator.runs.play import play
from peers.simulator.runs.runner import run_seeds
from peers.simulator.runs.world import World
from peers.simulator.scenario import Scenario, draw_scenario

AREAS = ("north", "south")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("peers", "areas"), [(3, AREAS), (5, AREAS), (3, ("east", "north", "south"))])
def test_every_invariant_holds_for_many_seeds(peers: int, areas: tuple[str, ...]) -> None:
    summary = run_seeds(range(1, 31), peers, FaultOptions(), areas=areas, jobs=1)
    assert summary.failures == []
    assert summary.decisions > 1000


@pytest.mark.timeout(300)
@pytest.mark.parametrize("cache", POLICIES)
def test_every_invariant_holds_with_each_cache(cache: str) -> None:
    summary = run_seeds(range(1, 13), 4, FaultOptions(), areas=AREAS, changes=(f"market.cache={cache}",), jobs=1)
    assert summary.failures == []
    kept, broken = (
        summary.sometimes.get(f"a request was promised, and {what}", 0) for what in ("sold", "unavailable")
    )
    if cache == "none":
        assert (kept, broken) == (0, 0)
    elif cache == "lease":  # Only a seller that has taken office since, or lost its goods, can break a promise.
        assert kept > 50 * broken
    else:
        assert kept > 5 * broken > 0


def test_without_faults_all_areas_have_a_trader_and_trade() -> None:
    scenario = draw_scenario(1, 4, FaultOptions(), areas=AREAS)
    world = World(scenario)
    world.faults.end_all()
    world.run_until(6.0)
    post = world.environment.road.post()
    assert [holder.area for holder in post.areas] == ["north", "south"]
    assert {scenario.area_of(p.rank) for p in world.environment.lives.in_office()} == set(AREAS)
    decided = [each["area"] for each in world.environment.road.ledger.documents()["requests"]]
    assert min(decided.count(area) for area in AREAS) > 3


def test_another_areas_entry_in_ones_place_is_no_end_of_a_term() -> None:
    played = play(draw_scenario(3, 4, FaultOptions(), areas=AREAS))
    assert played.sometimes["an entry found its place taken by another area's"] > 3
    assert played.breaches == ()


# -- one takes over for another ----------------------------------------------------------------------------


def a_quiet_market() -> Scenario:
    """Two areas of four, in which nothing goes wrong by itself and nobody resigns."""
    changes = ["market.resign_after_sales=0", "market.resign_probability=0", "market.think_s=0.2"]
    options = FaultOptions(**dict.fromkeys(FaultOptions.__struct_fields__, 0.0))
    return draw_scenario(1, 4, options, changes=changes, areas=AREAS)


class Pair:
    """The traders of two areas at work, and the log that they share."""

    def __init__(self) -> None:
        self.world = World(a_quiet_market())
        self.world.run_until(3.0)

    @property
    def post(self) -> Post:
        return self.world.environment.road.post()

    def trader(self, area: str) -> Process:
        (found,) = (p for p in self.world.environment.lives.in_office() if p.area == area)
        return found

    def entries(self, area: str) -> list[OfficeEntry | TradeEntry]:
        ledger = self.world.environment.road.ledger
        entries = (ledger.entry_at(place) for place in range(ledger.end + 1))
        return [entry for entry in entries if entry is not None and entry.area == area]

    def lose_the_north(self) -> None:
        """Its trader dies, and nobody else there reaches the books."""
        environment = self.world.environment
        environment.kill(self.trader("north"))
        for process in environment.lives.live():
            if process.area == "north":
                environment.road.away_for[process.rank] = 1

    def give_it_back(self) -> None:
        self.world.environment.road.away_for.clear()


def test_a_fellow_serves_an_area_whose_trader_is_gone_until_it_has_one_of_its_own() -> None:
    pair = Pair()
    fellow, dead_in_term = pair.trader("south"), pair.post.of("north").term
    pair.lose_the_north()
    pair.world.run_until(4.5)
    office = next(e for e in pair.entries("north") if isinstance(e, OfficeEntry) and e.term == dead_in_term + 1)
    assert (office.trader, office.reason) == (fellow.name, "crashed")
    served = [e for e in pair.entries("north") if isinstance(e, TradeEntry) and e.term == office.term]
    buyers = {outcome.request.buyer for entry in served for outcome in entry.outcomes}
    assert buyers, "the customers of the north buy from the fellow"
    assert buyers <= {p.name for p in pair.world.environment.lives.all if p.area == "north"}
    pair.give_it_back()
    pair.world.run_until(8.0)
    assert pair.post.of("north").trader == pair.trader("north").name
    assert pair.trader("south") is fellow, "its own office is untouched"


def test_a_fellow_is_found_missing_within_the_time_that_peers_take_to_find_each_other_missing() -> None:
    pair = Pair()
    north = pair.trader("north")
    environment = pair.world.environment
    for process in environment.lives.live():  # Nobody else there would find out, or could do anything about it.
        if process.area == "north":
            process.hung = True
    pair.world.run_until(3.0 + environment.settings.timing.suspect_s + 1.5)
    holder = pair.post.of("north")
    assert holder.trader == pair.trader("south").name
    term = north.view.term
    environment.wake(north)
    pair.world.run_until(9.0)
    # Its area may have it back by then, for nobody else there is up; but in a term of its own making.
    assert not north.view.in_office or north.view.term > term, "what it wrote next found that its term was over"


def test_while_both_are_at_work_nobody_takes_over() -> None:
    pair = Pair()
    pair.world.run_until(10.0)
    assert "a fellow took an area over" not in pair.world.environment.record.sometimes
