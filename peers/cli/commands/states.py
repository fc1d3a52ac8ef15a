"""Print the states of a peer, and what may follow on what, as a Mermaid diagram drawn from the table in the code.

**Examples**

- `bazaar states`
- `bazaar states commit`
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Machine(StrEnum):
    """Whose states."""

    LEADERSHIP = "leadership"
    COMMIT = "commit"


def command(
    machine: Annotated[
        Machine, typer.Argument(help="What a peer is to the post of trader, or how an entry gets into the log.")
    ] = Machine.LEADERSHIP,
) -> int:
    from peers.core.leadership.state import TRANSITIONS, LeadershipState
    from peers.core.state_machine import draw
    from peers.core.trader.committer import COMMIT_TRANSITIONS, CommitState

    if machine is Machine.LEADERSHIP:
        print(draw(TRANSITIONS, LeadershipState.JOINING), end="")
    else:
        print(draw(COMMIT_TRANSITIONS, CommitState.IDLE), end="")
    return 0
