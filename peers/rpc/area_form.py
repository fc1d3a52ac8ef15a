"""The public form of a search over several areas: what callers send and what they get, as the README describes it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from peers.core.market.limits import shown
from peers.errors import BadRequest
from peers.rpc.public_form import Document


def search_arguments(arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, Any]:
    """Returns item and areas as given, by position or by name, None for what was left out; BadRequest for more."""
    given = dict(zip(("item", "areas"), arguments, strict=False))
    if len(arguments) > 2 or named.keys() - {"item", "areas"} or named.keys() & given.keys():
        raise BadRequest(field="arguments", why="must be item and areas, each of which may be left out")
    given |= named
    return given.get("item"), given.get("areas")


def areas_in(given: object, known: Collection[str]) -> tuple[str, ...] | None:
    """Reads which areas to search of those that are known, None for all; BadRequest for what is no such list."""
    if given is None:
        return None
    if not isinstance(given, list | tuple) or not given or not all(name in known for name in given):
        listed = ", ".join(filter(None, known)) or "nothing, for this town has one post"
        raise BadRequest(field="areas", why=f"must be a list of {listed}; not {shown(given)}")
    return tuple(given)


def areas_dict(wanted: Iterable[str], found: Mapping[str, list[Document]], missing: Mapping[str, str]) -> Document:
    """Returns what such a search gives: the rows of all areas that answered, each with its area, and of those that
    did not why, in the order in which they were wanted."""
    names = tuple(wanted)
    late = "it did not answer in time"
    return {
        "offers": [{**row, "area": name} for name in names for row in found.get(name, ())],
        "areas": [name for name in names if name in found],
        "missing": [{"area": name, "why": missing.get(name, late)} for name in names if name not in found],
    }
