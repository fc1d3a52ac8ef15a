"""Every scene can be found, has a town that can be run, and stands in the README."""

from __future__ import annotations

from pathlib import Path

import pytest

from peers.errors import SettingsError
from peers.scenes.registry import SCENES, find_scene
from peers.scenes.scene import Scene

README = (Path(__file__).parents[3] / "peers" / "scenes" / "README.md").read_text()


@pytest.mark.parametrize("scene", SCENES.values(), ids=list(SCENES))
def test_a_scene_is_complete(scene: Scene, tmp_path: Path) -> None:
    options = scene.options(tmp_path)
    assert options.roles is not None
    assert options.n == len(options.roles)
    assert scene.look_at.endswith(".")
    assert f"| `{scene.name}` | {scene.title} |" in README


def test_capitals_make_no_difference() -> None:
    assert find_scene("tc_01") is SCENES["TC_01"]
    assert find_scene("LAMPORT-1") is SCENES["lamport-1"]


def test_what_there_is_not() -> None:
    with pytest.raises(SettingsError, match="no scene called nothing: `bazaar scene` lists them"):
        find_scene("nothing")
