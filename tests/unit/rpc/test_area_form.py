"""A search over several areas, in its public form."""

from __future__ import annotations

from typing import Any

import pytest

from peers.errors import BadRequest
from peers.rpc.forms.area_form import areas_dict, areas_in, search_arguments, since_in

KNOWN = ("north", "south")


def test_item_and_areas_come_by_position_or_by_name() -> None:
    told = {"north": {"term": 2}}
    assert search_arguments((), {}) == (None, None, None)
    assert search_arguments(("fish",), {}) == ("fish", None, None)
    assert search_arguments(("fish", ["north"]), {}) == ("fish", ["north"], None)
    assert search_arguments(("fish",), {"areas": ["north"]}) == ("fish", ["north"], None)
    assert search_arguments((), {"areas": ["north"]}) == (None, ["north"], None)
    assert search_arguments(("fish", ["north"], told), {}) == ("fish", ["north"], told)
    assert search_arguments((), {"since": told}) == (None, None, told)


@pytest.mark.parametrize("wrong", [7, ["north"], {"east": {}}])
def test_what_was_told_is_said_by_area(wrong: object) -> None:
    assert since_in(None, KNOWN) == {}
    assert since_in({"north": {"term": 2}}, KNOWN) == {"north": {"term": 2}}
    with pytest.raises(BadRequest, match="areas of the town"):
        since_in(wrong, KNOWN)


@pytest.mark.parametrize(
    ("arguments", "named"), [(("fish", [], {}, 1), {}), ((), {"area": "north"}), (("fish",), {"item": "salt"})]
)
def test_surplus_arguments_are_refused(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="item, areas and since"):
        search_arguments(arguments, named)


@pytest.mark.parametrize("wrong", [[], "north", ["north", "east"], [["north"]], [{}], 7, {"north": 1}])
def test_areas_that_there_are_not_are_refused(wrong: object) -> None:
    with pytest.raises(BadRequest, match="must be a list of north, south"):
        areas_in(wrong, KNOWN)


def test_areas_may_be_left_out() -> None:
    assert areas_in(None, KNOWN) is None
    assert areas_in(["south"], KNOWN) == ("south",)
    with pytest.raises(BadRequest, match="one post"):
        areas_in(["south"], ("",))


def test_every_row_says_its_area_and_who_is_silent_is_named() -> None:
    as_of = {"term": 2, "seq": 9, "place": 14}
    north = {"rows": [{"item": "fish"}], **as_of, "within_ms": 500, "area": "north"}
    found = {"north": north, "west": {"rows": [], **as_of}}
    assert areas_dict(("north", "south", "west", "east"), found, {"south": "no trader"}) == {
        "offers": [{"item": "fish", "area": "north"}],
        "areas": ["north", "west"],
        "as_of": {"north": as_of, "west": as_of},
        "within_ms": 500,
        "one_log": True,
        "missing": [
            {"area": "south", "why": "no trader"},
            {"area": "east", "why": "it did not answer in time"},
        ],
    }
