"""The kinds of faults that there are, their families, and what kinds have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from peers.errors import SettingsError

Kind = Literal[
    "kill-trader",
    "kill-peer",
    "kill-two",
    "stop-trader",
    "stop-peer",
    "resign",
    "slow-trader",
    "slow-peer",
    "cut-trader",
    "cut-peer",
    "cut-database",
    "cut-customers",
    "cut-nameserver",
    "split",
    "delay",
    "loss",
    "reorder",
    "reset",
    "half-open",
    "slow-wire",
    "jam",
    "crash-at",
    "crash-taking-office",
    "hang-trader",
    "hang-peer",
    "set-clock",
    "full-disk",
    "bad-disk",
    "slow-disk",
    "mongod-full-disk",
    "mongod-bad-disk",
    "mongod-slow-disk",
    "squeeze-trader",
    "squeeze-peer",
    "kill-mongod",
    "stop-mongod",
    "step-down",
    "kill-member",
    "stop-member",
    "cut-primary",
    "cut-member",
    "cut-members",
    "kill-nameserver",
    "join",
    "come-back",
    "leave",
]

FAMILIES: dict[str, tuple[Kind, ...]] = {
    "kill": ("kill-trader", "kill-peer", "kill-two"),
    "stop": ("stop-trader", "stop-peer"),
    "resign": ("resign",),
    "slow": ("slow-trader", "slow-peer"),
    "cut": ("cut-trader", "cut-peer", "cut-database", "cut-customers", "cut-nameserver", "split"),
    "wire": ("delay", "loss", "reorder", "reset", "half-open", "slow-wire", "jam"),
    "crash": ("crash-at", "crash-taking-office"),
    "hang": ("hang-trader", "hang-peer"),
    "clock": ("set-clock",),
    "disk": ("full-disk", "bad-disk", "slow-disk", "mongod-full-disk", "mongod-bad-disk", "mongod-slow-disk"),
    "memory": ("squeeze-trader", "squeeze-peer"),
    "mongod": ("kill-mongod", "stop-mongod", "step-down", "kill-member", "stop-member"),
    "members": ("cut-primary", "cut-member", "cut-members"),
    "nameserver": ("kill-nameserver",),
    "join": ("join",),
    "come-back": ("come-back",),
    "leave": ("leave",),
}
ALL_KINDS: tuple[Kind, ...] = tuple(kind for kinds in FAMILIES.values() for kind in kinds)

WIRE_KINDS = frozenset[Kind]([*FAMILIES["cut"], *FAMILIES["wire"], *FAMILIES["members"]])
"""Those that the town's switch carries out (`peers.chaos.switch`)."""

TRADER_KINDS = frozenset[Kind](
    [
        "kill-trader",
        "kill-two",
        "stop-trader",
        "resign",
        "slow-trader",
        "cut-trader",
        "cut-database",
        "crash-at",
        "crash-taking-office",
        "hang-trader",
        "squeeze-trader",
    ]
)
"""Those that may cost the trader its office."""

ENDING_KINDS = frozenset[Kind](
    ["kill-trader", "kill-two", "stop-trader", "resign", "cut-trader", "crash-at", "crash-taking-office"]
)
"""Those that surely do: where none brings another trader, nothing was tried. One that is slow or held may stay."""

Between = Literal[
    "trader and database", "trader and customers", "trader and peers", "peer and peers", "peer and name server", "all"
]
BETWEEN: tuple[Between, ...] = get_args(Between)
"""The wires that something may be wrong with."""

MEMBER_KINDS = frozenset[Kind](["kill-member", "stop-member", *FAMILIES["members"]])
"""Those of members of the database that there are in a set of several only."""

SERVICES: dict[str, frozenset[Kind]] = {
    "mongod": frozenset(
        [*FAMILIES["mongod"], *FAMILIES["members"], "mongod-full-disk", "mongod-bad-disk", "mongod-slow-disk"]
    ),
    "nameserver": frozenset(FAMILIES["nameserver"]),
}
"""By service, those that hit it."""

TAKES: dict[Kind, int] = {
    "kill-trader": 1,
    "kill-peer": 1,
    "kill-two": 2,
    "leave": 1,
    "crash-at": 1,
    "crash-taking-office": 2,
}
"""How many peers it costs."""


def choose_kinds(text: str | None, *, replicas: int = 1) -> tuple[Kind, ...]:
    """Reads `--faults kill,stop,...`: families or single kinds; all where nothing is said. Of a database of so many
    members, those that there can be; SettingsError for a word that is unknown, or stands for none of these.

    Who may kill must also let come back, for otherwise soon nobody is left to be killed.
    """
    if text is None:
        return possible(ALL_KINDS, replicas)
    chosen: list[Kind] = []
    for word in filter(None, (word.strip() for word in text.split(","))):
        meant = FAMILIES.get(word) or tuple(kind for kind in ALL_KINDS if kind == word)
        if not meant:
            known = ", ".join(dict.fromkeys([*FAMILIES, *ALL_KINDS]))
            raise SettingsError(f"--faults: {word} is no fault; there is {known}")
        if not possible(meant, replicas):
            raise SettingsError(f"--faults: {word} is for a database of several members: add --replicas 3")
        chosen += possible(meant, replicas)
    if not chosen:
        raise SettingsError("--faults: name one or more, such as kill,stop")
    if any(kind in TAKES for kind in chosen):
        chosen.append("come-back")
    return tuple(kind for kind in ALL_KINDS if kind in chosen)


def possible(kinds: Iterable[Kind], replicas: int) -> tuple[Kind, ...]:
    """Returns those of them that there can be where the database has so many members."""
    return tuple(kind for kind in kinds if replicas > 1 or kind not in MEMBER_KINDS)


def service_of(kind: Kind) -> str | None:
    """The service that it hits; of one service only one fault is at work at a time."""
    return next((name for name, kinds in SERVICES.items() if kind in kinds), None)
