"""How a mistake is noted: a context manager that patches one function, and seeds that are known to catch it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

Plant = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A mistake by name, how to make it, seeds that are known to catch it, how elections are held in these, and which
    areas share the log in them."""

    name: str
    plant: Plant
    seeds: tuple[int, ...] = ()
    election: str = "bully"
    areas: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


MISTAKES: list[Planted] = []


def mistake(
    *seeds: int, election: str = "bully", areas: tuple[str, ...] = (), changes: tuple[str, ...] = ()
) -> Callable[[Callable[[], Iterator[None]]], Plant]:
    """Notes a mistake under the name of its function; `election` is the algorithm that shows it, `areas` those it
    needs to show, and `changes` the settings."""

    def note(function: Callable[[], Iterator[None]]) -> Plant:
        plant = contextmanager(function)
        MISTAKES.append(
            Planted(name=function.__name__, plant=plant, seeds=seeds, election=election, areas=areas, changes=changes)
        )
        return plant

    return note
