"""Which areas a town has, where the books of each are, and who belongs to which.

An area is a whole market: a post with its trader, term, queue and log, and a graph of its own peers. A town with one
post has one area, whose name is empty; there everything is as if there were none.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from nameserver.names import AREAS
from peers.books_address import address_given
from peers.core.membership.graph_kinds import first_graph
from peers.core.membership.members import Edge
from peers.core.membership.roles import draw_roles
from peers.core.names import GraphKind, Role
from peers.errors import SettingsError

MOST_AREAS = 16
"""No setting: every area is a post with an election, a log and a collection of each kind of its own."""

OWN = "own"
"""What stands for the address of an area's books where the town is to run a database for that area alone."""

LONGEST_NAME = 24
_NAME = re.compile(rf"[A-Za-z0-9](?:[A-Za-z0-9-]{{0,{LONGEST_NAME - 2}}}[A-Za-z0-9])?")

Whose = Literal["town", "own", "given"]


class AreaPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One area. `books` is where its books are: empty for beside those of the town, `OWN`, or an address of MongoDB.
    `shared`: they are those of the town, together with the other areas', who have one stock then."""

    name: str = ""
    books: str = ""
    shared: bool = False

    @property
    def whose(self) -> Whose:
        """Whose database has its books; see `TownState.books`."""
        return "town" if not self.books else "own" if self.books == OWN else "given"


ONLY = AreaPlan()
"""The area of a town with one post."""


class AreaBooks(msgspec.Struct, frozen=True, kw_only=True):
    """One area as the town's card tells others of it: where its books are. `given`: apart from those of the town;
    then `uri` says where, or is empty where that is not for everybody to read."""

    name: str
    database: str
    uri: str = ""
    given: bool = False


def write_areas(areas: Iterable[AreaBooks]) -> str:
    """Returns what the card says of the areas, for `read_areas`."""
    return msgspec.json.encode(list(areas)).decode()


def read_areas(card: Mapping[str, str]) -> tuple[AreaBooks, ...]:
    """Returns the areas that a town's card tells of, in their order; none where it has but one post. SettingsError if
    it tells of them in another way."""
    if AREAS not in card:
        return ()
    try:
        return msgspec.json.decode(card[AREAS], type=tuple[AreaBooks, ...])
    except msgspec.MsgspecError as error:
        raise SettingsError("the town tells of its areas in another way: use the same version everywhere") from error


def choose_area(wanted: Sequence[AreaPlan], known: Sequence[AreaBooks], present: Iterable[str]) -> AreaPlan:
    """Returns the area that a terminal joins, of those `known` to the town: the one it wants, else the one with the
    fewest peers, `present` being the area of each that is there. `ONLY` where the town has one post.

    SettingsError for one that there is not, and for several."""
    names = [each.name for each in known]
    if not known:
        if wanted:
            raise SettingsError(f"the town has one post, and no area {wanted[0].name}: leave out --area")
        return ONLY
    if len(wanted) > 1:
        raise SettingsError(f"a terminal joins one area: give one of {', '.join(names)} by --area")
    if wanted:
        if wanted[0].name not in names:
            raise SettingsError(f"the town has no area {wanted[0].name}: it has {', '.join(names)}")
        return wanted[0]
    there = Counter(present)
    return AreaPlan(name=min(names, key=lambda name: there[name]))


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What an area begins with: the places of its peers among those of the town, their roles, and its graph, whose
    edges count from the first of its peers."""

    places: range
    roles: tuple[Role, ...]
    edges: tuple[Edge, ...]


def parse_areas(listed: str | None, named: Iterable[str] = ()) -> tuple[AreaPlan, ...]:
    """Returns the areas that `--areas north,south` and `--area NAME[=URI|@FILE|own]` ask for, in that order.

    SettingsError for a name that none can have, for one named twice, and for too many."""
    found: dict[str, AreaPlan] = {}
    for name in listed.split(",") if listed is not None else ():
        if name.strip() in found:
            raise SettingsError(f"--areas {listed}: {name.strip()} is there twice")
        found[name.strip()] = AreaPlan(name=name.strip())
    seen: set[str] = set()
    for given in named:
        name, has_books, books = given.partition("=")
        if name in seen:
            raise SettingsError(f"--area {name} is there twice")
        seen.add(name)
        found[name] = AreaPlan(name=name, books=_books_given(name, books) if has_books else "")
    check_areas(found.values())
    return tuple(found.values())


def _books_given(name: str, books: str) -> str:
    """Where an area's books are, by what stands behind the = of `--area NAME=…`."""
    address = books if books == OWN else address_given(books, f"--area {name}=") or ""
    # Not shown, for any part of what is no address may be a password.
    if address != OWN and not address.startswith(("mongodb://", "mongodb+srv://")):
        raise SettingsError(
            f"--area {name}=: say where its books are: {OWN}, an address of MongoDB such as "
            "mongodb://127.0.0.1:27017/?replicaSet=rs0, or @FILE"
        )
    return address


def check_areas(areas: Iterable[AreaPlan]) -> None:
    """Raises SettingsError for names that areas cannot have, and for too many areas."""
    names = [area.name for area in areas]
    for name in names:
        if _NAME.fullmatch(name) is None:
            raise SettingsError(
                f"{name!r} is no name of an area: letters, digits and dashes within, {LONGEST_NAME} at most, "
                "such as --areas north,south"
            )
        # Databases and folders may have names that differ in case only on some machines, and not on others.
        if sum(other.casefold() == name.casefold() for other in names) > 1:
            raise SettingsError(f"{name}: there is another area of that name, but for capital letters")
    if len(names) > MOST_AREAS:
        raise SettingsError(f"{len(names)} areas are too many: {MOST_AREAS} at most")


def given_books(areas: Iterable[AreaPlan]) -> list[str]:
    """Returns the addresses that were given for books of areas."""
    return [area.books for area in areas if area.whose == "given"]


def database_of_area(database: str, area: str, *, shared: bool = False) -> str:
    """Returns the database that an area's books are in, `database` being that of the town: one of its own, or the
    town's where all areas are to share one stock. This is the only place that says so."""
    return database if shared or not area else f"{database}_{area}"


def address_of_area(uri: str, database: str, plan: AreaPlan) -> tuple[str, str]:
    """Returns where an area's books are, address and database, the town's being in `database` at `uri`: in a database
    named after the area, unless the address that was given names one. LedgerError for an address that is none."""
    if not plan.books:
        return uri, database_of_area(database, plan.name, shared=plan.shared)
    from db.address import database_in, database_of

    given = database_in(plan.books)
    return plan.books, given or database_of_area(database_of(plan.books), plan.name)


def split(n: int, areas: int) -> list[range]:
    """Deals `n` peers out to so many areas, evenly: the places of each area's, one area after the other."""
    least, more = divmod(n, areas)
    sizes = [least + (number < more) for number in range(areas)]
    return [range(sum(sizes[:number]), sum(sizes[: number + 1])) for number in range(areas)]


def check_size(n: int, roles: Sequence[Role] | None, areas: Sequence[AreaPlan]) -> None:
    """Raises SettingsError if not every area would have somebody to buy and somebody to sell."""
    if not areas:
        return
    if n < 2 * len(areas):
        raise SettingsError(
            f"{n} peers are too few for {len(areas)} areas ({', '.join(area.name for area in areas)}): "
            f"each needs 2 at least, so {2 * len(areas)} or more"
        )
    for area, places in zip(areas, split(n, len(areas)), strict=True):
        here = _dealt(roles, len(areas), places) if roles is not None else ()
        if roles is not None and (not {"buyer", "merchant"} & {*here} or not {"seller", "merchant"} & {*here}):
            raise SettingsError(f"--roles: too few for {area.name}, where nobody would {_missing(here)}")


def draw_shares(
    n: int,
    areas: Sequence[AreaPlan],
    seed: int,
    *,
    roles: Sequence[Role] | None,
    merchants: bool,
    graph: GraphKind,
) -> list[Share]:
    """Draws roles and graph of each area (of the only one where `areas` has but that): the same from the same seed.

    SettingsError as `check_size`."""
    shares = []
    for area, places in zip(areas, split(n, len(areas)), strict=True):
        rng = random.Random(f"{seed}/{area.name}" if area.name else seed)
        given = None if roles is None else _dealt(roles, len(areas), places)
        drawn = given or draw_roles(len(places), rng, merchants=merchants)
        shares.append(Share(places=places, roles=drawn, edges=first_graph(graph, len(places), rng)))
    return shares


def _dealt(roles: Sequence[Role], areas: int, places: range) -> tuple[Role, ...]:
    """The roles of the peers at these places, each area getting every so-manieth of a list that is sorted by role."""
    dealt = [role for number in range(areas) for role in roles[number::areas]]
    return tuple(dealt[place] for place in places)


def _missing(here: Iterable[Role]) -> str:
    return "buy" if "seller" in here or "merchant" in here else "sell"
