"""What is said when a run is over."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from pathlib import Path

from rich.console import Console

from peers.boot import boot
from peers.town.database.books import PeerTally, RunTally
from peers.town.view.summary import MOST_ROWS, Heard, heard_of, lines_of, print_summary, quantile

NOTHING = Heard(latencies_ms=[])


def tally(peers: int = 2) -> RunTally:
    people = {f"buyer{rank}": PeerTally(bought=rank) for rank in range(1, peers)}
    people["seller99"] = PeerTally(sold=3, earned=Decimal("21.60"))
    return RunTally(
        purchases=1204,
        unavailable=3,
        first_ms=1_000,
        last_ms=3_000,
        peers=people,
        terms=2,
        elections={1: ("buyer5", 12.0), 2: ("seller4", 800.0)},
    )


def test_sentences() -> None:
    first, latency, elections = lines_of(tally(), Heard(latencies_ms=[1.0, 2.0, 30.0], first_us=5, last_us=2_000_005))
    assert first == "1,204 purchases in 2.0 s (602.0 a second), 3 asked for in vain"
    assert "median 2.0 ms" in latency
    assert "p99 30.0 ms" in latency
    assert "2 elections" in elections
    assert "seller4 (term 2)" in elections


def test_nothing_happened() -> None:
    empty = RunTally(purchases=0, unavailable=0, first_ms=None, last_ms=None, peers={}, terms=0, elections={})
    assert lines_of(empty, NOTHING) == ["0 purchases, 0 asked for in vain"]


def test_of_many_peers_the_busiest_are_listed() -> None:
    out = io.StringIO()
    print_summary(Console(file=out, width=100), tally(peers=40), NOTHING)
    text = out.getvalue()
    assert text.count("buyer") < MOST_ROWS + 5
    assert "20 others" in text
    assert "buyer39" in text


def test_a_terminal_of_several_sums_up_its_own_peers() -> None:
    out = io.StringIO()
    print_summary(Console(file=out, width=100), tally(peers=4), NOTHING, {"buyer2", "seller99", "buyer9"})
    text = out.getvalue()
    assert "the whole market, while the peers of this terminal were in it:" in text
    assert "1,204 purchases" in text
    assert "its own: 3 peers, 1 of which did nothing" in text
    assert "buyer2" in text
    assert "seller99" in text
    assert "buyer3" not in text


def test_quantile_is_the_nearest_rank() -> None:
    values = [float(value) for value in range(1, 101)]
    assert quantile(values, 0.99) == 99
    assert quantile(values, 1.0) == 100
    assert quantile([5.0], 0.99) == 5


def test_latency_is_from_first_asking_to_being_told(tmp_path: Path) -> None:
    journals = tmp_path / "journals"
    journals.mkdir()
    lines = [
        {"kind": "asked", "mono_us": 50_000, "request": {"request_id": "old"}},
        {"kind": "told", "mono_us": 60_000, "outcome": {"_id": "old"}},
        {"kind": "asked", "mono_us": 100_000, "request": {"request_id": "a"}},
        {"kind": "asked", "mono_us": 150_000, "request": {"request_id": "a"}},
        {"kind": "told", "mono_us": 170_500, "outcome": {"_id": "a"}},
        {"kind": "told", "mono_us": 175_000, "outcome": {"_id": "a"}},
        {"kind": "asked", "mono_us": 180_000, "request": {"request_id": "b"}},
    ]
    # Whatever the clock on the wall said: it was set back by years, and forward again.
    for number, line in enumerate(lines):
        line.update(peer="buyer0", boot=boot(), at_ms=10**12 * (-1) ** number)
    lines.append({**lines[4], "boot": "another", "outcome": {"_id": "b"}})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (journals / "buyer0.jsonl").write_text(text + '{"kind": "to')
    heard = heard_of(tmp_path, since_us=100_000)
    assert (heard.latencies_ms, heard.first_us, heard.last_us) == ([70.5], 170_500, 175_000)
    assert heard_of(tmp_path, 100_000, {"buyer0"}) == heard
    assert heard_of(tmp_path, 100_000, {"buyer1"}) == NOTHING
