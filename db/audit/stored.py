"""Documents as the database sends them, decoded only where somebody looks into them.

The audit compares every document of the books with the one in the log that made it. In sound books the two are the
same to the byte, and bytes are compared in a fraction of the time that decoding takes.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument

RAW: CodecOptions[RawBSONDocument] = CodecOptions(
    document_class=RawBSONDocument,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="replace",
)
"""The codec options for a collection that is read without decoding, or nearly so."""

PLAIN: CodecOptions[dict[str, Any]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace"
)
"""The codec options for decoding: dates beyond Python's calendar and broken texts must not stop the audit."""


_TEXT_ID = b"\x02_id\x00"
"""The bytes that the first field of a document begins with if it is an id that is a text."""


class StoredDocument(Mapping[str, Any]):
    """A document, and its bytes. Equal to whatever holds the same fields, whichever way they are arranged."""

    __slots__ = ("_fields", "_raw")

    def __init__(self, document: RawBSONDocument) -> None:
        self._raw = bytes(document.raw)
        self._fields: dict[str, Any] | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """What stands in it; `bson.errors.InvalidBSON` if it is broken."""
        if self._fields is None:
            self._fields = bson.decode(self._raw, PLAIN)
        return self._fields

    def __getitem__(self, key: str) -> Any:
        return self.fields[key]

    def get(self, key: str, default: Any = None) -> Any:
        if key == "_id" and self._fields is None and self._raw[4:9] == _TEXT_ID:
            # Whoever sorts documents by id holds many of them, and need not hold them decoded.
            size = int.from_bytes(self._raw[9:13], "little")
            return self._raw[13 : 12 + size].decode(errors="replace")
        return self.fields.get(key, default)

    def items(self) -> ItemsView[str, Any]:
        return self.fields.items()

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, StoredDocument):
            return self._raw == other._raw or self.fields == other.fields
        if not isinstance(other, Mapping):
            return NotImplemented
        return self._raw == bson.encode(other, codec_options=PLAIN) or self.fields == other

    __hash__ = None  # type: ignore[assignment]
