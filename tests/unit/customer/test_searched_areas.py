"""What a customer notes of a search over several areas, and what the audit makes of it, with mistakes planted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from db.audit.findings import Finding
from db.audit.history.operations import Operations
from db.audit.journals import journal_files, read_journal
from db.audit.rows import JournalEntry
from db.schema.documents import entry_document
from db.schema.forms import PLAIN
from peers.core.ledger.log import Entry
from peers.core.ledger.post_state import PostState
from peers.core.trader.offered import on_offer
from peers.customer import Customer
from peers.errors import PostClosed
from peers.rpc.forms import area_form
from peers.rpc.forms.public_form import Document
from peers.rpc.forms.read_form import browse_dict, since_of
from peers.runtime import area_search
from peers.runtime.area_search import AreaSearch
from tests.helpers.shared_log import FISH, NORTH, SOUTH, decided, takes_office, trades
from tests.unit.audit.test_reads import judged

AREAS = (NORTH, SOUTH)
LOG: tuple[Entry, ...] = (
    takes_office(NORTH),
    takes_office(SOUTH),
    trades(NORTH, deposits=(FISH,)),
    trades(SOUTH, decided(SOUTH, 1, 1, FISH)),
    trades(NORTH, decided(NORTH, 2, 2, FISH)),
)
END = len(LOG) - 1


class Town:
    """Two posts over one log, of which each trader has read so many entries; `silent` ones do not answer."""

    def __init__(self) -> None:
        self.read = dict.fromkeys(AREAS, END)
        self.silent: set[str] = set()
        self.areas = AreaSearch(NORTH, AREAS, ("127.0.0.1", 9), self.browse_north)

    def browse(self, area: str, item: str | None, since: object = None) -> Document:
        if area in self.silent:
            raise PostClosed(why="nobody is in office")
        state = PostState()
        for entry in LOG[: self.read[area] + 1]:
            state.take_in(entry)
        found = on_offer(state, item, area)
        told = since_of(since)
        if told is not None and not found.as_of.reaches(told, shared=True):
            raise PostClosed(why="the books have not got as far as you were told")
        return browse_dict(found, 0.5)

    def browse_north(self, item: str | None, since: object = None) -> Document:
        return self.browse(NORTH, item, since)

    def pass_on(self, uri: str, method: str, told: tuple[Any, ...], timeout_s: float) -> Document:
        del method, timeout_s
        return self.browse(uri, *told)


class Asking(Customer):
    """A customer of the north, that asks this town."""

    def __init__(self, town: Town, directory: Path) -> None:
        homes = {area: directory / "areas" / area for area in AREAS}
        super().__init__("127.0.0.1", 9, name="ben", area=NORTH, areas=homes, directory=homes[NORTH])
        self.town = town

    def ask(self, method: str, *arguments: Any, within_s: float | None = None, area: str | None = None) -> Any:
        del within_s
        if method == "browse":
            return self.town.browse(area or NORTH, *arguments)
        with (
            patch.object(area_search, "pass_on", self.town.pass_on),
            patch.object(AreaSearch, "_traders", lambda _self, areas, _missing: {each: each for each in areas}),
        ):
            item, areas, since = arguments
            return self.town.areas.search(item, areas, since)


@pytest.fixture
def town() -> Town:
    return Town()


def audited(directory: Path) -> Finding:
    history = Operations()
    for path in journal_files(directory):
        history.journal()
        for line in read_journal(path):
            assert isinstance(line, JournalEntry), line
            history.line(line)
    assert history.areas
    return judged(history, [entry_document(place, entry, PLAIN) for place, entry in enumerate(LOG)])


def look(town: Town, directory: Path, between: Callable[[], object] = lambda: None) -> Finding:
    """A customer searches in its own area, and then in both."""
    with Asking(town, directory) as customer:
        assert customer.search("fish")
        between()
        customer.search_areas("fish")
        customer.search_areas(None, [SOUTH])
    return audited(directory)


def test_what_both_areas_show_is_judged_in_each(town: Town, tmp_path: Path) -> None:
    finding = look(town, tmp_path)
    assert finding.state == "holds", finding
    noted = [line for path in journal_files(tmp_path) for line in read_journal(path)]
    reads = [line.read for line in noted if isinstance(line, JournalEntry) and line.read is not None]
    assert [each.get("area", each["what"]) for each in reads] == [NORTH, NORTH, "areas", "areas", SOUTH, SOUTH]
    assert [each["since"]["place"] for each in reads if each.get("since")] == [END] * 3


def test_an_area_that_is_named_as_missing_holds(town: Town, tmp_path: Path) -> None:
    assert look(town, tmp_path, lambda: town.silent.add(SOUTH)).state == "holds"


def test_an_area_that_is_behind_what_was_told_is_missing(town: Town, tmp_path: Path) -> None:
    assert look(town, tmp_path, lambda: town.read.update({SOUTH: END - 1})).state == "holds"


# -- mistakes, each of them planted -----------------------------------------------------------------------------


def the_faults(finding: Finding) -> list[str]:
    assert finding.state == "violated", finding
    return [each.what for each in finding.violations]


def test_what_was_told_is_not_passed_on_to_other_areas(town: Town, tmp_path: Path) -> None:
    def forgetful(uri: str, method: str, told: tuple[Any, ...], timeout_s: float) -> Document:
        return Town.pass_on(town, uri, method, told[:1], timeout_s)

    town.pass_on = forgetful  # type: ignore[method-assign]
    faults = the_faults(look(town, tmp_path, lambda: town.read.update({SOUTH: END - 1})))
    assert faults[0] == (
        f"ben was shown what there was of south at place {END - 1}, seq 1, term 1, "
        f"and had said that it was told as of place {END}, seq 2, term 1"
    )


def test_an_area_that_did_not_answer_is_not_named(town: Town, tmp_path: Path) -> None:
    real = area_form.areas_dict

    def silent(*arguments: Any) -> Document:
        return {**real(*arguments), "missing": []}

    town.silent.add(SOUTH)
    with patch.object(area_search, "areas_dict", silent):
        faults = the_faults(look(town, tmp_path))
    assert faults == ["what ben got of several areas neither shows nor names as missing: south"] * 2


def test_rows_of_one_area_are_shown_as_those_of_another(town: Town, tmp_path: Path) -> None:
    real = area_form.areas_dict

    def mixed(wanted: Any, found: dict[str, Document], missing: Any) -> Document:
        swapped = {name: {**each, "rows": []} if name == SOUTH else each for name, each in found.items()}
        return real(wanted, swapped, missing)

    with patch.object(area_search, "areas_dict", mixed):
        faults = the_faults(look(town, tmp_path))
    assert "a search as of place 4 shows 0 rows" in faults[0]
