"""The sequential experiment's data on disk and its figure, from made-up purchases."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import msgspec
import pytest
from matplotlib import image

from peers.cli.main import invoke
from peers.errors import SettingsError
from plots.draw.sequential import draw_saved
from plots.results.samples import COLUMNS, Sample, read_samples, stamp, write_samples
from plots.results.sequential import FIGURE, Setup, plans, sum_up


def made_up(every: int, purchases: int = 60) -> list[Sample]:
    """Purchases of 2 ms and a bit, those that meet an election of 80."""
    samples = []
    for number in range(1, purchases + 1):
        election = every > 0 and number > 1 and number % every == 1
        term = 1 + (number - 1) // every if every else 1
        samples.append(
            Sample(
                iteration=number,
                latency_ms=80.0 if election else 2.0 + number % 7 / 10,
                term=term,
                trader=f"seller{4 + term % 2}",
                seq=20 + number,
                election=election,
                started_at=stamp(1_700_000_000.25 + number),
            )
        )
    return samples


def made_up_run(out: Path, *, every: int = 20) -> Setup:
    setup = Setup(purchases=60, every=every)
    out.mkdir(exist_ok=True)
    (out / "setup.json").write_bytes(msgspec.json.encode(setup))
    for plan in plans(setup):
        write_samples(out / f"{plan.name}.csv", made_up(plan.resign_after))
    return setup


def test_samples_survive_the_disk(tmp_path: Path) -> None:
    samples = made_up(every=20)
    write_samples(tmp_path / "data.csv", samples)
    assert read_samples(tmp_path / "data.csv") == samples


def test_the_columns_are_those_promised(tmp_path: Path) -> None:
    write_samples(tmp_path / "data.csv", made_up(every=20))
    with (tmp_path / "data.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    promised = ("iteration", "latency_ms", "term", "trader", "seq", "election", "started_at")
    assert tuple(rows[0]) == COLUMNS == promised
    assert [row["election"] for row in rows[19:22]] == ["0", "1", "0"]
    assert rows[0]["started_at"] == "2023-11-14T22:13:21.250000+00:00"


@pytest.mark.parametrize("content", ["", "iteration,latency\n1,2\n", ",".join(COLUMNS) + "\n"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "data.csv").write_text(content)
    with pytest.raises(SettingsError, match="run the experiment"):
        read_samples(tmp_path / "data.csv")


def test_a_value_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(",".join(COLUMNS) + "\n1,fast,1,seller5,1,0,now\n")
    with pytest.raises(SettingsError, match="latency_ms"):
        read_samples(tmp_path / "data.csv")


def test_the_figure_is_drawn_from_the_data_on_disk(tmp_path: Path) -> None:
    made_up_run(tmp_path)
    draw_saved(tmp_path)
    result = sum_up(tmp_path)
    pixels = image.imread(tmp_path / FIGURE)
    height, width, _ = pixels.shape
    assert width > height > 500
    assert pixels.std() > 0.05  # The figure is not blank.
    without, with_elections = result.runs
    assert (without.elections, with_elections.elections) == (0, 2)
    assert without.latency_ms.max < 3 < with_elections.latency_ms.max == 80
    assert result.exit_code == 0
    assert not list(tmp_path.glob(".*.png.*"))


def test_one_purchase_is_enough_to_draw(tmp_path: Path) -> None:
    setup = made_up_run(tmp_path)
    for plan in plans(setup):
        write_samples(tmp_path / f"{plan.name}.csv", made_up(0, purchases=1))
    assert draw_saved(tmp_path) == [tmp_path / FIGURE]
    assert sum_up(tmp_path).runs[0].latency_ms.count == 1


def test_redraw_at_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_up_run(tmp_path)
    assert invoke(["experiment", "sequential", "--redraw", "--json", "--out", str(tmp_path)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["figure"] == str(tmp_path / FIGURE)
    assert [run["latency_ms"]["count"] for run in said["runs"]] == [60, 60]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "there is sequential"),
        (["sequential", "--redraw", "--out", "nowhere"], "run the experiment first"),
        (["sequential", "--purchases", "0"], "--purchases"),
        (["sequential", "--peers", "1"], "--peers"),
        (["sequential", "--every", "0"], "--every"),
        (["sequential", "--purchases", "1", "--out", "/proc/nowhere"], "--out"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke(["experiment", *arguments]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("bazaar: ")]
    assert len(lines) == 1
    assert says in lines[0]
