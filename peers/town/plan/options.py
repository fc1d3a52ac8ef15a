"""What a run was asked for, checked before anything is started.

The command line hands over plain values; `RunOptions.check` turns them into settings and refuses what cannot be
done, in one line that says what to do instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from peers.books_address import ENVIRONMENT, address_from_environment
from peers.core.names import ROLES, Role
from peers.core.settings import Settings, changed, make_settings
from peers.errors import SettingsError
from peers.text import whole_number
from peers.town.plan.areas import AreaPlan, check_areas, check_size, given_books
from peers.town.plan.pace import timings
from peers.town.plan.presets import find_preset
from peers.town.plan.room import check_room

DEFAULT_DIRECTORY = ".bazaar"
DEFAULT_TARGET = "peers.runtime.process:run_peer"

MAX_PEERS = 1000
"""No setting: no machine we know of has room for more; `peers.town.plan.room` says what this one has room for."""

SERVICE_PORTS = 2
"""Of a terminal's ports: its name server has one, and so may the database of the town."""

REPLICAS = (1, 3, 5, 7)
"""How many members the books of a town may have; MongoDB lets no more than seven vote."""

SWITCHED = "127.0.0.2"
"""In a chaos town, the address by which members of the books call each other: the switch listens there."""

# How many purchases the slow peer makes between two sleeps, where the settings do not say.
_SLOW_AFTER = 30


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `bazaar run`. `None`: not given."""

    host: str
    n: int
    directory: Path = Path(DEFAULT_DIRECTORY)
    purchases: int | None = None
    duration_s: float | None = None
    seed: int | None = None
    mongo: str | None = None
    replicas: int | None = None
    # What the market wants where `replicas` is not given, and the books are the town's own.
    usual_replicas: int = 1
    nameserver: str | None = None
    nameserver_port: int = 0
    advertise: str | None = None
    ports: tuple[int, int] | None = None
    invite: str | None = None
    fresh: bool = False
    merchants: bool = False
    roles: tuple[Role, ...] | None = None
    # Which of the first peers, counted from 0, begins the first election. The others join one by one before it;
    # where it is None, all join at once and the lowest begins.
    starter: int | None = None
    slow_peer: bool = False
    quiet: bool = False
    trades: bool = True
    insecure: bool = False
    tls: bool = False
    picture: bool = True
    # Those of the town, where it has several posts; of a terminal that joins, the one it joins.
    areas: tuple[AreaPlan, ...] = ()
    # Those that the market has if it is opened here, and no others are asked for.
    usual_areas: tuple[AreaPlan, ...] = ()
    settings: Settings = Settings()
    # Those of a town that is opened here, if so many peers go slower than usual.
    slower: Settings | None = None
    # What a forked peer runs, as `module:function`; tests put a stand-in here.
    target: str = DEFAULT_TARGET
    # In a chaos town, the port of the switch that its peers reach everybody through.
    switch: int | None = None
    # And the ports of the members of its books, which the switch listens at too, at `SWITCHED`; none if it does not.
    member_ports: tuple[int, ...] = ()

    def check(self) -> None:
        """Raises SettingsError (or TownError) for what cannot be done, whatever the state of the town."""
        if self.n < 1 or self.n > MAX_PEERS:
            raise SettingsError(f"{self.n} peers cannot be started: from 2 to {MAX_PEERS} on one machine")
        check_room(self.n)
        if self.purchases is not None and self.purchases < 1:
            raise SettingsError("--purchases: 1 or more")
        if self.duration_s is not None and not 0 < self.duration_s < float("inf"):
            raise SettingsError("--duration: more than 0 seconds")
        if not 0 <= self.nameserver_port < 65536:
            raise SettingsError("--nameserver-port: from 1 to 65535, or 0 to have one picked")
        if self.roles is not None and len(self.roles) != self.n:
            raise SettingsError(f"--roles are those of {len(self.roles)} peers, and {self.n} are to be started")
        if self.starter is not None and not 0 <= self.starter < self.n:
            raise SettingsError(f"{self.starter} cannot begin the first election: it is from 0 to {self.n - 1}")
        if self.ports is not None:
            check_ports(self.ports, self.n)
        if self.fresh and self.mongo:
            raise SettingsError(
                "--fresh empties only books of the town's own: empty those of --mongo "
                f"or {ENVIRONMENT} yourself, or leave that out"
            )
        check_areas(self.areas)
        apart = next((area.name for area in self.areas if area.books), None)
        if self.settings.market.one_stock and apart is not None:
            raise SettingsError(f"--area {apart}: all areas have one stock, so their books are in one place")
        if self.replicas is not None:
            self._check_replicas(self.replicas)
        elsewhere = given_books(self.areas)
        if self.fresh and elsewhere:
            raise SettingsError("--fresh empties only books of the town's own: empty those of --area yourself")
        for address in (*elsewhere, self.mongo):
            if address is not None:
                # Imported here, for it imports the database driver, which takes a while.
                from db.address import database_of

                database_of(address)
        if self.tls and self.insecure and not (self.mongo or elsewhere or address_from_environment()):
            raise SettingsError("--tls encrypts and --insecure does not: give one of them")
        if self.fresh and self.nameserver:
            raise SettingsError("--fresh starts a new town and --nameserver joins one: give one of them")
        if self.invite and (self.fresh or self.nameserver):
            raise SettingsError("--invite joins the town it is of: leave out --fresh and --nameserver")
        if self.invite and self.insecure:
            raise SettingsError("--invite is for a town whose members have certificates: leave out --insecure")

    def _check_replicas(self, replicas: int) -> None:
        if replicas not in REPLICAS:
            listed = ", ".join(map(str, REPLICAS))
            raise SettingsError(f"--replicas {replicas}: one of {listed}; of an even number no more may be lost")
        if self.mongo:
            raise SettingsError(
                "--replicas is for books of the town's own: leave it out, or --mongo and BAZAAR_MONGO"
            )
        if self.nameserver or self.invite:
            raise SettingsError("--replicas is for who opens the town: leave it out, the invitation says it")

    def as_first(self) -> RunOptions:
        """Returns the options of who opens the market: it has its usual areas, unless others are given, and goes no
        faster than the processors here carry."""
        areas, settings = self.areas or self.usual_areas, self.slower or self.settings
        return msgspec.structs.replace(self, areas=areas, settings=settings)

    def with_stock(self) -> RunOptions:
        """Returns the same, with areas whose books are together if they are to have one stock."""
        shared = self.settings.market.one_stock
        return msgspec.structs.replace(
            self, areas=tuple(msgspec.structs.replace(area, shared=shared) for area in self.areas)
        )

    def check_first(self) -> None:
        """Raises SettingsError for what the first on a host cannot be."""
        if self.n < 2:
            raise SettingsError("a market needs 2 peers or more (one alone can only join a town that is running)")
        check_size(self.n, self.roles, self.areas)


def parse_count(text: str) -> int:
    """Returns `<n>` as a number; SettingsError in one line if it is none."""
    try:
        return int(text)
    except ValueError as error:
        raise SettingsError(f"n: {text!r} is not a number of peers; try 6") from error


def parse_ports(text: str) -> tuple[int, int]:
    """Returns `--peer-ports FROM-TO` as two numbers; SettingsError in one line if it is no such range."""
    begin, _, end = text.partition("-")
    first, last = whole_number(begin), whole_number(end)
    if first is None or last is None or not 0 < first <= last < 65536:
        raise SettingsError(f"--peer-ports {text}: expected FROM-TO, both from 1 to 65535, such as 9090-9119")
    return first, last


def check_ports(ports: tuple[int, int], n: int) -> None:
    """Raises SettingsError if `ports` are too few for `n` peers and what a town runs beside them."""
    there, needed = ports[1] - ports[0] + 1, n + SERVICE_PORTS
    if there < needed:
        raise SettingsError(
            f"--peer-ports {ports[0]}-{ports[1]}: {there} ports are too few for {n} peers, which need {needed} "
            f"({SERVICE_PORTS} of them for the name server and the database): try {ports[0]}-{ports[0] + needed - 1}"
        )


def parse_roles(text: str) -> tuple[Role, ...]:
    """Returns the roles that `--roles buyers=3,sellers=2` asks for, in that order by rank; SettingsError if it is
    no such list."""
    roles: list[Role] = []
    for part in text.split(","):
        kind, _, count = part.strip().partition("=")
        role = next((role for role in ROLES if kind in (role, f"{role}s")), None)
        many = whole_number(count)
        if role is None or many is None or many > MAX_PEERS:
            raise SettingsError(
                f"--roles {text}: expected buyers=N,sellers=N,merchants=N, such as buyers=3,sellers=2"
            )
        roles += [role] * many
    return tuple(roles)


def parse_settings(
    *,
    pairs: Iterable[str],
    shortcuts: dict[str, object],
    slow_peer: bool,
    market: str | None = None,
    slower: float = 1.0,
) -> Settings:
    """Builds the settings: those of the market of that name, then the options that are short for one, then
    `--set part.name=value`. Where none of these has a timing, all goes so many times `slower`.

    SettingsError for one that there is not, or whose value it cannot have."""
    usual = find_preset(market).settings if market is not None else {}
    short = [f"{path}={value}" for path, value in shortcuts.items() if value is not None]
    values = changed(usual, (*short, *pairs))
    if slower > 1 and "timing" not in values:
        values["timing"] = timings(slower)
    settings = make_settings(values)
    if slow_peer and not settings.market.slow_after:
        settings = make_settings(changed(values, [f"market.slow_after={_SLOW_AFTER}"]))
    return settings


def settings_of(settings: Settings, *, slow: bool) -> dict[str, object]:
    """Returns one peer's settings as it is sent them: only the slow peer ever sleeps."""
    if not slow and settings.market.slow_after:
        market = settings.market.model_copy(update={"slow_after": 0})
        settings = settings.model_copy(update={"market": market})
    return settings.model_dump(mode="json")
