"""Break a small town before an audience, and prove that nothing was lost: `failover` or `split-brain`.

Each starts a town of its own in a place that is removed, takes less than a minute, and says what happens as it goes.
Without a name it lists them. Exit code 0: it was proven; 1: an invariant is violated; 2: it could not be shown.

**Examples**

- `bazaar demo failover`
- `bazaar demo failover --replicas 3`
- `bazaar demo split-brain`
"""

from __future__ import annotations

from typing import Annotated

import typer

from peers.cli.given import only_with
from peers.cli.options import OwnPlaceOption, ReplicasOption

_WIDTH = 90
"""Letters in a line of the list."""


def command(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="failover or split-brain; none lists them.")] = None,
    directory: OwnPlaceOption = None,
    replicas: ReplicasOption = None,
) -> int:
    import textwrap

    import msgspec

    from peers.demos.registry import DEMOS, find_demo

    if name is None:
        only_with(context, "demo without a name")
        for demo in DEMOS.values():
            print(f"{demo.name}: {demo.title}")
            print(textwrap.indent(textwrap.fill(demo.look_at, _WIDTH), "    "))
        return 0
    from peers.scenes.audience import Audience
    from peers.scenes.play import play

    demo = msgspec.structs.replace(find_demo(name), replicas=replicas)
    verdict = play(demo, Audience(), directory)
    return 130 if verdict is None else verdict.exit_code
