"""What a scene is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import msgspec

from peers.scenes.stage import Stage
from peers.town.plan.options import RunOptions, parse_roles, parse_settings
from peers.town.plan.presets import find_preset

Market = Literal["lamport", "vector", "ring", "replicated"]

HOST = "127.0.0.1"

UNHURRIED: dict[str, object] = {"timing.election_s": 0.5}
"""For scenes in which it matters who starts an election: the others wait for longer before they start one."""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """One scene. `title` is its row in the report of that market, `look_at` what the audience should look at.

    The town is that of the market's preset, with `roles` by rank as for `--roles`, and with `settings` by their
    dotted names over those of the preset. `starter`, `trades` and `replicas` are as in `RunOptions`. `script` plays
    it.
    """

    name: str
    market: Market
    title: str
    look_at: str
    roles: str
    script: Callable[[Stage], Awaitable[None]]
    settings: dict[str, object] = {}
    starter: int | None = None
    trades: bool = True
    replicas: int | None = None

    def options(self, directory: Path) -> RunOptions:
        """Returns how its town is run, in `directory`. SettingsError for what cannot be."""
        roles = parse_roles(self.roles)
        options = RunOptions(
            host=HOST,
            n=len(roles),
            directory=directory,
            seed=1,
            roles=roles,
            usual_replicas=find_preset(self.market).replicas,
            starter=self.starter,
            trades=self.trades,
            picture=False,
            replicas=self.replicas,
            settings=parse_settings(pairs=(), shortcuts=dict(self.settings), slow_peer=False, market=self.market),
        )
        options.check()
        return options
