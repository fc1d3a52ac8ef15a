"""Every row of the earlier reports is a scene of that name, which shows with real processes what the row says."""

from __future__ import annotations

import asyncio
import io
import signal
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bson.decimal128 import Decimal128
from pymongo import MongoClient

from peers.scenes.audience import Audience
from peers.scenes.play import SAID, play
from peers.scenes.registry import SCENES, find_scene
from peers.scenes.scene import Scene
from peers.scenes.stage import Stage
from tests.helpers.waiting import wait_until
from tests.system.helpers.town import BAZAAR, bazaar, processes_of

pytestmark = pytest.mark.system

YES = True
_SALE_OF_FIVE: dict[str, object] = {
    "price and units": ("10.00", 5),
    "the seller is told that it earned": Decimal("45.00"),
}
_FIXED_ORDER: dict[str, object] = {
    "concurrent": ["ann", "ben"],
    "decided in this order": ["opener", "ann", "ben"],
    "none is lost": ["sold", "sold", "sold"],
}
_NEUTRAL: dict[str, object] = {
    "elected by": "ring",
    "what the trader bought and sold": (0, 0),
    "nobody bought from itself": YES,
}

# What the rows say, by the scene's name; a scene may see more than that, which it judges by itself.
ROWS: dict[str, dict[str, object]] = {
    "lamport-1": {
        "ranks join one by one, the one that is to start at last": [0, 1, 3, 4, 5, 2],
        "this rank starts the election": 2,
        "this rank, the highest, wins": 5,
        "everybody acknowledges": "seller5 in term 1",
    },
    "lamport-2": {
        "these have deposited before trade starts": ["seller0", "seller1", "seller2"],
        "units of each deposit": [10, 10, 10],
        "each price is from 5 to 10": YES,
    },
    "lamport-3": {
        "price": Decimal("9.00"),
        "the seller is told that it earned": Decimal("7.20"),
        "the seller is told how many are left": 9,
    },
    "lamport-4": {
        "sales of the trader before it resigned": 40,
        "the first trader": "seller5",
        "this buyer, the lowest, restarts": "buyer0",
        "the next highest wins": "seller4",
        "the old one is back in its role, and deposits": "seller5",
    },
    "lamport-5": {
        "pending when the new trader came": 3,
        "decided in this order": ["ann", "ben", "cleo", "dan", "eve"],
        "in these terms": [1, 2, 2, 2, 2],
    },
    "lamport-6": {
        "with each purchase the buyer's clock goes up by": [1],
        "the others' differ from it by": {"seller1": 0, "seller2": 0},
        "a new trader goes on from its own": YES,
    },
    "lamport-7": {
        "purchases before it sleeps": 10,
        "its clock follows meanwhile": YES,
        "its first request after that is stamped later": YES,
    },
    "TC_01": {
        "amount": "50.00",
        "commission of the sale": "5.00",
        "what the trader has in the books": Decimal("5.00"),
    },
    "TC_02": {**_SALE_OF_FIVE, "what the seller has in the books": Decimal("45.00")},
    "TC_03": _FIXED_ORDER,
    "TC_04": {
        "the buyer is told why": "nobody has enough of it",
        "it looks for something else": YES,
        "and in the end it buys": "fish",
    },
    "TC_05": {"elections before rank 0 is in office": 0, "fails": 0, "starts": 2, "wins": 5},
    "TC_06": {"in office, one after the other": [0, 5, 4, 5]},
    "TC_07": {"another is in office": YES, "the former trader trades under the new one": "buyer0"},
    "TC_08": {
        "another is in office": YES,
        "what was pending is decided": ["ann", "ben", "cleo"],
        "each once": ["ann", "ben", "cleo"],
        "the inventory is there, but for what was sold": {"fish": 17, "salt": 5},
    },
    "TC_09": _FIXED_ORDER,
    "ring-1": {**_NEUTRAL, "in office": "merchant2", "who buys": ["buyer0"], "who sells": ["seller1"]},
    "ring-2": {
        **_NEUTRAL,
        "in office": "merchant3",
        "who buys": ["buyer0", "merchant2"],
        "who sells": ["seller1", "merchant2"],
    },
    "ring-3": {**_NEUTRAL, "in office": "merchant2", "who buys": ["merchant1"], "who sells": ["seller0"]},
    "ring-4": {
        **_NEUTRAL,
        "in office": "merchant2",
        "who buys": ["merchant0", "merchant1"],
        "who sells": ["merchant0", "merchant1"],
    },
    "ring-broken": {
        "this rank, the highest of the others, wins": 6,
        "the ring closes over those that are gone": ["buyer0", "buyer1", "buyer3", "seller4", "seller6"],
        "trade goes on in term": 2,
    },
    "ring-seller": {
        "what was sold while it was gone is taken back": YES,
        "what it had handed over before stays sold": YES,
    },
    "replicated-1": {
        "members, of which any one may be lost": 3,
        "bought": ("sold", "6.00"),
        "on offer at every peer after that": {"fish": 3, "salt": 4},
        "peers that answer beside the trader": 3,
    },
    "replicated-2": {
        "trade goes on": YES,
        "purchases that were told and are lost": [],
        "purchases that were told twice": 0,
    },
    "replicated-3": {
        "the one that was held back is behind": YES,
        "and what it has is the same": "holds",
        "members with the same books": 3,
        "versions that they have": 1,
    },
    "replicated-4": {
        "purchases": 180,
        "of these in the books": 180,
        "left of the goods": {"fish": 320},
        "the members' books": "holds",
    },
}


def test_there_is_a_scene_for_each_row() -> None:
    assert list(SCENES) == list(ROWS)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ROWS)
def test_scene(name: str, tmp_path: Path) -> None:
    shown = io.StringIO()
    place = tmp_path / "town"
    verdict = play(find_scene(name), Audience(shown), place)
    assert verdict is not None
    assert verdict.exit_code == 0, shown.getvalue() + (place / SAID).read_text()[-5000:]
    assert all(fact.holds for fact in verdict.facts)
    seen = verdict.seen()
    assert {claim: seen.get(claim) for claim in ROWS[name]} == ROWS[name]
    assert not processes_of(tmp_path)


def a_scene(script: Any) -> Scene:
    return Scene(
        name="ours",
        market="lamport",
        title="a scene of a test",
        look_at="nothing",
        roles="sellers=3",
        script=script,
        trades=False,
    )


async def _sees_little(stage: Stage) -> None:
    stage.check("the trader", (await stage.elected(1)).peer, "seller0")


async def _has_no_end(stage: Stage) -> None:
    stage.check("the trader", (await stage.elected(1)).peer, "seller2")
    await stage.status("seller7")


async def _loses_all(stage: Stage) -> None:
    await stage.elected(1)
    stage.kill(*stage.alive())
    await asyncio.Event().wait()


async def _cheats(stage: Stage) -> None:
    await stage.elected(1)
    shop, ann = stage.customer("shop"), stage.customer("ann")
    await shop.deposit("fish", 10, "9.00")
    outcome = await ann.buy("fish")
    stage.check("sold", outcome["status"], "sold")
    assert len(await stage.sales()) == 1  # The books have it.
    with MongoClient[dict[str, Any]](stage.books.uri) as client:
        wrong = {"commission": Decimal128("8.00")}
        client[stage.books.database].requests.update_one({"_id": outcome["request_id"]}, {"$set": wrong})


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("script", "code", "says"),
    [
        (_sees_little, 2, "NOT SEEN: the trader: seller2, where it should be seller0"),
        (_has_no_end, 2, "it could not be shown: seller7 has ended"),
        (_loses_all, 2, "its town ended before it was over, for no peer was left there"),
        (_cheats, 1, "violated: acknowledged_is_recorded, books_follow_log"),
    ],
)
def test_what_is_not_so_is_not_said_to_be(script: Any, code: int, says: str, tmp_path: Path) -> None:
    shown = io.StringIO()
    verdict = play(a_scene(script), Audience(shown), tmp_path / "town")
    assert verdict is not None
    assert verdict.exit_code == code, shown.getvalue()
    assert says in shown.getvalue()


def test_the_command_lists_all_and_what_they_are_about() -> None:
    done = bazaar("scene")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line for line in lines if line and not line.startswith(" ")] == [
        "lamport:",
        "vector:",
        "ring:",
        "replicated:",
    ]
    for scene in SCENES.values():
        assert any(scene.name in line and scene.title in line for line in lines), scene.name
        assert scene.look_at.split(maxsplit=1)[0] in done.stdout


@pytest.mark.timeout(120)
def test_the_command_plays_one(tmp_path: Path) -> None:
    done = bazaar("scene", "tc_01", "--dir", tmp_path / "town")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Look at this:" in done.stdout
    assert "seen: commission of the sale: 5.00" in done.stdout


@pytest.mark.timeout(120)
def test_ctrl_c_leaves_nothing_running(tmp_path: Path) -> None:
    said = tmp_path / "said"
    with said.open("w") as to:
        command = [*BAZAAR, "scene", "lamport-7", "--dir", str(tmp_path / "town")]
        scene = subprocess.Popen(command, stdout=to, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        wait_until(lambda: "I am the new coordinator" in said.read_text(), what="that the scene is under way")
        scene.send_signal(signal.SIGINT)
        assert scene.wait(60) == 130, said.read_text()
        wait_until(lambda: not processes_of(tmp_path), what="an empty place")
    finally:
        if scene.poll() is None:
            scene.kill()


def test_what_cannot_be_played_is_said_at_once(tmp_path: Path) -> None:
    done = bazaar("scene", "no-such-scene")
    assert done.returncode == 2
    assert "there is no scene called no-such-scene: `bazaar scene` lists them" in done.stderr
    (tmp_path / "keep").write_text("mine")
    done = bazaar("scene", "TC_01", "--dir", tmp_path)
    assert done.returncode == 2
    assert "is not empty" in done.stderr
    assert (tmp_path / "keep").read_text() == "mine"
