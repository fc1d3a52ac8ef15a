"""Says why to a caller whose message is too large, before its connection ends.

It is answered at once, by an error that every Pyro5 client can raise. But who closes while the other side is still
sending loses its last words with the connection: the kernel throws away what has not been read, and tells the caller
so. So what comes is let run through, without being kept, and only then does the connection end. Within bounds: of
what is larger than `MOST_PASSED` nothing is waited for, and the time is that of any message that has begun to come.
"""

from __future__ import annotations

from Pyro5 import protocol, serializers

from peers.errors import BadRequest
from peers.rpc.forms.public_errors import error_form
from peers.rpc.transport import SERIALIZER_AT, message, start_of

MOST_PASSED = 64 * 1024 * 1024
"""The most bytes of a message that are let run through. No setting: to read and drop them takes a moment."""


class TooLarge:
    """A message of `size` bytes, of which `most` are taken; `start` and `seq` are of its header."""

    def __init__(self, start: bytes, seq: int, size: int, most: int) -> None:
        self._serializer = start[SERIALIZER_AT]
        self._seq = seq
        self._error = BadRequest(field="arguments", why=f"a call has {most:,} bytes at most, and this one {size:,}")
        self._left = size if size <= MOST_PASSED else 0

    @property
    def is_through(self) -> bool:
        """Whether all of it has come that is waited for."""
        return self._left == 0

    def drop_from(self, read: bytearray) -> None:
        """Drops from what has come what is of this message."""
        dropped = min(self._left, len(read))
        del read[:dropped]
        self._left -= dropped

    def answer(self) -> bytes:
        """Returns the message that says why, in the serializer that it was asked in."""
        payload: bytes = serializers.serializers_by_id[self._serializer].dumps(error_form(self._error))
        return message(start_of(protocol.MSG_RESULT, self._serializer), protocol.FLAGS_EXCEPTION, self._seq, payload)
