"""The picture of the graph: what cannot be drawn is said once, and is nobody else's trouble."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from peers.town.files.directory import Directory
from peers.town.view.picture import Painter


@contextmanager
def no_more_files() -> Iterator[None]:
    """The system lets this process open one file more, and no pipe."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + 1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_where_no_process_can_be_had_that_is_said_once_and_the_end_comes_all_the_same(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    directory = Directory(tmp_path / "town")
    directory.make()
    said: list[str] = []
    painter = Painter(directory, said.append, wanted=True)

    async def paint() -> None:
        painter.close_market("buyer1")
        await painter.close()

    async def paint_twice() -> None:
        asyncio.get_running_loop().run_in_executor(None, int)  # Its thread and all else of the loop is there.
        with no_more_files():
            await paint()
            await paint()

    asyncio.run(paint_twice())
    assert len(said) == 1, said
    assert "cannot be drawn" in said[0]
