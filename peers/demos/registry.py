"""All demonstrations, by name."""

from __future__ import annotations

from peers.demos.failover import FAILOVER
from peers.demos.split_brain import SPLIT_BRAIN
from peers.errors import SettingsError
from peers.scenes.scene import Scene

DEMOS: dict[str, Scene] = {demo.name: demo for demo in (FAILOVER, SPLIT_BRAIN)}


def find_demo(name: str) -> Scene:
    """Returns the demonstration of that name; SettingsError, which says where they are listed, if there is none."""
    found = DEMOS.get(name.lower())
    if found is None:
        raise SettingsError(f"there is no demonstration called {name}: there are {' and '.join(DEMOS)}")
    return found
