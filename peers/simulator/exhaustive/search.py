"""Walks breadth first through the states of a small town, to a depth and a number of states that are reported."""

from __future__ import annotations

import msgspec

from peers.simulator.describe import describe_error
from peers.simulator.exhaustive.checks import Violated
from peers.simulator.exhaustive.explorer import Explorer
from peers.simulator.exhaustive.node import Node
from peers.simulator.exhaustive.walks import Walk


class Sight(msgspec.Struct, kw_only=True):
    """What a walk saw. `complete`: every state up to `depth` was seen."""

    walk: str
    faults: int
    states: int = 0
    steps: int = 0
    depth: int = 0
    complete: bool = False
    sometimes: dict[str, int] = msgspec.field(default_factory=dict)
    violation: str = ""
    trace: tuple[str, ...] = ()


def explore(walk: Walk, most_states: int) -> Sight:
    """Walks breadth first, until the depth is reached or there are too many states. A core that raises is a violation
    as well."""
    explorer = Explorer(walk)
    sight = Sight(walk=walk.name, faults=walk.faults, sometimes=explorer.checks.sometimes)
    try:
        level = [explorer.first()]
    except Exception as error:  # noqa: BLE001 - As below.
        sight.violation, sight.trace = _violation(error), ("(on the way to where the walk begins)",)
        return sight
    seen = {hash(level[0]): ("", 0)}
    sight.states = 1
    while level and sight.depth < walk.depth:
        below: list[Node] = []
        for node in level:
            steps = explorer.next(node)
            while True:
                what = ""
                try:
                    what, reached = next(steps)
                    key = hash(reached)
                    sight.steps += 1
                    if key in seen:
                        continue
                    seen[key] = (what, hash(node))
                    explorer.checks.check_node(reached)
                except StopIteration:
                    break
                except Exception as error:  # noqa: BLE001 - Whatever it is, the steps that led to it are to be seen.
                    sight.violation = _violation(error)
                    sight.trace = (*_trace(seen, hash(node)), what or "(the step that broke it)")
                    return sight
                below.append(reached)
                sight.states += 1
            if sight.states >= most_states:
                return sight
        level = below
        sight.depth += 1
    sight.complete = True
    return sight


def _violation(error: Exception) -> str:
    return str(error) if isinstance(error, Violated) else f"no_exception: {describe_error(error)}"


def _trace(seen: dict[int, tuple[str, int]], key: int) -> tuple[str, ...]:
    steps: list[str] = []
    while key in seen and seen[key][0]:
        what, key = seen[key]
        steps.append(what)
    return tuple(reversed(steps))
