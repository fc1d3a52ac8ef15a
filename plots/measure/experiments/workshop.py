"""Where an experiment measures: its folder, its towns and what their audits said, and whom it tells how far it is."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from peers.files import check_place
from peers.town.plan.presets import find_preset
from plots.measure.apparatus.towns import BenchTown

Progress = Callable[[str, float], None]
"""Told the title of a step and which part of it is done, from 0 to 1."""

_NOT_UNASKED = ("--set", "market.resign_probability=0", "--set", "market.crash_probability=0")
"""Whatever the market, its trader leaves office only when the experiment has it do so."""


class Workshop:
    """One run of one experiment in the folder `out`. SettingsError if nothing can be written there."""

    def __init__(self, out: Path, seed: int, progress: Progress) -> None:
        self.out = out
        self.seed = seed
        self.audit_codes: dict[str, int | None] = {}
        self._progress = progress
        self._title = ""
        self._towns = 0
        check_place("--out", out, is_folder=True)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """What is done within is the step of that title."""
        self._title = title
        self._progress(title, 0.0)
        yield
        self._progress(title, 1.0)

    def done(self, part: float) -> None:
        """Says which part of the step under way is done, from 0 to 1."""
        self._progress(self._title, part)

    @contextmanager
    def town(
        self,
        title: str,
        peers: int,
        *,
        market: str | None = None,
        clock: str = "lamport",
        options: Iterable[str] = (),
        trades: bool = False,
        areas: tuple[str, ...] = (),
    ) -> Iterator[BenchTown]:
        """A town that is open within, and audited after. With a `market` the clock is that market's. `areas`: those
        that `options` ask for.

        SettingsError for a market that there is not.
        """
        chosen: tuple[str, ...] = ()
        if market is not None:
            clock = str(find_preset(market).settings.get("clock", clock))
            chosen = ("--market", market)
        options = (*chosen, *_NOT_UNASKED, *options)
        self._towns += 1
        folder = self.out / f"town-{self._towns}"
        town = BenchTown(folder, peers, self.seed, options, clock=clock, trades=trades, areas=areas)
        with town:
            yield town
        self.note_audit(title, town.audit_code)
        self.discard(town.directory.path, town.audit_code)

    def note_audit(self, title: str, code: int | None) -> None:
        """Keeps what the audit of a town said."""
        self.audit_codes[title] = code

    def discard(self, town: Path, code: int | None) -> None:
        """Removes the hundreds of megabytes of a town about which its audit had nothing to say; keeps all others."""
        if code == 0:
            shutil.rmtree(town, ignore_errors=True)
