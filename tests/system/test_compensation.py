"""Sellers lose goods, and a trader is killed between a sale and its undoing: real processes, real books."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from db.audit.journals import FOLDER
from tests.helpers.waiting import wait_until
from tests.system.helpers.town import Town, bazaar, running_town

pytestmark = pytest.mark.system

LOSING = (
    *("--think-s", "0.2", "--resign-after", 0, "--set", "market.restock_probability=0", "--set", "market.stock=6"),
    *("--set", "market.period_s=1", "--set", "market.loss_probability=1"),
)
"""Each seller loses some of its goods every second, and reports them missing a second later."""


def journaled(directory: Path, peer: str, kind: str) -> set[str]:
    """The requests that a peer's journal speaks of in lines of this kind."""
    lines = map(json.loads, (directory / FOLDER / f"{peer}.jsonl").read_text().splitlines())
    return {line["reversal"]["request_id"] for line in lines if line["kind"] == kind}


def sold_out(town: Town, sellers: list[str]) -> bool:
    """Whether the books say that these sellers have nothing left."""
    return not town.books.deposits.count_documents({"seller": {"$in": sellers}, "remaining": {"$gt": 0}})


def undone_by_another(town: Town, trader: str) -> dict[str, Any] | None:
    """A sale of this trader that another took back."""
    wanted = {"trader": trader, "taken_back": {"$exists": True}, "$expr": {"$ne": ["$taken_back.trader", "$trader"]}}
    found: dict[str, Any] | None = town.books.requests.find_one(wanted)
    return found


def test_a_sale_is_taken_back_under_the_successor_of_the_trader_that_made_it(tmp_path: Path) -> None:
    with running_town(tmp_path, 9, *LOSING) as town:
        wait_until(town.books.reversals.find_one, what="a sale taken back")
        trader = town.wait_for_trader()
        sellers = [name for name, peer in town.peers().items() if peer["role"] == "seller" and name != trader]
        # They hear nothing of what is sold of their goods now, which is more than they have.
        for seller in sellers:
            town.signal(seller, signal.SIGSTOP)
        wait_until(lambda: sold_out(town, sellers), what=f"the goods of {sellers} sold out")
        town.signal(trader, signal.SIGKILL)
        town.wait_for_trader(other_than=trader)
        for seller in sellers:
            town.signal(seller, signal.SIGCONT)
        undone = wait_until(lambda: undone_by_another(town, trader), what=f"a sale of {trader} taken back")
        assert undone["status"] == "sold"
        for field in ("amount", "commission", "earned"):
            assert undone["taken_back"][field] == undone[field]
        sides = ((undone["buyer"], "got_back"), (undone["seller"], "took_back"))
        alive = town.peers()

        def have_been_told() -> bool:
            return all(undone["_id"] in journaled(tmp_path, peer, kind) for peer, kind in sides if peer in alive)

        wait_until(have_been_told, what="both sides told")
        sales, reversals = (
            {each["_id"] for each in view.find()} for view in (town.books.sales, town.books.reversals)
        )
        assert undone["_id"] in reversals - sales
        done = bazaar("audit", "--json", "--dir", tmp_path)
        assert done.returncode == 0, done.stdout
        report = json.loads(done.stdout)
        assert report["invariants"]["compensated_whole"]["state"] == "holds"
        assert report["counts"]["reversals"] >= len(reversals)
        assert town.stop() == 0, town.output()[-6000:]
        assert "cannot honour #" in town.output()
        assert "got back" in town.output()
