"""A log: one JSON object a line, whatever the details are."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

from peers.host.logs import open_log


def test_a_line_says_who_what_how_grave_and_when(tmp_path: Path) -> None:
    log = open_log(tmp_path, "seller3")
    log.info("Lost", lost="buyer1", neighbours=("a", "b"))
    log.warning("the town does not listen", reports_dropped=3)
    log.error("a bug", why=ZeroDivisionError("by zero"), where=Path("/x"))
    lines = [json.loads(line) for line in (tmp_path / "logs" / "seller3.log").read_text().splitlines()]
    assert [line["level"] for line in lines] == ["info", "warning", "error"]
    assert {line["peer"] for line in lines} == {"seller3"}
    assert lines[0]["event"] == "Lost"
    assert lines[0]["neighbours"] == ["a", "b"]
    assert lines[1]["reports_dropped"] == 3
    assert (lines[2]["why"], lines[2]["where"]) == ("by zero", "/x")
    for line in lines:
        assert datetime.fromisoformat(line["timestamp"]).utcoffset() == timedelta(0)


def test_a_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    for _ in range(2):
        open_log(tmp_path, "buyer0").info("Opened")
    assert len((tmp_path / "logs" / "buyer0.log").read_text().splitlines()) == 2
