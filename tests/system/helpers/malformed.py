"""Calls that no client would make: wrong in type, count, depth, size, serializer, flags, or meant for nobody."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from functools import lru_cache

import msgspec
from hypothesis import strategies as st
from Pyro5 import protocol, serializers
from Pyro5.errors import SerializeError

from tests.helpers.raw_caller import JSON, MSGPACK, SERPENT, message

_METHODS = (
    "ping", "heartbeat", "status", "buy", "deposit", "outcome", "search", "search_areas", "deliver", "told",
    "standing", "report_stock", "reversals", "introduce", "register", "set_metadata", "list", "lookup", "yplookup",
    "remove", "count", "get_metadata", "info", "registered", "get_next_stream_item", "close_stream",
)  # fmt: skip
_HIDDEN = (
    "__getattr__", "__setattr__", "__call__", "__class__", "__init__", "__reduce__", "__dict__", "_peer", "_pyroId",
    "_pyroDaemon", "_on_buy", "_pyroExposed", "", "no_such_method", "<batch>",
)  # fmt: skip
_CLASSES = (
    "Pyro5.core.URI", "Pyro5.client.Proxy", "Pyro5.server.Daemon", "Pyro5.util.SerpentSerializer", "float",
    "builtins.SystemExit", "builtins.KeyboardInterrupt", "builtins.object", "sqlite3.Error", "struct.error",
    "Pyro5.errors.PyroError", "Pyro5.core._ExceptionWrapper", "os.system", "a.__b__", "",
)  # fmt: skip
_HUGE = (2**53, 2**63, 2**64 - 1, -(2**63), -1, 0)
_FLAGS = (
    protocol.FLAGS_EXCEPTION,
    protocol.FLAGS_COMPRESSED,
    protocol.FLAGS_ONEWAY,
    protocol.FLAGS_BATCH,
    protocol.FLAGS_ITEMSTREAMRESULT,
    protocol.FLAGS_KEEPSERIALIZED,
    protocol.FLAGS_CORR_ID,
    0xFFFF,
)
_KINDS = (protocol.MSG_CONNECT, protocol.MSG_CONNECTOK, protocol.MSG_RESULT, protocol.MSG_PING, 0, 255)
_SERIALIZERS = (SERPENT, JSON, MSGPACK)


@dataclass(frozen=True)
class Malformed:
    """What is sent. A `whole` one is answered, or ends the connection."""

    data: bytes
    whole: bool


_plain = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from(_HUGE)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(("fish", "1.00", "../../etc/passwd", "\u0000", "{$gt: 1}"))
    | st.integers(100, 5000).map(lambda length: "x" * length)
)
_foreign = st.fixed_dictionaries(
    {"__class__": st.sampled_from(_CLASSES)},
    optional={
        "state": st.lists(_plain, max_size=6),
        "args": st.lists(_plain, max_size=2),
        "__exception__": st.booleans(),
        "attributes": st.dictionaries(st.text(max_size=5), _plain, max_size=2),
        "value": st.text(max_size=5),
        "exception": _plain,
    },
)
_values = st.recursive(
    _plain | _foreign,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_deep = st.integers(50, 400).map(lambda depth: json.loads("[" * depth + "]" * depth))
_request = st.fixed_dictionaries(
    {
        "request_id": st.just("r/1") | _plain,
        "buyer": st.just("mallory") | _plain,
        "item": st.just("fish") | _plain,
        "quantity": st.just(0) | _plain,
        "clock": st.just({"lamport": 2**53}) | st.dictionaries(st.sampled_from(("lamport", "vector")), _values),
    },
    optional={"deposit_id": _plain, "seller": _plain, "price": _plain, "$where": _plain},
)
_parcel = st.tuples(_plain, _plain, st.lists(_values, max_size=3)).map(
    lambda given: (
        msgspec.msgpack.encode(given, enc_hook=str)
        if all(isinstance(each, int | type(None)) and abs(each or 0) < 2**63 for each in given[:2])
        else b"\x93"
    )
)
_arguments = st.lists(_values | _request | _deep | _parcel | st.binary(max_size=50), max_size=3)


def _packed(serializer: int, target: object, method: object, arguments: object, named: object) -> bytes:
    packed = serializers.serializers_by_id[serializer]
    try:
        payload: bytes = packed.dumpsCall(target, method, arguments, named)
    except (ValueError, TypeError, OverflowError, RecursionError, SerializeError):  # Not every value suits each.
        payload = json.dumps([target, method], default=str).encode()
    return payload


def _annotations(spoilt: bytes) -> bytes:
    return struct.pack("!4sI", b"TEST", len(spoilt)) + spoilt


@st.composite
def malformed(draw: st.DrawFn, target: str) -> Malformed:
    """A call to the object `target`, or to another that is or might be beside it."""
    return draw(_malformed(target))


@lru_cache
def _malformed(target: str) -> st.SearchStrategy[Malformed]:
    calls = st.builds(
        _packed,
        st.sampled_from(_SERIALIZERS),
        st.sampled_from((target, target, target, "Pyro.Daemon", "nobody", "")),
        st.sampled_from(_METHODS) | st.sampled_from(_HIDDEN) | st.text(max_size=10),
        _arguments,
        st.dictionaries(st.sampled_from(("item", "request", "area", "forwarded", "self", "x")), _values, max_size=2),
    )
    whole = st.builds(
        lambda kind, serializer, payload, flags, notes: Malformed(
            message(kind, serializer, payload, flags=flags, notes=notes), whole=True
        ),
        st.just(protocol.MSG_INVOKE) | st.sampled_from(_KINDS),
        st.sampled_from(_SERIALIZERS) | st.integers(0, 255),
        calls | st.binary(max_size=200),
        st.just(0) | st.sampled_from(_FLAGS),
        st.just(b"") | st.binary(max_size=40) | st.binary(max_size=40).map(_annotations),
    )
    matching = st.builds(
        lambda serializer, method, arguments, named, flags: Malformed(
            message(
                protocol.MSG_INVOKE, serializer, _packed(serializer, target, method, arguments, named), flags=flags
            ),
            whole=True,
        ),
        st.sampled_from(_SERIALIZERS),
        st.sampled_from(_METHODS) | st.sampled_from(_HIDDEN),
        _arguments,
        st.dictionaries(st.sampled_from(("item", "request", "area", "forwarded", "packed")), _values, max_size=2),
        st.just(0) | st.sampled_from((protocol.FLAGS_BATCH, protocol.FLAGS_ITEMSTREAMRESULT)),
    )
    oversized = st.builds(
        lambda size, notes: Malformed(
            message(protocol.MSG_INVOKE, JSON, b"")[:12] + struct.pack("!II", size, notes) + bytes(24), whole=False
        ),
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**32 - 1),
    )
    torn = st.builds(
        lambda each, part: Malformed(each.data[: max(1, len(each.data) * part // 100)], whole=False),
        whole,
        st.integers(1, 99),
    )
    noise = st.binary(min_size=1, max_size=300).map(lambda data: Malformed(data, whole=False))
    return matching | matching | whole | oversized | torn | noise
