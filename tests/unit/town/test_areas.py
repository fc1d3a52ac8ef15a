"""Areas: their names, where their books are, who belongs to which; and a town that is opened again."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peers.core.membership.graph_kinds import first_graph, is_sound
from peers.core.membership.roles import draw_roles
from peers.core.names import Role
from peers.errors import LedgerError, SettingsError
from peers.town.files.directory import Directory, TownState
from peers.town.plan.areas import (
    MOST_AREAS,
    ONLY,
    OWN,
    AreaBooks,
    AreaPlan,
    address_of_area,
    check_size,
    choose_area,
    database_of_area,
    draw_shares,
    parse_areas,
    read_areas,
    split,
    write_areas,
)
from peers.town.plan.options import RunOptions
from peers.town.terminals.areas_before import with_areas

URI = "mongodb://127.0.0.1:27017/?directConnection=true"
NORTH, SOUTH = AreaPlan(name="north"), AreaPlan(name="south")


def test_areas_are_named_in_a_list_and_one_by_one() -> None:
    assert parse_areas(None) == ()
    assert parse_areas("north, south") == (NORTH, SOUTH)
    given_books = parse_areas("north,south", [f"south={URI}", "east=own"])
    assert given_books == (NORTH, AreaPlan(name="south", books=URI), AreaPlan(name="east", books=OWN))
    assert [area.whose for area in given_books] == ["town", "given", "own"]


def test_a_file_may_have_the_address(tmp_path: Path) -> None:
    (tmp_path / "address").write_text(f"{URI}\n")
    assert parse_areas(None, [f"north=@{tmp_path / 'address'}"]) == (AreaPlan(name="north", books=URI),)


@pytest.mark.parametrize(
    ("listed", "named", "why"),
    [
        ("north,", (), "is no name of an area"),
        ("no rth", (), "letters, digits and dashes"),
        ("-north", (), "is no name of an area"),
        ("a" * 25, (), "24 at most"),
        ("../x", (), "is no name of an area"),
        ("north,north", (), "there twice"),
        ("north,NORTH", (), "capital letters"),
        (None, ("north", "north"), "there twice"),
        (None, ("north=",), "say where its books are"),
        (None, ("north=nonsense",), "--area north=: say where its books are"),
        (None, ("north=@/no/such/file",), "--area north= @/no/such/file: .* cannot be read"),
        (",".join(f"a{number}" for number in range(MOST_AREAS + 1)), (), "16 at most"),
    ],
)
def test_what_can_be_no_area_is_refused(listed: str | None, named: tuple[str, ...], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        parse_areas(listed, named)


def test_books_are_beside_those_of_the_town_or_where_it_was_said() -> None:
    assert database_of_area("bazaar", "") == "bazaar"
    assert database_of_area("bazaar", "north") == "bazaar_north"
    assert database_of_area("bazaar", "north", shared=True) == "bazaar"
    assert address_of_area(URI, "bazaar", NORTH) == (URI, "bazaar_north")
    assert address_of_area(URI, "bazaar", AreaPlan(name="north", shared=True)) == (URI, "bazaar")
    other = "mongodb://192.0.2.1:27017/?replicaSet=rs0"
    assert address_of_area(URI, "bazaar", AreaPlan(name="north", books=other)) == (other, "bazaar_north")
    named = "mongodb://192.0.2.1:27017/fish?replicaSet=rs0"
    assert address_of_area(URI, "bazaar", AreaPlan(name="north", books=named)) == (named, "fish")


@given(st.integers(2, 200), st.integers(1, 16))
def test_peers_are_dealt_out_evenly(n: int, areas: int) -> None:
    places = split(n, areas)
    assert [place for each in places for place in each] == list(range(n))
    assert max(map(len, places)) - min(map(len, places)) <= 1


@given(st.integers(2, 16), st.integers(0, 40), st.integers(0, 1000))
def test_every_area_has_buyers_and_sellers_and_a_graph(areas: int, more: int, seed: int) -> None:
    plans = [AreaPlan(name=f"a{number}") for number in range(areas)]
    n = 2 * areas + more
    check_size(n, None, plans)
    for share in draw_shares(n, plans, seed, roles=None, merchants=False, graph="random"):
        assert {"buyer", "seller"} <= {*share.roles}
        graph: dict[int, list[int]] = {place: [] for place in range(len(share.roles))}
        for low, high in share.edges:
            graph[low].append(high)
            graph[high].append(low)
        assert is_sound(graph, "random")


def test_a_town_with_one_post_draws_what_it_always_drew() -> None:
    rng = random.Random(7)
    roles = draw_roles(6, rng)
    (share,) = draw_shares(6, [ONLY], 7, roles=None, merchants=False, graph="random")
    assert (share.roles, share.edges) == (roles, first_graph("random", 6, rng))


def test_given_roles_are_dealt_out_so_that_all_have_some_of_each() -> None:
    roles: tuple[Role, ...] = ("buyer", "buyer", "buyer", "seller", "seller", "seller")
    check_size(6, roles, [NORTH, SOUTH])
    first, second = draw_shares(6, [NORTH, SOUTH], 1, roles=roles, merchants=False, graph="random")
    assert (first.roles, second.roles) == (("buyer", "buyer", "seller"), ("buyer", "seller", "seller"))
    with pytest.raises(SettingsError, match="too few for south, where nobody would sell"):
        check_size(6, ("seller", "buyer", "buyer", "buyer", "buyer", "buyer"), [NORTH, SOUTH])
    with pytest.raises(SettingsError, match=r"3 peers are too few for 2 areas \(north, south\)"):
        check_size(3, None, [NORTH, SOUTH])


def test_the_card_tells_of_areas() -> None:
    areas = (AreaBooks(name="north", database="bazaar_north"), AreaBooks(name="south", database="x", given=True))
    assert read_areas({"areas": write_areas(areas)}) == areas
    assert read_areas({}) == ()
    with pytest.raises(SettingsError, match="the same version"):
        read_areas({"areas": "north"})


def test_who_joins_chooses_an_area_or_comes_to_the_smallest() -> None:
    known = (AreaBooks(name="north", database="n"), AreaBooks(name="south", database="s"))
    assert choose_area([], known, ["north", "north", "south"]).name == "south"
    assert choose_area([], known, []).name == "north"
    assert choose_area([NORTH], known, ["north", "north", "south"]) == NORTH
    assert choose_area([], (), []) == ONLY
    with pytest.raises(SettingsError, match="it has north, south"):
        choose_area([AreaPlan(name="east")], known, [])
    with pytest.raises(SettingsError, match="joins one area"):
        choose_area([NORTH, SOUTH], known, [])
    with pytest.raises(SettingsError, match="has one post"):
        choose_area([NORTH], (), [])


# -- opened again --------------------------------------------------------------------------------------------


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    directory = Directory(tmp_path / "town")
    directory.make()
    return directory


def options(*areas: AreaPlan, **other: object) -> RunOptions:
    return msgspec.structs.replace(RunOptions(host="127.0.0.1", n=6, areas=areas), **other)


def leave(directory: Directory, name: str, **other: object) -> None:
    area = directory.area(name)
    area.make()
    state = TownState(phase="closed", pid=1, host="127.0.0.1", n=3, seed=1, database=f"bazaar_{name}")
    area.write_town(msgspec.structs.replace(state, **other))


def test_a_town_keeps_its_areas_and_where_their_books_are(directory: Directory) -> None:
    leave(directory, "south", books="given", mongo_uri="mongodb://anna:secret@192.0.2.1:27017/?replicaSet=rs0")
    leave(directory, "north", books="own")
    directory.write_town(
        TownState(phase="closed", pid=1, host="127.0.0.1", n=6, seed=1, areas=("south", "north"), mongo_uri=URI)
    )
    south, north = with_areas(options(), directory).areas
    assert (south.name, north) == ("south", AreaPlan(name="north", books=OWN))
    assert south.books.startswith("mongodb://anna:secret@"), "with the password"
    assert "secret" not in (directory.area("south").path / "town.json").read_text()
    more = with_areas(options(AreaPlan(name="east"), NORTH), directory).areas
    assert [area.name for area in more] == ["south", "north", "east"]
    with pytest.raises(SettingsError, match="elsewhere already"):
        with_areas(options(AreaPlan(name="north", books=URI)), directory)
    assert with_areas(options(NORTH, fresh=True), directory).areas == (NORTH,)


def test_where_nothing_says_any_more_where_the_books_of_an_area_were_one_may_say_it(directory: Directory) -> None:
    leave(directory, "south", books="given", mongo_uri=URI)
    (directory.area("south").path / "town.json").write_bytes(b"")
    given = AreaPlan(name="south", books=URI)
    assert with_areas(options(given), directory).areas == (given,)
    leave(directory, "south", books="own")
    with pytest.raises(SettingsError, match="elsewhere already"):
        with_areas(options(given), directory)


def test_one_post_does_not_become_several(directory: Directory) -> None:
    assert with_areas(options(NORTH), directory).areas == (NORTH,)
    (directory.mongo / "data").mkdir(parents=True)
    with pytest.raises(SettingsError, match="of a town with one post"):
        with_areas(options(NORTH), directory)
    assert with_areas(options(), directory).areas == ()


def test_fresh_empties_no_books_that_are_elsewhere() -> None:
    with pytest.raises(SettingsError, match="empty those of --area yourself"):
        options(AreaPlan(name="north", books=URI), fresh=True).check()
    with pytest.raises(LedgerError, match="address"):
        options(AreaPlan(name="north", books="mongo:/nothing")).check()


def test_a_database_for_one_area_is_on_loopback(directory: Directory) -> None:
    with pytest.raises(SettingsError, match="on loopback only"):
        with_areas(options(AreaPlan(name="north", books=OWN), host="192.0.2.1"), directory)
