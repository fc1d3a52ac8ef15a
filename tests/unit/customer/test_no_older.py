"""What a customer says it was told before, so that no answer is older: at one post, and where areas share a log."""

from __future__ import annotations

from typing import Any

import pytest

from peers.customer import Customer
from peers.rpc.forms.public_form import Document

AREAS = ("north", "south")


class Asking(Customer):
    """A customer of two areas, whose traders answer as the test says; `since` is what it said in each call."""

    def __init__(self, answers: list[Document]) -> None:
        super().__init__("127.0.0.1", 9, name="ben", area="north", areas=dict.fromkeys(AREAS))
        self.answers = answers
        self.since: list[Document | None] = []

    def ask(self, method: str, *arguments: Any, within_s: float | None = None, area: str | None = None) -> Any:
        del method, within_s, area
        self.since.append(arguments[-1])
        return self.answers[len(self.since) - 1]


def shown(place: int, area: str, *, term: int = 1, one_log: bool = True) -> Document:
    as_of = {"term": term, "seq": place, "place": place}
    return {"rows": [], **as_of, "within_ms": 500, "area": area if one_log else ""}


def searched(**places: int) -> Document:
    as_of = {area: {"term": 1, "seq": place, "place": place} for area, place in places.items()}
    return {"offers": [], "areas": list(places), "as_of": as_of, "missing": []}


def place(since: Document | None) -> int | None:
    return None if since is None else int(since["place"])


def test_what_one_area_told_counts_in_all_that_share_its_log() -> None:
    customer = Asking([shown(7, "north", term=3), searched(north=7, south=9), shown(9, "north", term=3)])
    customer.search()
    customer.search_areas()
    customer.search()
    customer.close()
    first, in_areas, last = customer.since
    assert first is None
    assert in_areas is not None
    assert {area: place(since) for area, since in in_areas.items()} == dict.fromkeys(AREAS, 7)
    assert place(last) == 9


def test_areas_with_logs_of_their_own_are_kept_apart() -> None:
    answers = [shown(7, "north", one_log=False), searched(north=7, south=9), shown(7, "north", one_log=False)]
    customer = Asking(answers)
    customer.search()
    customer.search_areas()
    customer.search()
    customer.close()
    first, in_areas, last = customer.since
    assert first is None
    assert in_areas is not None
    assert {area: place(since) for area, since in in_areas.items()} == {"north": 7}
    assert place(last) == 7


@pytest.mark.parametrize(("one_log", "since"), [(False, (3, 0, 21)), (True, (3, 8, 21))])
def test_that_a_sale_was_taken_back_counts_with_its_place(one_log: bool, since: tuple[int, int, int]) -> None:
    """It was sold in one term and taken back in another: in a log of its own the later term counts, and its place."""
    undone = {"status": "sold", "seq": 8, "term": 2, "taken_back": {"number": 1, "term": 3, "place": 21}}
    answers = [shown(7, "north", term=2, one_log=one_log), undone, shown(30, "north", term=3, one_log=one_log)]
    customer = Asking(answers)
    customer.search()
    customer.outcome("r1")
    customer.search()
    customer.close()
    told = customer.since[-1]
    assert told is not None
    assert (told["term"], told["seq"], told["place"]) == since


def test_after_a_restore_the_later_term_counts_in_a_log_of_its_own() -> None:
    later = shown(5, "north", term=2, one_log=False)
    customer = Asking([shown(7, "north", one_log=False), later, later])
    for _ in range(3):
        customer.search()
    customer.close()
    assert [place(since) for since in customer.since] == [None, 7, 5]
