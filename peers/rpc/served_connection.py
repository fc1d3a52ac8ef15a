"""A caller's connection as the server sees it, and an answer that it will get later."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable

from Pyro5 import errors, protocol, serializers
from Pyro5.socketutil import SocketConnection

from peers.errors import WireError
from peers.rpc.identity import Identity
from peers.rpc.public_errors import ServerFault, error_form
from peers.rpc.transport import (
    ANSWER,
    CALL,
    HEADER,
    MAGIC,
    MAX_MESSAGE,
    STALLED_S,
    keep_time_in_kernel,
    message,
    pack,
)
from peers.rpc.wake_up import WakeUp

_MARSHAL_ID = serializers.MarshalSerializer.serializer_id
_REFUSED_FLAGS = protocol.FLAGS_COMPRESSED | protocol.FLAGS_ONEWAY | protocol.FLAGS_KEEPSERIALIZED
_CHUNK = 64 * 1024

Finish = Callable[[Callable[[], None]], None]
"""Has a task done on a thread that may wait."""


class ServedConnection(SocketConnection):  # type: ignore[misc]
    """A connection that reads ahead, and refuses messages of a kind that is not taken.

    Pyro reads and sends on a thread that may wait. What has come already, and what goes out at once, can also be
    read and sent without waiting. `rank` is that of the neighbour whose link this turned out to be, None for other
    callers. `identity` is whom the caller's certificate names, read once when it is greeted; None without TLS.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock, keep_open=True)  # The connection that Pyro made closes the socket.
        self.rank: int | None = None
        self.identity: Identity | None = None
        self.greeted = False
        # Whether a call has been taken whose answer is to be sent later; the next call waits for that.
        self.owed = False
        self._sending = threading.Lock()
        # What has come and has not been taken yet.
        self._read = bytearray()
        # Which part of a message Pyro reads next: 0 is tag and version, 1 the rest of the header, 2 the payload.
        self._part = 0
        # Whether a thread is sending what of an answer did not go out at once.
        self._finishing = False

    @property
    def is_plain(self) -> bool:
        """Whether it can be read and written without waiting; TLS may have to wait in the middle of either."""
        return not isinstance(self.sock, ssl.SSLSocket)

    def keep_time(self) -> None:
        """Has the kernel keep the time from now on, so that reads and writes may either wait or not."""
        keep_time_in_kernel(self.sock, STALLED_S)

    # -- for Pyro, which waits -----------------------------------------------------------------------------

    def recv(self, size: int) -> bytes:
        """Gives the next part of a message. Reads ahead: the three mostly come in one packet.

        ConnectionClosedError if the other end has gone, TimeoutError if it stalls, ProtocolError for a message of a
        kind that is not taken.
        """
        read, part = self._read, self._part
        self._part = (part + 1) % 3
        while len(read) < size:
            try:
                chunk = self.sock.recv(_CHUNK)
            except (TimeoutError, BlockingIOError) as error:
                if read or part or not self.greeted:
                    raise errors.TimeoutError("receiving: timeout") from error
                continue
            except OSError as error:
                raise errors.ConnectionClosedError(f"receiving: {error}") from error
            if not chunk:
                raise errors.ConnectionClosedError("receiving: closed")
            read += chunk
        taken = bytes(memoryview(read)[:size])
        del read[:size]
        if part == 1 and (taken[1] == _MARSHAL_ID or int.from_bytes(taken[2:4], "big") & _REFUSED_FLAGS):
            raise errors.ProtocolError("marshal, compressed, oneway and pre-serialized messages are not taken")
        return taken

    def send(self, data: bytes) -> None:
        """Sends an answer; answers of several threads never mix."""
        with self._sending:
            super().send(data)

    # -- without waiting -----------------------------------------------------------------------------------

    @property
    def has_read_ahead(self) -> bool:
        return bool(self._read)

    def read_at_hand(self) -> None:
        """Reads what has come; ConnectionClosedError if that is the end."""
        try:
            chunk = self.sock.recv(_CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            raise errors.ConnectionClosedError(f"receiving: {error}") from error
        if not chunk:
            raise errors.ConnectionClosedError("receiving: closed")
        self._read += chunk

    def plain_call(self) -> tuple[int, bytearray] | None:
        """Returns number and payload of the next message if it is all there, a call in msgpack, and nothing more."""
        read = self._read
        if len(read) < HEADER.size:
            return None
        start, flags, seq, size, notes, magic = HEADER.unpack_from(read)
        end = HEADER.size + size
        if start != CALL or flags or notes or magic != MAGIC or size > MAX_MESSAGE or len(read) < end:
            return None
        return seq, read[HEADER.size : end]

    def drop_call(self, payload: bytearray) -> None:
        """Drops the call of this `payload`, which `plain_call` returned, from what has come."""
        del self._read[: HEADER.size + len(payload)]

    def send_at_once(self, data: bytes, finish: Finish | None = None) -> None:
        """Sends an answer without ever waiting.

        If a caller reads slowly, `finish` is given the task of sending the rest; without `finish` such a caller loses
        the connection.
        """
        with self._sending:
            try:
                sent = -1 if self._finishing else self.sock.send(data, socket.MSG_DONTWAIT)
            except BlockingIOError:
                sent = 0
            except OSError:
                sent = -1
            if sent == len(data):
                return
            if finish is None or sent < 0:
                self.hang_up()
                return
            self._finishing = True
        finish(lambda: self._finish(data[sent:]))

    def _finish(self, rest: bytes) -> None:
        try:
            self.send(rest)
        except errors.CommunicationError:
            self.hang_up()
        self._finishing = False

    # -- the end -------------------------------------------------------------------------------------------

    def hang_up(self) -> None:
        """Ends the connection for the other side; whoever reads from it here hears of it."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)


class LaterAnswer:
    """The answer that one call will get, once and from any thread, without a thread that waits for it.

    `finish` is for large answers; see `ServedConnection.send_at_once`.
    """

    __slots__ = ("_finish", "_seq", "connection")

    may_wait = False

    def __init__(self, connection: ServedConnection, seq: int, finish: Finish) -> None:
        self.connection = connection
        self._seq = seq
        self._finish = finish
        connection.owed = True

    def give(self, answer: object, *, large: bool = False) -> None:
        """Answers the call; `large`: with what a caller may take a while to read."""
        self._send(0, pack(answer), self._finish if large else None)

    def fail(self, error: WireError | ServerFault) -> None:
        """Answers the call with an error."""
        self._send(protocol.FLAGS_EXCEPTION, pack(error_form(error)), None)

    def _send(self, flags: int, packed: bytes, finish: Finish | None) -> None:
        self.connection.owed = False  # This comes first, for the next call may come at once.
        self.connection.send_at_once(message(ANSWER, flags, self._seq, packed), finish)


class AwaitedAnswer:
    """The answer that one call will get, once and from any thread, and that the thread which serves it waits for."""

    __slots__ = ("_answer", "_error", "_given", "connection")

    may_wait = True

    def __init__(self, connection: ServedConnection | None) -> None:
        self.connection = connection
        self._given = WakeUp()
        self._answer: object = None
        self._error: WireError | None = None

    def give(self, answer: object, *, large: bool = False) -> None:
        """Answers the call; how large the answer is does not matter to a thread that waits anyway."""
        del large
        self._answer = answer
        self._given.ring()

    def fail(self, error: WireError) -> None:
        """Answers the call with an error."""
        self._error = error
        self._given.ring()

    def wait(self) -> object:
        """Returns the answer, or raises the WireError that it is: a copy, for others may be given the same."""
        self._given.wait()
        if self._error is not None:
            raise type(self._error)(**self._error.fields())
        return self._answer


CallAnswer = LaterAnswer | AwaitedAnswer
"""How a handler answers the one call that it is given. Where `may_wait` is false, the handler must not."""
