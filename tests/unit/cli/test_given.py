"""Whatever is given on the command line is looked at, or refused: no answer is one to another question."""

from __future__ import annotations

from pathlib import Path

import pytest

from peers.cli.main import invoke
from peers.cli.options import MARKET_HELP
from peers.errors import SettingsError
from peers.town.plan.presets import preset_names
from plots.measure.stress import Load

OTHERS = ("--clock", "nosuch", "--set", "no.such=1", "--areas", "one", "--seeds", "x", "--mixture", "--replay", "5")


@pytest.mark.parametrize(
    ("arguments", "takes_no"),
    [
        (("simulate", "--exhaustive", *OTHERS), "--seeds, --areas, --clock, --set, --replay, --mixture"),
        (("simulate", "--shiviz", "a.log", "--beats", "--seeds", "1"), "--shiviz, --beats"),
        (("simulate", "--seeds", "1", "--tally", "t.json"), "--tally"),
        (("simulate", "--seeds", "1", "--states", "5"), "--states"),
        (
            ("simulate", "--replay", "1", "--save", "folder", "--jobs", "2", "--seeds", "1-9"),
            "--seeds, --jobs, --save",
        ),
        (("simulate", "--replay", "1", "--trace", "t.jsonl", "--shiviz", "a.log"), "--shiviz"),
        (("simulate", "--file", "seed2.json", "--replay", "1", "--clock", "vector"), "--clock, --replay"),
        (("simulate", "--trace", "t.jsonl", "--save", "folder"), "--save"),
        (("simulate", "--mixture", "--peers", "5", "--beats"), "--peers, --beats"),
        (("simulate", "--mixture", "--replay", "1", "--seeds", "1-9", "--save", "folder"), "--seeds, --save"),
        (("invite", "--client", "anna", "--out", "a.pem", "--hours", "1"), "--hours"),
        (("invite", "192.0.2.11", "--client", "anna", "--out", "a.pem", "--no-right"), "ADDRESS, --no-right"),
        (("shop", "buy", "fish", "--stress", "2", "--name", "anna"), "COMMAND, --name"),
        (("shop", "look", "--duration", "1", "--rate", "5"), "--rate, --duration"),
        (("experiment", "--json"), "--json"),
        (("experiment", "--redraw", "--out", "there"), "--out, --redraw"),
        (("experiment", "sequential", "--redraw", "--seed", "1", "--purchases", "5"), "--purchases, --seed"),
        (("chaos", "--quick", "--duration", "600"), "--duration"),
        (("demo", "--replicas", "3"), "--replicas"),
        (("scene", "--dir", "there"), "--dir"),
    ],
)
def test_what_would_be_passed_over_is_refused(
    arguments: tuple[str, ...],
    takes_no: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke(list(arguments)) == 2
    said = capsys.readouterr()
    assert f"takes no {takes_no}: leave that out\n" in said.err
    assert said.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_certificate_for_another_name_is_not_taken_for_the_one_that_was_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A machine that was invited has no key to make itself another by."""
    for each in (("--host", "mongo"), ("--host", "mongo"), ()):
        assert invoke(["certs", "--dir", str(tmp_path), *each]) == 0
    (tmp_path / "tls" / "ca.key").unlink()
    assert invoke(["certs", "--dir", str(tmp_path), "--host", "mongo"]) == 0
    capsys.readouterr()
    assert invoke(["certs", "--dir", str(tmp_path), "--host", "mongo", "--host", "other"]) == 2
    said = capsys.readouterr()
    assert "this machine is to be called other" in said.err
    assert said.out == ""


@pytest.mark.parametrize("patience_s", [float("nan"), float("inf"), 0.0, -5.0])
def test_many_customers_have_no_other_patience_than_one(patience_s: float) -> None:
    with pytest.raises(SettingsError, match="--patience: more than 0 seconds"):
        Load(host="h", port=1, customers=1, duration_s=1.0, areas={"": None}, patience_s=patience_s).check()


def test_help_of_run_names_every_market(capsys: pytest.CaptureFixture[str]) -> None:
    assert preset_names()
    assert all(name in MARKET_HELP for name in preset_names())
    assert invoke(["run", "--help"]) == 0
    assert MARKET_HELP[:20] in capsys.readouterr().out
