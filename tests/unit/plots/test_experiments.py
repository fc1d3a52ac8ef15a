"""The experiments' data on disk, what they come to, and their figures, from made-up runs."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import image

from peers.cli.commands import experiment as command
from peers.cli.main import invoke
from peers.core.leadership.elections.registry import ALGORITHMS
from peers.core.membership.clocks import CLOCKS
from peers.errors import SettingsError
from peers.town.plan.presets import preset_names
from plots.draw.__main__ import draw_saved
from plots.experiments.estimate import Estimate, spoken
from plots.experiments.registry import EXPERIMENTS
from plots.measure.experiments.elections import staggered
from plots.results.experiments import algorithms, buyers, clocks, nodes, posts, replication, response, sequential
from plots.results.experiments.elections import read_rounds
from plots.results.experiments.kind import Options, Step
from plots.results.experiments.record import worst
from plots.results.samples import COLUMNS, read_samples, write_samples
from tests.unit.plots.made_up import RUNS, keep, nodes_run, samples, sequential_run

every = pytest.mark.parametrize("name", EXPERIMENTS)


# -- all alike -----------------------------------------------------------------------------------------------


def test_there_is_a_made_up_run_of_each() -> None:
    assert list(RUNS) == list(EXPERIMENTS)


@every
def test_a_figure_is_drawn_from_the_data_on_disk(name: str, tmp_path: Path) -> None:
    RUNS[name](tmp_path)
    assert draw_saved(tmp_path) == [tmp_path / f"{name}.png"]
    pixels = image.imread(tmp_path / f"{name}.png")
    height, width, _ = pixels.shape
    assert width > height > 500
    assert pixels.std() > 0.05  # The figure is not blank.
    assert not list(tmp_path.glob(".*.png.*"))


@every
def test_the_findings_are_some_sentences_and_full_tables(name: str, tmp_path: Path) -> None:
    RUNS[name](tmp_path)
    findings = EXPERIMENTS[name].find(tmp_path)
    assert 2 <= len(findings.sentences) <= 4
    assert all(each.endswith(".") for each in findings.sentences)
    assert findings.tables
    for table in findings.tables:
        assert {len(row) for row in table.rows} == {len(table.columns)}
    assert bool(findings.beside) == bool(EXPERIMENTS[name].kind.beside)


@every
def test_the_short_form_takes_less_than_the_full_one(name: str) -> None:
    quick, full = (EXPERIMENTS[name].plan(Options(quick=quick)).steps() for quick in (True, False))
    assert 0 < sum(step.seconds for step in quick) < sum(step.seconds for step in full)
    for steps in (quick, full):
        assert len({step.title for step in steps}) == len(steps)


def test_all_in_their_short_form_take_less_than_ten_minutes_on_an_idle_machine() -> None:
    steps = [step for each in EXPERIMENTS.values() for step in each.plan(Options(quick=True)).steps()]
    assert sum(step.seconds for step in steps) < 480


@every
def test_data_that_are_missing_or_of_something_else_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="run the experiment first"):
        EXPERIMENTS[name].draw(tmp_path)
    keep(tmp_path, name, EXPERIMENTS[name].plan(Options()))
    with pytest.raises(SettingsError, match="run the experiment first"):
        EXPERIMENTS[name].draw(tmp_path)
    keep(tmp_path, name, {"something": "else"})
    with pytest.raises(SettingsError, match="holds another experiment"):
        EXPERIMENTS[name].find(tmp_path)
    keep(tmp_path, "alchemy", {})
    with pytest.raises(SettingsError, match="alchemy, which is no experiment"):
        EXPERIMENTS[name].draw(tmp_path)


@pytest.mark.parametrize(("codes", "exit_code"), [([], 0), ([0, 0], 0), ([0, 2], 2), ([0, None], 2), ([2, 1, 0], 1)])
def test_the_exit_code_is_that_of_the_worst_audit(codes: list[int | None], exit_code: int) -> None:
    assert worst(codes) == exit_code


# -- each of them --------------------------------------------------------------------------------------------


def test_what_is_compared_is_all_that_there_is() -> None:
    assert set(sequential.MARKETS) <= set(preset_names())
    assert tuple(ALGORITHMS) == algorithms.NAMES
    assert clocks.CLOCKS == CLOCKS


def test_samples_survive_the_disk(tmp_path: Path) -> None:
    made = samples(every=20)
    write_samples(tmp_path / "data.csv", made)
    assert read_samples(tmp_path / "data.csv") == made


def test_the_columns_are_those_promised(tmp_path: Path) -> None:
    write_samples(tmp_path / "data.csv", samples(every=20))
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


@pytest.mark.parametrize("markets", [("lamport",), ("ring",), ("lamport", "vector", "ring")])
def test_markets_stand_side_by_side_or_one_alone(tmp_path: Path, markets: tuple[str, ...]) -> None:
    sequential_run(tmp_path, markets=markets)
    EXPERIMENTS["sequential"].draw(tmp_path)
    courses = sequential.read_courses(tmp_path)
    assert [course.elections for course in courses] == [0, 2] * len(markets)
    assert courses[0].summary.max < 3 < courses[1].summary.max == 80
    # What the authors of one market measured stands beside that market only.
    assert bool(sequential.find(tmp_path).beside) == ("lamport" in markets)


def test_one_purchase_is_enough_to_draw(tmp_path: Path) -> None:
    sequential_run(tmp_path, markets=("lamport",), purchases=1)
    assert EXPERIMENTS["sequential"].draw(tmp_path) == tmp_path / "sequential.png"


def test_round_trips_are_summed_up_by_condition_and_number_of_purchases(tmp_path: Path) -> None:
    RUNS["elections"](tmp_path)
    rounds = read_rounds(tmp_path)
    assert {count: found.count for count, found in rounds[True].items()} == {n: 3 * n for n in (10, 20, 30, 40, 100)}
    assert {found.mean for found in rounds[False].values()} == {2.0}
    assert [found.mean for found in rounds[True].values()] == pytest.approx([6.0] * 5)
    # A short run says so, for its elections come faster than those of the earlier system.
    assert "every 1 s instead of 10" in EXPERIMENTS["elections"].find(tmp_path).sentences[-1]


def test_a_request_met_an_election_if_the_post_was_empty_while_it_waited(tmp_path: Path) -> None:
    RUNS["response"](tmp_path)
    course = response.read_course(tmp_path)
    assert sorted({each.number for each in course.requests if course.met(each)}) == [50, 51]
    assert "6 of 294 requests met one" in response.find(tmp_path).sentences[0]


def test_rates_are_over_all_turns(tmp_path: Path) -> None:
    RUNS["buyers"](tmp_path)
    crowds = buyers.read_crowds(tmp_path)
    assert [crowd.buyers for crowd in crowds] == [1, 2, 4, 8, 16]
    one = crowds[0]
    assert (one.per_s, one.worst_per_s, one.best_per_s) == pytest.approx((200 / 1.5, 100.0, 200.0))
    assert one.latency_ms.count == 40


def test_theirs_stands_beside_ours_where_the_sizes_are_theirs(tmp_path: Path) -> None:
    nodes_run(tmp_path)
    findings = nodes.find(tmp_path)
    assert [(each.theirs[:10], each.ours) for each in findings.beside] == [
        ("850.05 ms ", "2.50 ms"),
        ("1190.08 ms", "3.00 ms"),
    ]
    assert "340 times as much" in findings.sentences[1]
    nodes_run(tmp_path, sizes=(7, 9))
    assert nodes.find(tmp_path).beside == ()
    EXPERIMENTS["nodes"].draw(tmp_path)


def test_algorithms_are_summed_up_by_size_in_both_kinds_of_time(tmp_path: Path) -> None:
    RUNS["algorithms"](tmp_path)
    costs = {(cost.algorithm, cost.peers): cost for cost in algorithms.read_costs(tmp_path)}
    assert set(costs) == {(name, peers) for name in ALGORITHMS for peers in (6, 12, 30, 60, 100)}
    small, middle, large = (costs["ring", peers] for peers in (6, 12, 100))
    assert (small.pause_ms, small.worst_ms, small.pauses, small.messages) == (60, 70, 3, 12)
    # No count of messages came home in the town of twelve, and towns of a hundred were only played.
    assert (middle.pause_ms, middle.messages, middle.virtual_messages) == (60, None, 24)
    assert (large.pause_ms, large.virtual_ms, large.virtual_messages) == (None, 100, 200)


def test_of_clocks_the_largest_counts(tmp_path: Path) -> None:
    RUNS["clocks"](tmp_path)
    found = {(cost.clock, cost.peers): (cost.clock_bytes, cost.entries) for cost in clocks.read_costs(tmp_path)}
    assert found == {
        ("lamport", 6): (12, 1),
        ("lamport", 30): (12, 1),
        ("vector", 6): (60, 6),
        ("vector", 30): (300, 30),
    }


def test_posts_are_compared_with_one_and_say_who_used_the_processors(tmp_path: Path) -> None:
    RUNS["posts"](tmp_path)
    rates = posts.read_rates(tmp_path)
    assert [rate.name for rate in rates] == ["1 post", "2 posts, one mongod", "2 posts, a mongod each"]
    assert [rate.per_s for rate in rates] == [1000, 1500, 1600]
    assert rates[0].cpu_ms == pytest.approx({"mongod": 0.5, "traders": 0.3, "customers": 0.6, "others": 0.1})
    most, limit, cost = posts.find(tmp_path).sentences
    assert "the most, 1,600, came from 2 posts, a mongod each: 1.60 times as many" in most
    assert "the processors are the limit: 1.80 of 2 cores" in limit
    assert "1.50 (1 post)" in cost


def test_what_falls_cost_is_summed_up_by_level_and_blow(tmp_path: Path) -> None:
    RUNS["replication"](tmp_path)
    falls = replication.read_falls(tmp_path)
    assert [(each.level, each.blow, each.lost, each.losing) for each in falls] == [
        ("majority", "killed", 0, 0),
        ("two", "killed", 0, 0),
        ("one", "split", 9, 3),
    ]
    assert {each.pause_ms.p50 for each in falls} == {2100.0}
    sentences = " ".join(replication.find(tmp_path).sentences)
    assert "At level majority 3 falls lost no purchase that was told; trade went on after 2.1 s." in sentences
    assert "At level one 3 falls lost 9 purchases that were told" in sentences


@given(st.integers(1, 9), st.integers(1, 50), st.floats(0.001, 2))
def test_buyers_take_turns_at_being_due(crowd: int, count: int, pace_s: float) -> None:
    schedules = staggered(crowd, count, pace_s)
    assert [len(each) for each in schedules] == [count] * crowd
    together = sorted(float(due_s) for each in schedules for due_s in each)
    assert together == pytest.approx([number * pace_s / crowd for number in range(count * crowd)])


# -- how long it takes ---------------------------------------------------------------------------------------


def test_what_is_left_is_estimated_from_how_slow_the_machine_has_been() -> None:
    steps = [
        ("one", Step(title="a", seconds=20)),
        ("one", Step(title="b", seconds=20)),
        ("two", Step(title="a", seconds=60)),
    ]
    estimate = Estimate(steps)
    assert (estimate.part, estimate.left_s(0)) == (0, 100)
    estimate.note("one", "a", 0.5)
    assert estimate.left_s(30) == pytest.approx(3 * 90)
    estimate.note("one", "a", 1.0)
    estimate.note("one", "a", 0.2)  # Nothing that is done is undone.
    assert estimate.part == pytest.approx(0.2)
    estimate.skip("two")
    assert estimate.part == pytest.approx(0.8)
    estimate.note("one", "b", 1.0)
    assert (estimate.part, estimate.left_s(500)) == (1, 0)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "5 s"), (42, "40 s"), (100, "2 min"), (3000, "50 min"), (4200, "1 h 10 min")]
)
def test_times_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert spoken(seconds) == text


# -- the command line ----------------------------------------------------------------------------------------


def test_without_a_name_it_lists_what_there_is_and_so_does_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["experiment"]) == 0
    said = capsys.readouterr().out
    for name, each in EXPERIMENTS.items():
        assert name in said
        assert each.kind.about in said
        assert f"- `{name}`: " in (command.__doc__ or "")
    assert "850.05 ms" in said


def test_redraw_at_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sequential_run(tmp_path, markets=("lamport",))
    assert invoke(["experiment", "sequential", "--redraw", "--json", "--out", str(tmp_path)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["figure"] == str(tmp_path / "sequential.png")
    assert [row[2] for row in said["findings"]["tables"][0]["rows"]] == ["60", "60"]
    assert said["record"]["audit_codes"] == {"a town": 0}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "there is sequential, elections"),
        (["sequential", "--redraw", "--out", "nowhere"], "run the experiment first"),
        (["all", "--redraw", "--out", "nowhere"], "holds no experiment"),
        (["sequential", "--purchases", "0"], "--purchases"),
        (["sequential", "--peers", "1"], "--peers 1"),
        (["sequential", "--peers", "4", "--peers", "6"], "one size only"),
        (["sequential", "--every", "0"], "--every"),
        (["sequential", "--market", "bazar"], "no market called bazar"),
        (["nodes", "--every", "5"], "--every is no option of the experiment nodes"),
        (["response", "--market", "ring", "--market", "vector"], "one market only"),
        (["algorithms", "--peers", "3"], "--peers 3: 4 or more"),
        (["all", "--peers", "6"], "no option but"),
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
