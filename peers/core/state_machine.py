"""States, events and the table of what may follow on what, for every part that has named states.

A table is a tuple of rows, so that a simulator can count which were taken and a diagram can be drawn of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Generic, NamedTuple, TypeVar

S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)


class IllegalTransition(RuntimeError):
    """Something happened that the table does not list for the state: a bug, never a fault of the input."""


class Transition(NamedTuple, Generic[S, E]):
    """One row of a table: what was, what happened, what is now."""

    before: S
    event: E
    after: S

    @property
    def title(self) -> str:
        """The row as a line for people."""
        return f"{self.before.value} -> {self.after.value}: {self.event.value}"


Table = tuple[Transition[S, E], ...]


def make_table(rows: Mapping[S, Mapping[E, S]]) -> Table[S, E]:
    """Returns the rows of a table that is given as state, event, next state."""
    return tuple(Transition(before, event, after) for before, row in rows.items() for event, after in row.items())


class StateMachine(Generic[S, E]):
    """One state, changed by the rows of a table only."""

    def __init__(self, table: Table[S, E], first: S) -> None:
        self._after = {(row.before, row.event): row for row in table}
        self._state = first

    @property
    def state(self) -> S:
        return self._state

    def allows(self, event: E) -> bool:
        """Whether `event` may happen now."""
        return (self._state, event) in self._after

    def fire(self, event: E) -> Transition[S, E]:
        """`event` happens; returns the row that it takes. Raises IllegalTransition if the table has none."""
        row = self._after.get((self._state, event))
        if row is None:
            raise IllegalTransition(f"{event.name} cannot happen to what is {self._state.value}")
        self._state = row.after
        return row


def draw(table: Iterable[Transition[S, E]], first: S) -> str:
    """Returns the table as a diagram in Mermaid's language, which GitHub draws; one arrow between two states."""
    labels: dict[tuple[S, S], list[str]] = {}
    for row in table:
        labels.setdefault((row.before, row.after), []).append(row.event.value)
    names = dict.fromkeys(state for pair in labels for state in pair)
    lines = ["stateDiagram-v2", f"    [*] --> {first.name}"]
    lines += [f"    {state.name}: {state.value}" for state in names]
    lines += [f"    {a.name} --> {b.name}: {' / '.join(texts)}" for (a, b), texts in labels.items()]
    ends = [state for state in names if all(a is not state for a, _ in labels)]
    lines += [f"    {state.name} --> [*]" for state in ends]
    return "\n".join(lines) + "\n"
