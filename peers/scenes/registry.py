"""All scenes, by name."""

from __future__ import annotations

from peers.errors import SettingsError
from peers.scenes import lamport, ring, vector
from peers.scenes.replicated import scripts as replicated
from peers.scenes.scene import Scene

SCENES: dict[str, Scene] = {
    scene.name: scene for scene in (*lamport.SCENES, *vector.SCENES, *ring.SCENES, *replicated.SCENES)
}
"""In the order of the reports, one market after the other."""


def find_scene(name: str) -> Scene:
    """Returns the scene of that name, whether in capitals or not; SettingsError, which says where they are listed,
    if there is none."""
    found = next((scene for scene in SCENES.values() if scene.name.lower() == name.lower()), None)
    if found is None:
        raise SettingsError(f"there is no scene called {name}: `bazaar scene` lists them")
    return found
