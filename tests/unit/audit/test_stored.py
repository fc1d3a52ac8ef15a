"""Documents that are compared by their bytes are equal exactly when their fields are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument

from db.audit.stored import PLAIN, StoredDocument

FIELDS = {
    "_id": "buyer0.r1 ü",
    "price": Decimal128("7.20"),
    "clock": {"vector": {"buyer0": 3}},
    "at": Int64(7),
    "queued_at": datetime(2026, 11, 2, tzinfo=UTC),
}


def stored(fields: dict[str, Any]) -> StoredDocument:
    return StoredDocument(RawBSONDocument(bson.encode(fields)))


def decoded(fields: dict[str, Any]) -> dict[str, Any]:
    return bson.decode(bson.encode(fields), PLAIN)


def test_a_document_equals_what_it_holds() -> None:
    assert stored(FIELDS) == decoded(FIELDS)
    assert stored(FIELDS) == stored(FIELDS)
    assert stored(FIELDS) == decoded(dict(reversed(FIELDS.items())))
    assert stored(dict(reversed(FIELDS.items()))) == stored(FIELDS)
    assert dict(stored(FIELDS)) == decoded(FIELDS)


@pytest.mark.parametrize(
    "change",
    [{"price": Decimal128("7.21")}, {"price": 7.2}, {"clock": {}}, {"at": None}, {"queued_at": "today"}, {"more": 1}],
)
def test_and_nothing_else(change: dict[str, Any]) -> None:
    assert stored(FIELDS | change) != decoded(FIELDS)
    assert stored(FIELDS) != decoded(FIELDS | change)
    assert stored(FIELDS) != stored(FIELDS | change)


@pytest.mark.parametrize("record_id", ["r1", "", "ü", 7, None, {"a": 1}])
def test_its_id_is_read_without_the_rest(record_id: object) -> None:
    fields = {"_id": record_id, "at": 1}
    assert stored(fields).get("_id") == record_id
    assert stored({"at": 1, "_id": record_id}).get("_id") == record_id
