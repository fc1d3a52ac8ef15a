"""The report: one file that needs nothing else, with every figure and table in it, whatever the names are."""

from __future__ import annotations

import base64
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from peers.cli.main import invoke
from plots.experiments.registry import EXPERIMENTS
from plots.experiments.report import Section, write_report
from plots.experiments.run import report_all
from plots.results.experiments.record import read_record
from tests.unit.plots.made_up import RUNS, keep

VOID = {"meta", "link", "img", "br", "hr", "input"}
PNG = b"\x89PNG\r\n\x1a\n"


class Page(HTMLParser):
    """Reads a page, and refuses one whose elements are not closed in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text = ""
        self.images: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self._open.append(tag)
        for name, value in attrs:
            if name == "src":
                self.images.append(value or "")
            elif name == "href":
                self.links.append(value or "")
            elif name == "id":
                self.ids.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All experiments, measured as it were, with their report."""
    folder = tmp_path_factory.mktemp("experiments")
    for name, make in RUNS.items():
        make(folder / name)
    done = report_all(folder)
    assert (done.exit_code, done.failed, done.report) == (0, {}, folder / "report.html")
    return folder


def test_all_figures_are_in_it_and_nothing_is_fetched(folder: Path) -> None:
    page = Page(folder / "report.html")
    assert len(page.images) == len(EXPERIMENTS)
    for name, source in zip(EXPERIMENTS, page.images, strict=True):
        kind, _, data = source.partition(";base64,")
        assert kind == "data:image/png"
        figure = base64.b64decode(data, validate=True)
        assert figure == (folder / name / f"{name}.png").read_bytes()
        assert figure.startswith(PNG)
    # The only links are to its own parts.
    assert page.links == [f"#{name}" for name in EXPERIMENTS]
    assert page.ids == list(EXPERIMENTS)
    assert not {"script", "link", "iframe"} & set(page.tags)
    written = (folder / "report.html").read_text(encoding="utf-8")
    for reference in ("http:", "https:", "url(", "@import", "$"):
        assert reference not in written
    assert "@media print" in written


def test_it_says_what_was_found_and_what_stands_beside_it(folder: Path) -> None:
    page = Page(folder / "report.html")
    for name, each in EXPERIMENTS.items():
        findings = each.find(folder / name)
        for sentence in findings.sentences:
            assert sentence in page.text
        for table in findings.tables:
            assert table.title in page.text
    for theirs in ("10.10 ms", "850.05 ms", "1190.08 ms", "5 to 10 s"):
        assert theirs in page.text
    assert f"the audit of {len(EXPERIMENTS)} of {len(EXPERIMENTS)} towns holds" in page.text


def test_an_audit_that_is_violated_is_shown_and_is_the_exit_code(tmp_path: Path) -> None:
    RUNS["nodes"](tmp_path / "nodes")
    record = read_record(tmp_path / "nodes")
    keep(tmp_path / "nodes", "nodes", record.plan, audit_codes={"5 peers": 0, "6 peers": 1})
    done = report_all(tmp_path)
    assert done.exit_code == 1
    assert "Audits of 2 towns: VIOLATED." in Page(done.report).text


def test_an_experiment_that_failed_is_said_to_have_and_the_others_are_there(tmp_path: Path) -> None:
    RUNS["nodes"](tmp_path / "nodes")
    done = report_all(tmp_path, {"buyers": "no answer to buy in 30 s"})
    assert done.exit_code == 2
    assert set(done.failed) == set(EXPERIMENTS) - {"nodes"}
    page = Page(done.report)
    assert "This experiment failed: no answer to buy in 30 s." in page.text
    assert page.text.count("run the experiment first") == len(EXPERIMENTS) - 2
    assert len(page.images) == 1


def test_a_machine_that_others_use_is_said_to_be_busy(tmp_path: Path) -> None:
    RUNS["nodes"](tmp_path / "nodes")
    record = read_record(tmp_path / "nodes")
    keep(tmp_path / "nodes", "nodes", record.plan, load=17.0, quick=True)
    page = Page(report_all(tmp_path).report)
    assert "measured under load: 17 other processes" in page.text
    assert "Others used the machine meanwhile" in page.text
    assert "short runs" in page.text


def test_what_it_quotes_cannot_become_markup(tmp_path: Path) -> None:
    RUNS["nodes"](tmp_path)
    each = EXPERIMENTS["nodes"]
    sections = [
        Section(kind=each.kind, failure="<b>&"),
        Section(
            kind=each.kind, record=read_record(tmp_path), figure=each.draw(tmp_path), findings=each.find(tmp_path)
        ),
    ]
    write_report(tmp_path / "report.html", sections)
    page = Page(tmp_path / "report.html")
    assert "<b>&" in page.text
    assert "b" not in page.tags


def test_the_report_is_made_again_at_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    RUNS["clocks"](tmp_path / "clocks")
    # All others are missing, and that is said: half a report is no success.
    assert invoke(["experiment", "all", "--redraw", "--json", "--out", str(tmp_path)]) == 2
    said = json.loads(capsys.readouterr().out)
    assert (said["report"], said["exit_code"]) == (str(tmp_path / "report.html"), 2)
    assert set(said["failed"]) == set(EXPERIMENTS) - {"clocks"}
    assert len(Page(tmp_path / "report.html").images) == 1
