"""What a chaos run is asked for, checked as a whole before anything of an earlier run is touched."""

from __future__ import annotations

import shlex
from pathlib import Path

import msgspec

from peers.chaos.kinds import Kind, possible
from peers.chaos.plan import LEAST_PEERS, Plan, draw_plan
from peers.chaos.tuning import draw_tuning
from peers.core.settings import Settings, changed, make_settings
from peers.errors import SettingsError
from peers.text import check_named_in_text
from peers.town.plan.options import RunOptions

_LEAST_S = 10.0
_MOST_PEERS = 100
HOST = "127.0.0.1"

# The market is busy all the time, and its trader leaves only when the plan says so. Sellers lose goods, so that sales
# are taken back while all else goes wrong.
_SETTINGS: dict[str, object] = {
    "market": {
        "think_s": 0.05,
        "period_s": 2.0,
        "restock_probability": 0.5,
        "quantity_max": 2,
        "resign_after_sales": 0,
        "loss_probability": 0.3,
        "loss_after_crash": True,
    }
}


class ChaosOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was asked for."""

    duration_s: float
    peers: int
    seed: int
    kinds: tuple[Kind, ...]
    out: Path
    changes: tuple[str, ...] = ()  # Of the town's settings, such as "election=ring".
    replicas: int = 1
    directory: Path | None = None  # Where the town lives; None for a folder in `out`.

    def check(self) -> None:
        """Raises SettingsError (or TownError) for what cannot be done."""
        if not _LEAST_S <= self.duration_s < float("inf"):
            raise SettingsError(f"--duration: {_LEAST_S:g} seconds or more")
        if not LEAST_PEERS <= self.peers <= _MOST_PEERS:
            raise SettingsError(f"--peers: from {LEAST_PEERS} to {_MOST_PEERS}, so that some can be lost")
        if not self.plan().faults:
            alone = ",".join(self.kinds)
            raise SettingsError(f"--faults: {alone} alone never comes up; name others beside it, such as kill")
        check_named_in_text(self.place_option, self.town)
        self.run_options().check()

    def plan(self) -> Plan:
        """Returns the faults that will be, and when."""
        return draw_plan(self.seed, self.duration_s, self.peers, self.kinds, replicas=self.replicas)

    @property
    def town(self) -> Path:
        """Where the town lives."""
        return self.directory or self.out / "town"

    @property
    def place_option(self) -> str:
        """The option that says where the town lives."""
        return "--out" if self.directory is None else "--dir"

    def run_options(self, *, switch: int | None = None, member_ports: tuple[int, ...] = ()) -> RunOptions:
        """Returns the options of the town, with the timings of the seed, behind a switch at that port; raises
        SettingsError for settings that cannot be."""
        return RunOptions(
            host=HOST,
            n=self.peers,
            directory=self.town.absolute(),
            seed=self.seed,
            merchants=True,
            replicas=self.replicas,
            quiet=True,
            picture=False,
            settings=self._settings(),
            switch=switch,
            member_ports=member_ports,
        )

    def _settings(self) -> Settings:
        return make_settings(changed(_SETTINGS, (*draw_tuning(self.seed), *self.changes)))

    def again(self) -> str:
        """The command that runs the same plan, for a shell."""
        given = {
            "--duration": repr(self.duration_s).removesuffix(".0"),
            "--peers": str(self.peers),
            "--seed": str(self.seed),
            "--faults": ",".join(possible(self.kinds, self.replicas)),
        }
        words = ["bazaar", "chaos", *(word for pair in given.items() for word in pair)]
        for change in self.changes:
            words += ["--set", change]
        if self.replicas > 1:
            words += ["--replicas", str(self.replicas)]
        return shlex.join(words)
