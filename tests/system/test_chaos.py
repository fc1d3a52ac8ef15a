"""Chaos for real: the books balance after it, a planted violation is found, and Ctrl-C leaves nothing running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bson.decimal128 import Decimal128
from matplotlib import image
from pymongo import MongoClient

from db.audit.invariants import INVARIANTS
from peers.chaos.kinds import WIRE_KINDS, choose_kinds
from peers.chaos.options import ChaosOptions
from peers.chaos.plan import Plan, draw_plan
from peers.chaos.progress import Show
from peers.chaos.run import run_chaos
from peers.errors import LedgerError
from tests.helpers.waiting import wait_until
from tests.system.helpers.town import BAZAAR, bazaar, processes_of

pytestmark = pytest.mark.system

SEED = 1
LASTS_S = 30
SEED_OF_WIRES = 11
"""Its plan has most of what can be wrong with a wire, and some of what can with disks and memory."""


@pytest.mark.timeout(240)
def test_half_a_minute_of_chaos_holds(tmp_path: Path) -> None:
    out = tmp_path / "found"
    done = bazaar("chaos", "--duration", LASTS_S, "--seed", SEED_OF_WIRES, "--out", out, timeout_s=220)
    assert done.returncode == 0, done.stdout + done.stderr + (out / "town.log").read_text()[-5000:]
    assert "verdict: holds" in done.stdout
    assert not processes_of(tmp_path)

    plan = msgspec.json.decode((out / "plan.json").read_bytes(), type=Plan)
    assert plan == draw_plan(SEED_OF_WIRES, LASTS_S, 6)
    assert len(WIRE_KINDS & {fault.kind for fault in plan.faults}) >= 8
    verdict = json.loads((out / "verdict.json").read_text())
    assert verdict["answer"] == "holds"
    assert [line["invariant"] for line in verdict["lines"]][: len(INVARIANTS)] == list(INVARIANTS)
    assert all(line["state"] == "holds" for line in verdict["lines"])
    assert (out / "verdict.txt").read_text().splitlines()[0].split() == ["holds", next(iter(INVARIANTS))]
    check_history(out, plan, verdict["traffic"])
    height, width, _ = image.imread(out / "figure.png").shape
    assert min(height, width) > 900


def check_history(out: Path, plan: Plan, traffic: dict[str, Any]) -> None:
    entries = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    faults = sorted((e for e in entries if e["type"] == "fault"), key=lambda fault: fault["number"])
    assert [(fault["number"], fault["kind"]) for fault in faults] == [(f.number, f.kind) for f in plan.faults]
    assert all(fault["end_s"] >= fault["start_s"] for fault in faults)
    on_wires = [fault for fault in faults if fault["kind"] in WIRE_KINDS and not fault["skipped"]]
    assert sum(bool(fault["touched"]) for fault in on_wires) > len(on_wires) / 2
    kinds = Counter(entry["type"] for entry in entries)
    assert kinds["sale"] >= traffic["sales"] > 0
    assert kinds["election"] >= traffic["failovers"] > 0
    assert kinds["told"] > 0
    sequence = sorted(entry["seq"] for entry in entries if entry["type"] == "sale")
    assert len(set(sequence)) == len(sequence)


@pytest.mark.timeout(120)
def test_a_planted_violation_is_found(tmp_path: Path) -> None:
    def cheat(uri: str, database: str) -> None:
        with MongoClient[dict[str, Any]](uri) as client:
            rows = client[database].requests
            sold = rows.find_one({"status": "sold"})
            assert sold is not None
            wrong = Decimal128(sold["commission"].to_decimal() + 1)
            rows.update_one({"_id": sold["_id"]}, {"$set": {"commission": wrong}})

    options = ChaosOptions(duration_s=12, peers=5, seed=SEED, kinds=choose_kinds("resign"), out=tmp_path / "found")
    with Show(options.duration_s, silent=True) as show:
        verdict = run_chaos(options, show, tamper=cheat)
    assert verdict is not None
    assert (verdict.answer, verdict.exit_code) == ("violated", 1)
    assert "books_follow_log" in verdict.why
    assert not processes_of(tmp_path)


@pytest.mark.timeout(120)
@pytest.mark.long
def test_books_that_cannot_be_read_in_the_end_are_a_doubt_and_not_the_end_of_the_run(tmp_path: Path) -> None:
    def lose(_uri: str, _database: str) -> None:
        raise LedgerError("the books are away")

    options = ChaosOptions(duration_s=10, peers=5, seed=SEED, kinds=choose_kinds("resign"), out=tmp_path / "found")
    with Show(options.duration_s, silent=True) as show:
        verdict = run_chaos(options, show, tamper=lose)
    assert verdict is not None
    assert (verdict.answer, verdict.exit_code) == ("could not tell", 2)
    assert verdict.why == ("what was sold cannot be told (the books are away)",)
    assert [line.state for line in verdict.lines] == ["holds"] * (len(INVARIANTS) + 2)
    assert (tmp_path / "found" / "verdict.json").exists()


@pytest.mark.timeout(120)
def test_ctrl_c_leaves_nothing_running(tmp_path: Path) -> None:
    said = tmp_path / "said.txt"
    with said.open("w") as to:
        command = [*BAZAAR, "chaos", "--seed", str(SEED), "--faults", "stop,mongod", "--out", str(tmp_path / "found")]
        chaos = subprocess.Popen(command, stdout=to, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        wait_until(lambda: "#2 " in said.read_text(), what="the second fault")
        chaos.send_signal(signal.SIGINT)
        assert chaos.wait(60) == 130, said.read_text()
        wait_until(lambda: not processes_of(tmp_path), what="an empty place")
    finally:
        if chaos.poll() is None:
            chaos.kill()


@pytest.mark.timeout(120)
def test_a_town_in_which_no_peer_is_left_is_a_verdict_and_not_an_end_that_was_asked_for(tmp_path: Path) -> None:
    out, said = tmp_path / "found", tmp_path / "said.txt"
    with said.open("w") as to:
        command = [*BAZAAR, "chaos", "--seed", str(SEED), "--faults", "resign", "--peers", "5", "--out", str(out)]
        chaos = subprocess.Popen(command, stdout=to, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        wait_until(lambda: "#1 " in said.read_text(), what="the first fault")
        for path in (out / "town" / "peers").glob("[!.]*.json"):
            os.kill(json.loads(path.read_text())["pid"], signal.SIGKILL)
        assert chaos.wait(60) == 1, said.read_text()
        assert "verdict: violated" in said.read_text()
        verdict = json.loads((out / "verdict.json").read_text())
        broken = [line for line in verdict["lines"] if line["state"] == "violated"]
        assert [line["invariant"] for line in broken] == ["trade_goes_on"]
        assert "none of its peers was left" in broken[0]["details"][0]
        assert verdict["traffic"]["sales"] > 0
        wait_until(lambda: not processes_of(tmp_path), what="an empty place")
    finally:
        if chaos.poll() is None:
            chaos.kill()


@pytest.mark.timeout(120)
def test_a_run_whose_customers_die_is_audited_all_the_same_and_not_gone_on_with(tmp_path: Path) -> None:
    out, said = tmp_path / "found", tmp_path / "said.txt"
    with said.open("w") as to:
        command = [*BAZAAR, "chaos", "--duration", "3600", "--faults", "resign,slow", "--out", str(out)]
        chaos = subprocess.Popen(command, stdout=to, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        wait_until(lambda: "#1 " in said.read_text(), what="the first fault")
        (crowd,) = (each for each in processes_of(tmp_path) if "peers.chaos.crowd" in each.cmdline())
        crowd.kill()
        assert chaos.wait(90) == 2, said.read_text()
        verdict = json.loads((out / "verdict.json").read_text())
        assert verdict["answer"] == "could not tell"
        assert "the customers died (exit code -9)" in verdict["why"][0]
        assert [line["state"] for line in verdict["lines"]] == ["holds"] * (len(INVARIANTS) + 2)
        assert verdict["traffic"]["sales"] > 0
        assert (out / "history.jsonl").exists()
        wait_until(lambda: not processes_of(tmp_path), what="an empty place")
    finally:
        if chaos.poll() is None:
            chaos.kill()


def test_a_town_is_never_mistaken_for_one_of_ours(tmp_path: Path) -> None:
    (tmp_path / "keep").write_text("mine")
    done = bazaar("chaos", "--duration", 10, "--dir", tmp_path, "--out", tmp_path / "found")
    assert done.returncode == 2
    assert "is not empty and not of a chaos run" in done.stderr
    assert (tmp_path / "keep").exists()


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--duration", "1"), "--duration"),
        (("--peers", "3"), "--peers"),
        (("--faults", "rain"), "--faults: rain"),
        (("--replicas", "2"), "--replicas 2"),
        (("--set", "market.items=none"), "market.items"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(tmp_path: Path, option: tuple[str, str], said: str) -> None:
    done = bazaar("chaos", *option, "--out", tmp_path / "found")
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "found").exists()
