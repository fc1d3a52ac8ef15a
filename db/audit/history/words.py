"""A contradiction in plain words: the two operations, and why they cannot both be right."""

from __future__ import annotations

from db.audit.history.operations import DEPOSIT, OUTCOME, PURCHASE, SEARCH, Operations
from db.audit.history.order import Contradiction, Ranges

_STATES = {"none": "undecided", "decided": "decided", "taken_back": "taken back"}


def in_words(found: Contradiction, operations: Operations, ranges: Ranges, *, in_session: bool) -> str:
    """Returns what contradicts the order of the log, as two operations."""
    earlier, later = found.earlier, found.later
    told = ranges.low[earlier]
    first = f"{operations.who(earlier)} {_told(earlier, operations)}: the log goes to place {told} at least"
    if in_session:
        when = "After that it"
    else:
        waited_s = (operations.begin[later] - operations.end[earlier]) / 1e6
        when = f"{waited_s:.3f} s later {operations.who(later)}"
    return f"{first}. {when} {_asked(later, operations, ranges)}"


def _told(index: int, operations: Operations) -> str:
    name = operations.names[index]
    kind, state = operations.kind[index], _STATES.get(operations.states.get(index, ""), "something")
    if kind == SEARCH:
        return "was shown what can be bought"
    if kind == PURCHASE:
        return f"was told what became of {name}"
    if kind == DEPOSIT:
        return f"was told that the deposit {name} is recorded"
    if kind == OUTCOME:
        return f"looked up {name}, which was {state}"
    return f"heard of the sale with seq {operations.ref[index]}, which was {state}"


def _asked(index: int, operations: Operations, ranges: Ranges) -> str:
    name, kind = operations.names[index], operations.kind[index]
    if kind == SEARCH:
        seen = operations.searches[operations.ref[index]]
        of = f" of {seen.item}" if seen.item else ""
        bound = f", and may miss {seen.within_us / 1e6:g} s" if seen.within_us else ""
        return f"asked what can be bought{of}{bound}, and was shown what there was at place {seen.place}"
    if kind == OUTCOME:
        state = _STATES.get(operations.states[index], "something")
        upto = f"so it was up to place {ranges.high[index]}"
        return f"asked what became of {name}, and was told that it is {state}: {upto}"
    verb = "asked to buy" if kind == PURCHASE else "offered"
    return f"{verb} {name} for the first time, and the log has it at place {ranges.low[index]}, which is no later"
