"""Markets by name, the table of all settings, and the options that are short for one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from peers.core.settings import Settings
from peers.errors import SettingsError
from peers.town.plan.areas import parse_areas
from peers.town.plan.options import RunOptions, parse_roles, parse_settings
from peers.town.plan.presets import find_preset, preset_names
from peers.town.view.settings_table import markdown_table, setting_rows

README = Path(__file__).parents[3] / "peers" / "markets" / "README.md"


def settings(market: str | None = None, *pairs: str) -> Settings:
    return parse_settings(pairs=pairs, shortcuts={}, slow_peer=False, market=market)


def test_there_are_the_markets_of_the_earlier_systems_and_each_can_be_had() -> None:
    assert preset_names() == ("lamport", "replicated", "ring", "vector", "warehouse")
    for name in preset_names():
        assert find_preset(name).about
        settings(name)


def test_a_market_may_have_areas_of_its_own_unless_others_are_given() -> None:
    usual = parse_areas(find_preset("warehouse").areas)
    options = RunOptions(host="localhost", n=8, usual_areas=usual, settings=settings("warehouse"))
    assert [area.name for area in options.as_first().areas] == ["north", "south"]
    chosen = msgspec.structs.replace(options, areas=parse_areas("east,west"))
    assert [area.name for area in chosen.as_first().areas] == ["east", "west"]


def test_areas_of_one_stock_have_their_books_in_one_place() -> None:
    apart = parse_areas("north,south", ["north=mongodb://elsewhere/books"])
    with pytest.raises(SettingsError, match="--area north: all areas have one stock"):
        RunOptions(host="localhost", n=8, areas=apart, settings=settings("warehouse")).check()


def test_the_default_market_is_lamport() -> None:
    assert settings("lamport") == Settings()


def test_what_is_given_besides_changes_only_that() -> None:
    changed = settings("vector", "market.stock=7", "graph=random")
    assert (changed.market.stock, changed.graph, changed.clock) == (7, "random", "vector")
    assert changed.market.quantity_max == settings("vector").market.quantity_max


def test_a_market_that_there_is_not_is_refused_with_those_there_are() -> None:
    there_are = "there are lamport, replicated, ring, vector, warehouse"
    with pytest.raises(SettingsError, match=f"no market called fish; {there_are}"):
        settings("fish")


def test_each_setting_says_what_it_does_and_what_it_may_be() -> None:
    for row in setting_rows(Settings()):
        assert row.sentence, row.name
        assert row.allowed, row.name
    by_name = {row.name: row for row in setting_rows(Settings())}
    assert by_name["timing.suspect_s"].allowed == "> 0 s, ≤ 3,600 s"
    assert by_name["graph"].allowed == "random, complete, ring"


def test_the_documentation_has_the_table_as_it_is() -> None:
    assert markdown_table(setting_rows(Settings())) in README.read_text()


def test_roles_are_given_by_number_in_the_order_of_ranks() -> None:
    assert parse_roles("buyers=1,sellers=2, merchant=1") == ("buyer", "seller", "seller", "merchant")
    for wrong in ("buyers", "buyers=x", "kings=1", "buyers=-1", ""):
        with pytest.raises(SettingsError, match="--roles"):
            parse_roles(wrong)
    with pytest.raises(SettingsError, match="--roles are those of 3 peers, and 4 are to be started"):
        RunOptions(host="localhost", n=4, roles=parse_roles("buyers=2,sellers=1")).check()
