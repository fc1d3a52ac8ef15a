"""How a mistake is noted: a context manager that patches one function, and seeds that are known to catch it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

Plant = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A mistake by name, how to make it, and seeds that are known to catch it."""

    name: str
    plant: Plant
    seeds: tuple[int, ...] = ()


MISTAKES: list[Planted] = []


def mistake(*seeds: int) -> Callable[[Callable[[], Iterator[None]]], Plant]:
    """Notes a mistake under the name of its function."""

    def note(function: Callable[[], Iterator[None]]) -> Plant:
        plant = contextmanager(function)
        MISTAKES.append(Planted(name=function.__name__, plant=plant, seeds=seeds))
        return plant

    return note
