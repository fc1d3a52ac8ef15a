"""Whoever follows sales by `seq` and reversals by `number`, while traders fall, ends with the books."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from db.audit.checkers.follow import BooksFollowLog
from db.audit.findings import Checker
from db.audit.folding.fold import Fold, StoredBooks
from db.audit.log_rows import EntryRow
from db.audit.rows import RequestRow
from peers.core.ledger.port import FindReversals, FindSales, Found
from peers.core.names import peer_name
from peers.rpc.forms.public_form import outcome_dict
from peers.simulator.faults import FaultOptions
from peers.simulator.runs.world import World
from peers.simulator.scenario import draw_scenario

_STEP_S = 0.5
_PAGE = 7


class Follower:
    """One customer that asks for what is new again and again, and keeps what it was given, in the public form."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sales: dict[str, dict[str, Any]] = {}
        self.undone: list[dict[str, Any]] = []
        self._seq = self._number = 0

    def look(self, world: World) -> bool:
        """Asks once for each kind; returns whether there was anything new."""
        ledger = world.environment.road.ledger
        sold = ledger.perform(FindSales(seller=self.name, after_seq=self._seq, limit=_PAGE))
        back = ledger.perform(FindReversals(customer=self.name, after=self._number, limit=_PAGE))
        assert isinstance(sold, Found)
        assert isinstance(back, Found)
        for outcome in sold.outcomes:
            self._seq = outcome.seq
            self.sales[outcome.request.request_id] = outcome_dict(outcome)
        for outcome in back.outcomes:
            document = outcome_dict(outcome)
            self._number = document["taken_back"]["number"]
            self.undone.append(document)
        return bool(sold.outcomes or back.outcomes)

    def earned(self) -> Decimal:
        """What a seller has in the end: the sales that it was told of, less what went back."""
        had = {name: Decimal(each["earned"]) for name, each in self.sales.items()}
        for each in self.undone:
            if each["seller"] == self.name:
                had[each["request_id"]] -= Decimal(each["taken_back"]["earned"])
        return sum(had.values(), Decimal(0))


class Auditor(Checker):
    """The audit's own fold of the log: what each seller has earned, and where which sale was taken back."""

    name = "auditor"

    def __init__(self) -> None:
        super().__init__()
        self.earned: dict[str, Decimal] = {}
        self.decided: dict[str, int] = {}
        self.undone: list[tuple[int, str, str, str]] = []
        self._place = -1

    def log_entry(self, row: EntryRow) -> None:
        self._place = row.place

    def request(self, row: RequestRow) -> None:
        if row.sold and row.seller is not None:
            self.earned[row.seller] = self.earned.get(row.seller, Decimal(0)) + (row.earned or 0)
            self.decided[row.id] = self._place

    def reversal(self, row: RequestRow) -> None:
        assert row.seller is not None
        assert row.buyer is not None
        self.earned[row.seller] -= row.earned or 0
        self.undone.append((self._place, row.id, row.seller, row.buyer))


def audited(documents: dict[str, list[dict[str, Any]]]) -> Auditor:
    auditor = Auditor()
    books = StoredBooks(
        posts=documents["posts"],
        deposits=documents["deposits"],
        undecided=[each for each in documents["requests"] if "seq" not in each],
        decided=sorted((each for each in documents["requests"] if "seq" in each), key=_seq),
    )
    fold = Fold(auditor, BooksFollowLog(), books)
    for document in documents["log"]:
        fold.entry(document)
    fold.finish()
    return auditor


def _seq(document: Mapping[str, Any]) -> int:
    return int(document["seq"])


def followed(seed: int, areas: Iterable[str]) -> tuple[list[Follower], World]:
    """Plays a schedule, and has all its peers follow what became of their sales and purchases meanwhile."""
    scenario = draw_scenario(seed, 5, FaultOptions(), areas=tuple(areas))
    world = World(scenario)
    followers = [Follower(peer_name(role, rank)) for rank, role in enumerate(scenario.roles)]
    at_s = 0.0
    while at_s < scenario.length_s:
        at_s += _STEP_S
        world.run_until(at_s)
        for follower in followers:
            follower.look(world)
    for follower in followers:
        while follower.look(world):
            pass
    return followers, world


@pytest.mark.parametrize(("seeds", "areas"), [(range(4, 140, 5), ()), (range(4, 90, 5), ("north", "south"))])
def test_who_follows_from_the_beginning_has_what_the_audit_finds(seeds: range, areas: tuple[str, ...]) -> None:
    undone = terms = 0
    for seed in seeds:
        followers, world = followed(seed, areas)
        documents = world.environment.road.ledger.documents()
        auditor = audited(documents)
        for follower in followers:
            told = [(each["taken_back"]["place"], each["request_id"]) for each in follower.undone]
            ours = [(place, name) for place, name, *sides in auditor.undone if follower.name in sides]
            assert told == ours, "in the order of the log, each once, and at its place"
            assert all(place > auditor.decided[name] for place, name in told)
            assert follower.earned() == auditor.earned.get(follower.name, Decimal(0))
        undone += len(auditor.undone)
        terms += sum(each["kind"] == "office" for each in documents["log"])
    assert undone > 10
    assert terms > 3 * len(seeds)
