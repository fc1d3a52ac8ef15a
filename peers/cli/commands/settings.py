"""List all settings, each with its value, what it may be and what it does; or what a market sets.

Any of them is given to `bazaar run` as `--set NAME=VALUE`, or by an option of its own where it has one.

**Examples**

- `bazaar settings`
- `bazaar settings vector` (what differs in that market)
- `bazaar settings --json`
"""

from __future__ import annotations

from typing import Annotated

import typer

from peers.cli.options import JsonOption


def command(
    market: Annotated[str | None, typer.Argument(help="A market, such as vector: only what it sets.")] = None,
    as_json: JsonOption = False,
) -> int:
    import msgspec

    from peers.core.settings import Settings
    from peers.town.plan.options import parse_settings
    from peers.town.plan.presets import find_preset
    from peers.town.view.settings_table import print_settings, setting_rows

    rows = setting_rows(Settings())
    preset = find_preset(market) if market is not None else None
    if preset is not None:
        theirs = setting_rows(parse_settings(pairs=(), shortcuts={}, slow_peer=False, market=preset.name))
        rows = [row for row in theirs if row not in rows]
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(rows), indent=1).decode())
    else:
        print_settings(rows, preset)
    return 0
