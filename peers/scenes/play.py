"""Plays one scene: opens its town, has the script at it, closes the town, and says what was seen.

The tests and `bazaar scene` both play it this way, so that what is shown is what is tested.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from peers.errors import BazaarError, TownError
from peers.scenes.audience import Audience
from peers.scenes.hearing import Hearing
from peers.scenes.scene import HOST, Scene
from peers.scenes.stage import Stage
from peers.scenes.verdict import SceneVerdict
from peers.town.ending import StepOfEnd, done_anyway
from peers.town.files.directory import Directory
from peers.town.plan.options import RunOptions
from peers.town.terminals.town import Town

SAID = "said.txt"
"""The file in the town's directory that has all the town said."""


def play(scene: Scene, audience: Audience, directory: Path | None = None) -> SceneVerdict | None:
    """Plays a scene to its end; None if Ctrl-C, or another signal, ended it before.

    Its town lives in `directory`, which stays and must be empty or missing, or in one of its own that is removed
    unless something went wrong. TownError or SettingsError if the town cannot be."""
    scene.options(directory or Path())  # What cannot be is refused before there is a place for it.
    audience.open(f"{scene.name}: {scene.title} (market {scene.market}; {scene.roles})", scene.look_at)
    verdict: SceneVerdict | None = None
    keep = True
    with _place(directory) as place:
        try:
            verdict = asyncio.run(_live(scene, audience, place))
            keep = directory is not None or (verdict is not None and verdict.exit_code != 0)
        finally:
            if verdict is not None:
                audience.close(verdict)
            if keep:
                audience.say(f"its town stays in {place.path}")
            else:
                with StepOfEnd(f"removing {place.path}", audience.say):
                    shutil.rmtree(place.path)
    return verdict


@contextlib.contextmanager
def _place(wanted: Path | None) -> Iterator[Directory]:
    directory = Directory(wanted if wanted is not None else Path(tempfile.mkdtemp(prefix="bazaar-scene-")))
    if wanted is not None and not _is_free(wanted):
        raise TownError(f"{wanted} is not empty: choose another --dir, for a scene begins with empty books")
    directory.make()
    try:
        if not directory.claim():
            raise TownError(f"a town has just started in {directory.path}: choose another --dir")
        yield directory
    finally:
        directory.let_go()


def _is_free(wanted: Path) -> bool:
    """Returns whether the directory is empty or missing; TownError if there cannot be one."""
    try:
        return not any(wanted.iterdir())
    except FileNotFoundError:
        return True
    except OSError as error:
        raise TownError(f"{wanted} cannot be used ({error.strerror or error}): choose another --dir") from error


async def _live(scene: Scene, audience: Audience, directory: Directory) -> SceneVerdict | None:
    with (directory.path / SAID).open("w", encoding="utf-8") as said:
        hearing = Hearing(audience, out=said)
        options = scene.options(directory.path)
        town = Town(options, directory, hearing, HOST)
        performance = _Performance(scene, options, hearing, audience)
        await town.run(performance.visit)
        return performance.verdict(town)


class _Performance:
    """The script at work in the town."""

    def __init__(self, scene: Scene, options: RunOptions, hearing: Hearing, audience: Audience) -> None:
        self._scene = scene
        self._options = options
        self._audience = audience
        self._hearing = hearing
        self._stage: Stage | None = None
        self._trouble = ""
        self._ended = False

    async def visit(self, town: Town) -> None:
        """Plays the script."""
        self._stage = stage = Stage(town, self._options, self._hearing, self._audience)
        try:
            await self._scene.script(stage)
            self._ended = True
        except BazaarError as error:
            self._trouble = str(error)
            self._ended = True
        finally:
            await done_anyway("sending the customers home", self._audience.say, stage.clear())

    def verdict(self, town: Town) -> SceneVerdict | None:
        """Returns what came of it; None if somebody ended it before it was over."""
        if not self._ended and town.was_told_to_end:
            return None
        report = town.report
        trouble = self._trouble if self._ended else "its town ended before it was over, for no peer was left there"
        return SceneVerdict(
            scene=self._scene.name,
            facts=tuple(self._stage.facts) if self._stage is not None else (),
            trouble=trouble,
            audit=report.exit_code if report is not None else None,
            violated=report.verdict.violated if report is not None and report.verdict is not None else (),
        )
