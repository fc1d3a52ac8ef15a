"""Makes traces of the simulator a module that TLC reads, and says how far it could follow each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from peers.simulator.environment.ledger_trace import NOBODY, LedgerTrace, Step, Trace, TracedEntry
from peers.simulator.runs.play import play
from peers.simulator.scenario import Scenario
from tests.spec.models import CONSTANTS, constants_text
from tests.spec.tlc import run_tlc

_STATUS = {"queued": "Queued", "sold": "Sold", "unavailable": "Unavailable", "taken back": "TakenBack", "": "None"}


@dataclass(frozen=True)
class Followed:
    """How many steps of a trace are steps of the specification, before the first that is none."""

    trace: Trace
    steps: int

    @property
    def to_the_end(self) -> bool:
        return self.steps == len(self.trace.steps)

    @property
    def stuck_at(self) -> str:
        """The kind of the step that is none; empty if there is no such step."""
        return "" if self.to_the_end else self.trace.steps[self.steps].kind

    def __str__(self) -> str:
        if self.to_the_end:
            return f"seed {self.trace.seed}: all {self.steps} steps"
        last = self.trace.steps[max(0, self.steps - 8) : self.steps + 1]
        lines = [f"seed {self.trace.seed}: step {self.steps + 1} of {len(self.trace.steps)} is none; the last were"]
        for step in last:
            lines.append(f"  {msgspec.json.encode(step).decode()}")
            if step.entry:
                lines.append(f"    {msgspec.json.encode(self.trace.entries[step.entry - 1]).decode()}")
        return "\n".join(lines)


def trace_of(scenario: Scenario) -> Trace:
    """Plays a schedule; returns its trace."""
    trace = LedgerTrace()
    play(scenario, trace=trace)
    return trace.trace(scenario.seed)


def follow(traces: Sequence[Trace]) -> list[Followed]:
    """Has TLC go along each trace. Raises RuntimeError where it cannot read them."""
    own = {"MaxTail": "1", "Stale": "1", "WithBooks": "TRUE"}
    redefined = {"Traders": "SeenTraders", "AreaOf": "SeenAreas", "Opening": "Nothing", "Seen": "SeenTraces"}
    config = f"SPECIFICATION Spec\n{constants_text(CONSTANTS | own, redefined)}\nVIEW View"
    run = run_tlc("Seen", config, seen=_module(traces))
    farthest = dict.fromkeys(range(1, len(traces) + 1), 0)
    for told in run.told:
        number, gone = int(told[1]), int(told[2])
        farthest[number] = max(farthest[number], gone)
    return [Followed(trace, farthest[number]) for number, trace in enumerate(traces, start=1)]


def _module(traces: Sequence[Trace]) -> str:
    lines = ["---- MODULE Seen ----", "EXTENDS Traces"]
    most = max(len(set(trace.areas)) for trace in traces) or 1
    everybody = {NOBODY}
    for number, trace in enumerate(traces, start=1):
        names, traders = _Names(), _traders(trace, most)
        everybody |= set(traders)
        entries = ",\n".join(_entry(at, entry, names, traders) for at, entry in enumerate(trace.entries, start=1))
        steps = ",\n".join(_step(step, names, traders) for step in trace.steps)
        lines += [f"Entries{number} == <<{entries}>>", f"Steps{number} == <<{steps}>>"]
    numbers = range(1, len(traces) + 1)
    whole = ", ".join(f"[entries |-> Entries{number}, steps |-> Steps{number}]" for number in numbers)
    areas = f"SeenAreas == [t \\in SeenTraders |-> t % {most}]"
    return "\n".join(
        [*lines, f"SeenTraces == <<{whole}>>", f"SeenTraders == {_set(sorted(everybody))}", areas, "====", ""]
    )


def _traders(trace: Trace, most_areas: int) -> list[int]:
    """By number of a trader, the one that it has here: of traders in different areas the remainders differ."""
    number_of = {area: number for number, area in enumerate(sorted(set(trace.areas)))}
    areas = [number_of[area] for area in trace.areas] or [0] * trace.traders
    return [NOBODY, *(most_areas * number + area for number, area in enumerate(areas, start=1))]


class _Names:
    """Numbers for the ids of one trace: TLC compares them faster."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        return self._numbers.setdefault(name, len(self._numbers) + 1)

    def function(self, values: Mapping[str, str | int]) -> str:
        return " @@ ".join(f"{self[name]} :> {_value(value)}" for name, value in values.items()) or "Nothing"


def _value(value: str | int) -> str:
    if isinstance(value, str):
        return _STATUS[value]
    return f"({value})" if value < 0 else str(value)


def _set(values: Iterable[int]) -> str:
    return f"{{{', '.join(map(str, values))}}}"


def _entry(number: int, entry: TracedEntry, names: _Names, traders: Sequence[int]) -> str:
    new = _set(names[each] for each in entry.new)
    changes = f"{names.function(entry.puts)}, {names.function(entry.moves)}"
    return f'Entry({number}, "{entry.kind}", {traders[entry.trader]}, {entry.term}, {new}, {changes})'


def _step(step: Step, names: _Names, traders: Sequence[int]) -> str:
    fields = [f'"{step.kind}"', str(traders[step.trader]), str(step.entry), str(step.place)]
    if step.kind == "load":
        fields.append(str(step.base))
    elif step.kind == "make":
        fields.append(names.function(step.docs))
    elif step.kind == "told":
        record, status = step.told
        fields += [f"<<{names[record]}, {_STATUS[status]}>>", _set(step.places)]
    return f"<<{', '.join(fields)}>>"
