"""The public form of a search over several areas: what callers send and what they get, as the README describes it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from peers.core.market.limits import shown
from peers.errors import BadRequest
from peers.rpc.forms.public_form import Document

_NAMES = ("item", "areas", "since")


def search_arguments(arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Returns item, areas and since as given, by position or by name, None for what was left out; BadRequest for
    more."""
    given = dict(zip(_NAMES, arguments, strict=False))
    if len(arguments) > len(_NAMES) or named.keys() - set(_NAMES) or named.keys() & given.keys():
        raise BadRequest(field="arguments", why="must be item, areas and since, each of which may be left out")
    given |= named
    return given.get("item"), given.get("areas"), given.get("since")


def since_in(given: object, known: Collection[str]) -> dict[str, object]:
    """Reads by area as of what the caller was told something there; BadRequest for what is no such dict."""
    if given is None:
        return {}
    if not isinstance(given, dict) or not all(name in known for name in given):
        raise BadRequest(field="since", why=f"must be a dict with areas of the town, not {shown(given)}")
    return dict(given)


def areas_in(given: object, known: Collection[str]) -> tuple[str, ...] | None:
    """Reads which areas to search of those that are known, None for all; BadRequest for what is no such list."""
    if given is None:
        return None
    if not isinstance(given, list | tuple) or not given or not all(name in known for name in given):
        listed = ", ".join(filter(None, known)) or "nothing, for this town has one post"
        raise BadRequest(field="areas", why=f"must be a list of {listed}; not {shown(given)}")
    return tuple(given)


def areas_dict(wanted: Iterable[str], found: Mapping[str, Document], missing: Mapping[str, str]) -> Document:
    """Returns what such a search gives, in the order in which the areas were wanted: the rows of all that answered,
    each with its area, as of what they are so in each and how much they may miss, whether one log is under them all,
    and of those that did not answer why. `found` is what `browse` gave in each."""
    names = tuple(wanted)
    late = "it did not answer in time"
    return {
        "offers": [{**row, "area": name} for name in names for row in _rows(found.get(name))],
        "areas": [name for name in names if name in found],
        "as_of": {
            name: {field: found[name].get(field) for field in ("term", "seq", "place")}
            for name in names
            if name in found
        },
        "within_ms": max((_whole(each.get("within_ms")) for each in found.values()), default=0),
        "one_log": any(each.get("area") for each in found.values()),
        "missing": [{"area": name, "why": missing.get(name, late)} for name in names if name not in found],
    }


def _whole(given: object) -> int:
    return given if isinstance(given, int) else 0


def _rows(found: Document | None) -> list[Document]:
    rows = None if found is None else found.get("rows")
    return rows if isinstance(rows, list) else []
