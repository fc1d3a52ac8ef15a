"""Where a chaos run lives and leaves things: it empties what a chaos run made, and nothing of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from peers.chaos.places import make_places
from peers.errors import BazaarError, SettingsError, TownError
from peers.town.files.directory import Directory


def begin(out: Path, town: Path) -> None:
    """What a run does first; it ends at once."""
    make_places(out, town, option="--dir").let_go()


def test_the_town_of_an_earlier_run_is_emptied(tmp_path: Path) -> None:
    out, town = tmp_path / "found", tmp_path / "town"
    begin(out, town)
    (town / "journals" / "buyer0.jsonl").write_text("told")
    (town / "town.json").write_text("{}")
    (town / "journals" / "elsewhere").symlink_to(tmp_path / "found", target_is_directory=True)
    (out / "verdict.txt").write_text("holds")
    begin(out, town)
    assert not (town / "town.json").exists()
    assert not list((town / "journals").iterdir())
    assert out.is_dir()


def test_findings_of_an_earlier_run_are_not_mixed_with_those_of_the_next(tmp_path: Path) -> None:
    out, town = tmp_path / "found", tmp_path / "town"
    begin(out, town)
    for name in ("plan.json", "history.jsonl", "verdict.json", "verdict.txt", "figure.png", "notes.md"):
        (out / name).write_text("of the first run")
    begin(out, town)
    assert [each.name for each in out.iterdir()] == ["notes.md"]


@pytest.mark.parametrize("name", ["chaos", ".made-by-bazaar-chaos", "journals"])
@pytest.mark.parametrize("is_folder", [True, False])
def test_what_others_made_stays_whatever_it_is_called(tmp_path: Path, name: str, is_folder: bool) -> None:
    """The findings of a default run are in `out/chaos`, and there may be more in `out`."""
    place = tmp_path / "out"
    place.mkdir()
    (place / "bench.json").write_text("an hour of work")
    (place / name).mkdir() if is_folder else (place / name).touch()
    with pytest.raises(TownError, match="not of a chaos run: choose another --dir"):
        begin(tmp_path / "found", place)
    assert (place / "bench.json").read_text() == "an hour of work"
    assert sorted(each.name for each in place.iterdir()) == sorted(["bench.json", name])
    assert not (tmp_path / "found").exists()


@pytest.mark.parametrize("inside", [".", "found", "journals/found"])
def test_findings_are_not_kept_where_the_next_run_deletes_them(tmp_path: Path, inside: str) -> None:
    town, link = tmp_path / "town", tmp_path / "link"
    begin(tmp_path / "found", town)
    link.symlink_to(town, target_is_directory=True)
    (town / "keep").touch()
    for place in (town, link):
        with pytest.raises(SettingsError, match="which is emptied for each town"):
            begin(place / inside, town)
    assert (town / "keep").exists()


def test_a_town_that_runs_is_left_alone(tmp_path: Path) -> None:
    running = make_places(tmp_path / "found", tmp_path / "town", option="--dir")
    try:
        (tmp_path / "town" / "town.json").write_text("{}")
        with pytest.raises(TownError, match=r"a town runs in .*: end it, or choose another --dir"):
            begin(tmp_path / "other", tmp_path / "town")
        assert (tmp_path / "town" / "town.json").exists()
        assert not running.has_gone()
    finally:
        running.let_go()


def test_a_town_that_begins_in_the_same_moment_is_not_taken_for_one_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = Directory.claim

    def claim_late(directory: Directory) -> bool:
        (tmp_path / "town" / "town.json").write_text("{}")
        return claim(directory)

    monkeypatch.setattr(Directory, "claim", claim_late)
    for _ in range(2):
        with pytest.raises(TownError, match="not of a chaos run"):
            begin(tmp_path / "found", tmp_path / "town")
    assert (tmp_path / "town" / "town.json").exists()


def test_a_link_is_as_good_as_what_it_leads_to(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real, target_is_directory=True)
    begin(tmp_path / "found", link)
    (real / "town.json").write_text("{}")
    begin(tmp_path / "found", link)
    assert link.is_symlink()
    assert not (real / "town.json").exists()


@pytest.mark.parametrize("which", ["--dir", "--out"])
def test_the_option_that_chose_what_cannot_be_used_is_named(tmp_path: Path, which: str) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for wrong in (file, file / "in-it"):
        out, town = (wrong, tmp_path / "town") if which == "--out" else (tmp_path / "found", wrong)
        with pytest.raises(BazaarError, match=rf"{wrong}.*\(.*\): choose another") as refused:
            begin(out, town)
        assert which in str(refused.value)
    assert file.read_text() == "mine"
