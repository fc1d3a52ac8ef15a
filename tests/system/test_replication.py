"""A town at write level one whose primary is cut off from the other members and sells on: the loss shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.audit.findings import LOST
from peers.town.files.directory import Directory
from peers.town.inspection import inspect
from plots.measure.apparatus.members import Members
from plots.measure.experiments import replication
from plots.measure.experiments.workshop import Workshop
from plots.results.experiments.replication import Blows, ReplicationPlan, Strike
from tests.system.helpers.towns import bazaar

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]


class Keeping(Workshop):
    """A workshop that keeps its towns."""

    def discard(self, town: Path, code: int | None) -> None:
        del town, code


def test_at_level_one_the_loss_is_counted_and_audited(tmp_path: Path) -> None:
    plan = ReplicationPlan(
        levels=("one",),
        peers=4,
        purchases=1,
        customers=1,
        turns=1,
        turn_s=1.0,
        blows=(Blows(level="one", blow="split", times=1),),
    )
    shop = Keeping(tmp_path, 1, lambda _title, _part: None)
    strikes: list[Strike] = []
    with Members(tmp_path / "members") as members:
        replication._strike(plan, "one", shop, members, strikes)
        (strike,) = strikes
        assert strike.lost > 0
        town = next(tmp_path.glob("town-*"))
        uri = members.uri("one")
        report = inspect(Directory(town), uri)
        verdict = report.first.verdict
        assert verdict is not None
        assert (report.answer, report.exit_code) == (LOST, 1), str(verdict)
        assert verdict.lost == strike.lost
        # The books are whole: they are what the log adds up to, and all members have the same.
        compared = bazaar("audit", "--members", "--mongo", uri, "--dir", str(town))
        assert compared.returncode == 0, compared.stdout + compared.stderr
        audited = bazaar("audit", "--mongo", uri, "--dir", str(town))
        assert audited.returncode == 1, audited.stdout + audited.stderr
        assert "audit: could be lost at this level" in audited.stdout
        assert "violated" not in audited.stdout
    said = (town / "logs" / "terminal.log").read_text()
    assert "write level one: a purchase is told once one member has it on disk; a fail-over may lose the last" in said


def test_members_begin_anew_where_an_interrupted_experiment_has_left_some(tmp_path: Path) -> None:
    for _ in range(2):
        with Members(tmp_path / "members", 1) as members:
            assert members.primary() == 0
