"""The card of a town: what a name server says of it to whoever wants to join."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import ValidationError

from nameserver.names import AREAS
from peers.books_address import has_secret
from peers.core.settings import Settings
from peers.errors import TownError
from peers.town.plan.areas import AreaBooks, write_areas
from peers.version import program_version

if TYPE_CHECKING:
    from peers.town.database.books import Books


def make_card(
    town: str, books: Books, settings: Settings, areas: Sequence[AreaBooks], tags: Mapping[str, str]
) -> dict[str, str]:
    """Returns what others need to join, except a password. `areas`: those of a town with several posts; `tags`: what
    the founder adds."""
    card = {"town": town, "database": books.database, "settings": settings.model_dump_json()}
    card |= {"version": program_version(), **tags}
    if not has_secret(books.uri):
        card["mongo_uri"] = books.uri
    if areas:
        card[AREAS] = write_areas(areas)
    return card


def settings_in(card: dict[str, str]) -> Settings:
    """Returns the settings of the town that left this card; TownError if this version does not understand them."""
    try:
        return Settings.model_validate_json(card["settings"])
    except ValidationError as error:
        theirs, ours = card.get("version") or "unknown", program_version() or "unknown"
        raise TownError(
            f"the settings of the town are not understood here (it runs version {theirs}, this is {ours}): use the "
            "same version of this program on all machines"
        ) from error
