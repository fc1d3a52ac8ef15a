"""`bazaar chaos`, as a person meets it: what it says in the end, and what it can be given."""

from __future__ import annotations

import json
import shlex
import tempfile
from pathlib import Path
from typing import Any

import pytest

from peers.chaos import run
from peers.chaos.events import Events
from peers.chaos.kinds import ALL_KINDS, choose_kinds
from peers.chaos.options import ChaosOptions
from peers.chaos.verdict import write_verdict
from peers.cli.main import invoke
from plots.draw import chaos as drawing
from tests.unit.chaos.test_verdict import judged, report


@pytest.mark.parametrize("trouble", [None, RuntimeError("no font"), OSError(28, "No space left on device")])
@pytest.mark.parametrize("as_json", [False, True])
def test_a_verdict_is_said_and_stays_what_it_is_though_nothing_can_be_drawn(
    trouble: Exception | None,
    as_json: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = judged(report(books_follow_log="violated"))

    def run_chaos(_options: ChaosOptions, _show: Any) -> Any:
        write_verdict(found, tmp_path)
        if trouble is not None:
            Events().write(tmp_path / "history.jsonl")
        return found  # Without trouble of another kind, there is no history to draw.

    def draw(*_: Any) -> None:
        assert trouble is not None
        raise trouble

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(run, "run_chaos", run_chaos)
    monkeypatch.setattr(drawing, "draw", draw)
    assert invoke(["chaos", "--out", str(tmp_path), *["--json"] * as_json]) == 1
    said = capsys.readouterr()
    if as_json:
        assert json.loads(said.out)["answer"] == "violated"
    else:
        assert "verdict: violated" in said.out
        assert "figure:" not in said.out
    assert "the figure could not be drawn" in said.err
    assert ("please send us" in said.err) == isinstance(trouble, RuntimeError)


def test_what_is_to_be_run_again_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ChaosOptions(
        duration_s=3600.0625,
        peers=7,
        seed=5,
        kinds=choose_kinds("kill,mongod"),
        out=tmp_path,
        changes=("market.items=fish, salt", "clock=vector"),
    )
    again: list[ChaosOptions] = []

    def run_chaos(options: ChaosOptions, _show: Any) -> None:
        again.append(options)

    monkeypatch.setattr(run, "run_chaos", run_chaos)
    for options in (given, ChaosOptions(duration_s=60.0, peers=6, seed=1, kinds=ALL_KINDS, out=tmp_path)):
        words = shlex.split(options.again())
        assert words[0] == "bazaar"
        assert invoke(words[1:]) == 130
        for name in ("duration_s", "peers", "seed", "changes", "replicas"):
            assert getattr(again[-1], name) == getattr(options, name)
        assert again[-1].plan() == options.plan()
    assert "--duration 60 " in options.again()


@pytest.mark.parametrize("option", [[], ["--dir", "town"], ["--dir", "../town", "--out", "found"]])
def test_a_place_whose_name_is_no_text_is_refused_before_anything_is_made(
    option: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "fi\udcffsh"
    here.mkdir()
    monkeypatch.chdir(here)
    assert invoke(["chaos", "--duration", "10", *option]) == 2
    said = capsys.readouterr().err
    assert r"fi\xffsh" in said
    assert ("--dir: the name of" if option else "--out: the name of") in said
    assert list(here.iterdir()) == []


def test_a_file_for_the_town_is_refused_with_the_option_that_named_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    assert invoke(["chaos", "--duration", "10", "--dir", str(file), "--out", str(tmp_path / "found")]) == 2
    assert f"{file} cannot be used (Not a directory): choose another --dir" in capsys.readouterr().err
