"""Nobody outside `db` knows which collections there are, nor speaks to MongoDB: what is asked of it is a query."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import db
from db.schema.collections import COLLECTIONS, COUNTERS, ELECTIONS, POST

ROOT = Path(db.__path__[0]).parent
OUTSIDE = sorted(path for folder in ("peers", "nameserver", "plots") for path in (ROOT / folder).rglob("*.py"))
NAMES = {each.name for each in COLLECTIONS} - {ELECTIONS.name} | {COUNTERS}
"""Elections are spoken of everywhere; the others are nothing but collections."""

FLOOR = "floor.py"
"""Measures the driver's own insert, with nothing of ours in between, into a database that is none of ours."""

TWIN = "simulator"
"""Is handed what its ledger in memory holds, by the names of the collections; there is no database in it."""


def known(source: str) -> Iterator[str]:
    """What a module knows of MongoDB and of what is in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in ("pymongo", "bson"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("pymongo", "bson"):
            yield str(node.module)
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and node.slice.value in NAMES:
            yield f"[{node.slice.value!r}]"
        elif isinstance(node, ast.Constant) and node.value == POST:
            yield repr(POST)


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_outside_knows_nothing_of_it(path: Path) -> None:
    found = set(known(path.read_text()))
    if path.name == FLOOR:
        found -= {"pymongo", "pymongo.write_concern"}
    if TWIN in path.parts:
        found -= {f"[{name!r}]" for name in NAMES}
    assert not found


@pytest.mark.parametrize(
    "source", ["import pymongo", "from bson import decode", "x['requests']", "find({'_id': 'main'})"]
)
def test_what_knows_it_would_be_seen(source: str) -> None:
    assert list(known(source))
