"""`docker-compose.yml` as the tests read it: merge keys resolved, `$$` as the `$` that a container gets."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"


def composition() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text())
    return loaded


def bazaar_commands() -> dict[str, list[str]]:
    """The words of each call of `bazaar`, by the service that makes it (its health check has a place of its own)."""
    found = {}
    for name, service in composition()["services"].items():
        calls = {name: service.get("command", []), f"{name} (health)": service.get("healthcheck", {}).get("test", [])}
        for place, words in calls.items():
            shell = words[:2] == ["sh", "-c"] or words[:1] == ["CMD-SHELL"]
            parts = shlex.split(words[-1].replace("$$", "$").replace("\\\n", "")) if shell else list(words)
            if "bazaar" in parts:
                after = parts[parts.index("bazaar") + 1 :]
                found[place] = after[: after.index("|")] if "|" in after else after
    return found
