"""Play a scene of an earlier system's report with real processes, and say what was seen.

Without a name it lists them. What it is about is said first; then come the lines that matter, and in the end what was
seen. Exit code 0: all of it was seen, and the books hold; 1: an invariant is violated; 2: it could not be shown.

**Examples**

- `bazaar scene`
- `bazaar scene lamport-4`
- `bazaar scene TC_06 --dir /tmp/tc06`
"""

from __future__ import annotations

from typing import Annotated

import typer

from peers.cli.given import only_with
from peers.cli.options import OwnPlaceOption

_WIDTH = 90
"""Letters in a line of the list."""


def command(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Which scene; none lists them.")] = None,
    directory: OwnPlaceOption = None,
) -> int:
    import textwrap

    from peers.scenes.registry import SCENES, find_scene

    if name is None:
        only_with(context, "scene without a name")
        for market in dict.fromkeys(scene.market for scene in SCENES.values()):
            print(f"{market}:")
            for scene in SCENES.values():
                if scene.market == market:
                    print(f"  {scene.name}: {scene.title}")
                    print(textwrap.indent(textwrap.fill(scene.look_at, _WIDTH), "      "))
        return 0
    from peers.scenes.audience import Audience
    from peers.scenes.play import play

    verdict = play(find_scene(name), Audience(), directory)
    return 130 if verdict is None else verdict.exit_code
