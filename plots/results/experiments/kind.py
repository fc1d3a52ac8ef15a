"""What all experiments have in common: the options they are asked with, their steps, and what they find."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import msgspec

from peers.errors import SettingsError


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says; None, or empty, is what it does not."""

    quick: bool = False
    seed: int = 1
    peers: tuple[int, ...] = ()
    purchases: int | None = None
    every: int | None = None
    markets: tuple[str, ...] = ()

    def only(self, name: str, *taken: str) -> None:
        """Raises SettingsError for an option that the experiment `name` does not take, or cannot have."""
        for option in ("peers", "purchases", "every", "market"):
            given = getattr(self, "markets" if option == "market" else option)
            if given not in (None, ()) and option not in taken:
                takes = ", ".join(f"--{each}" for each in taken) or "none of them"
                raise SettingsError(f"--{option} is no option of the experiment {name}, which takes {takes}")
        if self.purchases is not None and self.purchases < 1:
            raise SettingsError("--purchases: 1 or more")
        if self.every is not None and self.every < 1:
            raise SettingsError("--every: 1 or more purchases between two elections")

    def one_size(self, default: int, least: int = 2) -> int:
        """The peers of an experiment in towns of one size; SettingsError for several, or too few."""
        if len(self.peers) > 1:
            raise SettingsError("--peers: this experiment has towns of one size only, so name one")
        return self.sizes((default,), least)[0]

    def sizes(self, default: tuple[int, ...], least: int = 2) -> tuple[int, ...]:
        """The sizes of an experiment that compares them, smallest first; SettingsError for one too small."""
        sizes = tuple(sorted(set(self.peers))) or default
        if sizes[0] < least:
            raise SettingsError(f"--peers {sizes[0]}: {least} or more")
        return sizes

    def one_market(self, default: str) -> str:
        """The market of an experiment in one; SettingsError for several."""
        if len(self.markets) > 1:
            raise SettingsError("--market: this experiment is in one market only, so name one")
        return self.markets[0] if self.markets else default


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an experiment, mostly one town. `seconds` it takes on two cores that do nothing else, about."""

    title: str
    seconds: float


class Plan(Protocol):
    """How much one experiment measures."""

    def steps(self) -> tuple[Step, ...]:
        """Its parts, in the order in which they are measured."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Figures for people, as text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """A figure that the authors of an earlier system gave, and ours."""

    what: str
    theirs: str
    ours: str


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What the data of one experiment come to: two or three sentences, tables, and what stands beside them."""

    sentences: tuple[str, ...]
    tables: tuple[Table, ...]
    beside: tuple[Beside, ...] = ()


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment: what it measures in a sentence, and which figures of an earlier system it stands beside."""

    name: str
    about: str
    beside: str
    plan: Callable[[Options], Plan]
    find: Callable[[Path], Findings]

    @property
    def figure(self) -> str:
        """The file of its figure."""
        return f"{self.name}.png"


def steps(titles: Iterable[str], seconds: float) -> tuple[Step, ...]:
    """Steps that take the same time each."""
    return tuple(Step(title=title, seconds=seconds) for title in titles)
