"""The log for ShiViz has its format, and its clocks tell what caused what."""

from __future__ import annotations

import json
import re

from peers.simulator.environment.history import SHIVIZ_REGEX, History
from peers.simulator.faults import FaultOptions
from peers.simulator.runs.play import play
from peers.simulator.scenario import draw_scenario

Event = tuple[str, dict[str, int], str]


def events_of(seed: int) -> list[Event]:
    history = History()
    play(draw_scenario(seed, 5, FaultOptions(), chaos_s=4.0), history)
    lines = list(history.shiviz())
    assert lines[0] == SHIVIZ_REGEX
    assert lines[1] == "", "an empty delimiter: one execution"
    body = "\n".join(lines[2:])
    # ShiViz is written in JavaScript, which names groups without a P.
    parser = re.compile(SHIVIZ_REGEX.replace("(?<", "(?P<"))
    events = [(m["host"], json.loads(m["clock"]), m["event"]) for m in parser.finditer(body)]
    assert len(events) == (len(lines) - 2) // 2, "every pair of lines is an event"
    return events


def test_every_event_has_a_host_a_clock_and_a_text() -> None:
    events = events_of(3)
    assert {host for host, _, _ in events} >= {"ledger"}
    assert all(re.fullmatch(r"\S+", host) and text for host, _, text in events)
    assert all(type(count) is int and count > 0 for _, clock, _ in events for count in clock.values())


def test_a_host_counts_its_own_events_one_by_one() -> None:
    counted: dict[str, int] = {}
    for host, clock, _ in events_of(4):
        counted[host] = counted.get(host, 0) + 1
        assert clock[host] == counted[host]


def test_a_clock_never_knows_more_than_has_happened_and_never_forgets() -> None:
    counted: dict[str, int] = {}
    before: dict[str, dict[str, int]] = {}
    for host, clock, _ in events_of(5):
        counted[host] = counted.get(host, 0) + 1
        assert all(count <= counted[other] for other, count in clock.items())
        assert all(clock.get(other, 0) >= count for other, count in before.get(host, {}).items())
        before[host] = clock


def test_a_message_comes_after_its_sending() -> None:
    seen_of: dict[str, dict[str, int]] = {}
    for host, clock, text in events_of(6):
        if " from " in text and text.startswith("<-"):
            rank = text.rsplit(" ", 1)[1]
            sender = next(name for name in seen_of if re.sub(r"\D", "", name) == rank)
            assert clock.get(sender, 0) >= 1
        seen_of[host] = clock
