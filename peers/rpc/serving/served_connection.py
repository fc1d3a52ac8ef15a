"""A caller's connection as the server sees it, and an answer that it will get later."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable

from Pyro5 import errors, protocol
from Pyro5.socketutil import SocketConnection

from peers.errors import WireError
from peers.rpc.forms.public_errors import ServerFault, error_form
from peers.rpc.security.identity import Identity
from peers.rpc.serving.refusal import TooLarge
from peers.rpc.transport import (
    ANSWER,
    CALL,
    HEADER,
    MAGIC,
    PROTOCOL,
    SERIALIZER_AT,
    STALLED_S,
    TAKEN,
    largest_taken,
    message,
    pack,
)
from peers.rpc.wake_up import WakeUp

_REFUSED_FLAGS = protocol.FLAGS_COMPRESSED | protocol.FLAGS_ONEWAY | protocol.FLAGS_KEEPSERIALIZED
_CHUNK = 64 * 1024
_RECORD = 16 * 1024
"""The most that TLS takes from the network at once."""

Finish = Callable[[Callable[[], None]], None]
"""Has a task done on a thread that may wait."""


class ServedConnection(SocketConnection):  # type: ignore[misc]
    """A connection that is read without ever waiting, and refuses messages of a kind that is not taken.

    A message is taken once all of it has come, so Pyro never waits for the rest of one. Answers are sent without
    waiting, or by a thread that may wait. `rank` is that of the neighbour whose link this turned out to be, None for
    other callers. `identity` is whom the caller's certificate names, read once when it is greeted; None without TLS.
    `speaks_for` are the names that it was found to speak for (`peers.rpc.permissions`).
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock, keep_open=True)  # It is closed by `close_now`, once nobody uses it any more.
        sock.setblocking(False)
        self.rank: int | None = None
        self.identity: Identity | None = None
        self.speaks_for: set[str] = set()
        self.greeted = False
        # Whether a call has been taken whose answer is to be sent later; the next call waits for that.
        self.owed = False
        # When something came last, in monotonic seconds.
        self.heard_s = time.monotonic()
        self.is_new_to_tls = self._is_tls = isinstance(sock, ssl.SSLSocket)
        # The answers that have not gone out yet, each where the one before it ends; who sends has the lock.
        self._unsent: deque[bytes | memoryview] = deque()
        self._sending = threading.Lock()
        # OpenSSL lets one thread at a time use a connection.
        self._using = threading.Lock()
        # What has come and has not been taken yet.
        self._read = bytearray()
        # A message that is too large, while it runs through.
        self._refused: TooLarge | None = None
        self.is_ending = False

    def shake_hands(self) -> int | None:
        """Returns what the handshake of TLS waits for, of `selectors`; None once there is nothing more to wait for.

        OSError if the two will never speak with each other."""
        if self.is_new_to_tls:
            assert isinstance(self.sock, ssl.SSLSocket)
            try:
                self.sock.do_handshake()
            except ssl.SSLWantReadError:
                return selectors.EVENT_READ
            except ssl.SSLWantWriteError:
                return selectors.EVENT_WRITE
        return None

    # -- for Pyro, on a thread that may wait ---------------------------------------------------------------

    def recv(self, size: int) -> bytes:
        """Gives the next part of a message; ConnectionClosedError if it was announced shorter than it is."""
        if len(self._read) < size:
            raise errors.ConnectionClosedError("receiving: not enough data")
        taken = bytes(memoryview(self._read)[:size])
        del self._read[:size]
        return taken

    def send(self, data: bytes) -> None:
        """Sends an answer; answers of several threads never mix. ConnectionClosedError or TimeoutError if it cannot
        be sent, the latter also to a caller that takes too long to read it."""
        self._unsent.append(data)
        self._send_all()

    def _send_all(self) -> None:
        while self._unsent:  # Another thread may leave something here just before the lock is let go.
            with self._sending:
                self._send_waiting()

    def _send_waiting(self) -> None:
        """Sends all of the answer that comes first, and waits for the caller to read it."""
        due_s = time.monotonic() + (STALLED_S if self.greeted else 0.0)
        try:
            while not self._send_first():
                left_s = due_s - time.monotonic()
                if left_s <= 0 or not self._wait_until_it_can_send(left_s):
                    raise errors.TimeoutError("sending: timeout")
        except OSError as error:
            raise errors.ConnectionClosedError(f"sending: {error}") from error

    def _send_first(self) -> bool:
        """Sends what goes out at once of the answer that comes first; returns whether nothing is left of it. OSError
        if nothing ever will."""
        if not self._unsent:
            return True  # Another thread has sent it meanwhile.
        rest = memoryview(self._unsent[0])
        while rest and (sent := self._send_some(rest)):  # TLS takes a record at a time.
            rest = rest[sent:]
        if rest:
            self._unsent[0] = rest
            return False
        self._unsent.popleft()
        return True

    def _send_some(self, data: memoryview) -> int:
        """Sends what goes out at once; returns how much that was. OSError if nothing ever will."""
        sent: int
        try:
            if self._is_tls:
                with self._using:
                    sent = self.sock.send(data)
            else:
                sent = self.sock.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0
        return sent

    def _wait_until_it_can_send(self, limit_s: float) -> bool:
        with selectors.DefaultSelector() as selector:
            try:
                selector.register(self.sock, selectors.EVENT_WRITE)
            except ValueError:  # It has been closed meanwhile.
                return False
            return bool(selector.select(limit_s))

    # -- without waiting -----------------------------------------------------------------------------------

    @property
    def has_read_ahead(self) -> bool:
        return bool(self._read) or self._refused is not None

    @property
    def has_unsent(self) -> bool:
        """Whether some of an answer has not gone out yet."""
        return bool(self._unsent)

    def read_at_hand(self) -> None:
        """Reads what has come; ConnectionClosedError if that is the end."""
        try:
            chunk = self._receive_secured() if self._is_tls else self.sock.recv(_CHUNK)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            raise errors.ConnectionClosedError(f"receiving: {error}") from error
        if not chunk:
            raise errors.ConnectionClosedError("receiving: closed")
        self.heard_s = time.monotonic()
        self._read += chunk
        if self._refused is not None:
            self._let_run_through(self._refused)

    def _receive_secured(self) -> bytes:
        assert isinstance(self.sock, ssl.SSLSocket)
        with self._using:
            # So much that TLS keeps nothing back: whoever watches the socket would not see that.
            return self.sock.read(_RECORD)

    def has_message(self) -> bool:
        """Whether all of a message has come; ProtocolError if what has come is none that is taken."""
        read = self._read
        if self._refused is not None:
            return False
        if len(read) < HEADER.size:
            if not PROTOCOL.startswith(read[: len(PROTOCOL)]):
                raise errors.ProtocolError("another protocol, or another version of it")
            return False
        start, flags, seq, size, notes, magic = HEADER.unpack_from(read)
        if not start.startswith(PROTOCOL) or magic != MAGIC:
            raise errors.ProtocolError("another protocol, or another version of it")
        if start[SERIALIZER_AT] not in TAKEN or flags & _REFUSED_FLAGS:
            raise errors.ProtocolError("marshal, compressed, oneway and pre-serialized messages are not taken")
        most = largest_taken(start[SERIALIZER_AT], greeted=self.greeted)
        if size + notes > most:
            if not self.greeted:
                raise errors.ProtocolError("too large a greeting")
            del read[: HEADER.size]
            refused = TooLarge(start, seq, size + notes, most)
            self.send_at_once(refused.answer())
            self._let_run_through(refused)
            return False
        return len(read) >= HEADER.size + int(size) + int(notes)

    def _let_run_through(self, refused: TooLarge) -> None:
        """Drops what has come of a message that is too large, and ends the connection once it is through."""
        refused.drop_from(self._read)
        self._refused = refused
        if refused.is_through:
            self._read.clear()
            self.hang_up()

    def has_batch(self) -> bool:
        """Whether the message that has come is a batch of calls."""
        return bool(HEADER.unpack_from(self._read)[1] & protocol.FLAGS_BATCH)

    def plain_call(self) -> tuple[int, bytearray] | None:
        """Returns number and payload of the next message if it is all there, a call in msgpack, and nothing more."""
        read = self._read
        if len(read) < HEADER.size:
            return None
        start, flags, seq, size, notes, magic = HEADER.unpack_from(read)
        end = HEADER.size + size
        if start != CALL or flags or notes or magic != MAGIC or len(read) < end:
            return None
        return seq, read[HEADER.size : end]

    def drop_call(self, payload: bytearray) -> None:
        """Drops the call of this `payload`, which `plain_call` returned, from what has come."""
        del self._read[: HEADER.size + len(payload)]

    def send_at_once(self, data: bytes, finish: Finish | None = None) -> None:
        """Sends an answer without ever waiting, be it for the caller or for another thread that sends to it: that one
        sends this answer too.

        If a caller reads slowly, `finish` is given the task of sending the rest; without `finish` such a caller loses
        the connection.
        """
        self._unsent.append(data)
        try:
            is_sent = self._send_at_hand()
        except OSError:
            self.hang_up()
            return
        if is_sent:
            return
        if finish is None:
            self.hang_up()
        else:
            finish(self._finish)

    def _send_at_hand(self) -> bool:
        """Sends what goes out at once; returns whether nothing is left, but to another thread that sends just now."""
        while self._unsent and self._sending.acquire(blocking=False):
            try:
                if not self._send_first():
                    return False
            finally:
                self._sending.release()
        return True

    def _finish(self) -> None:
        try:
            self._send_all()
        except errors.CommunicationError:
            self.hang_up()

    # -- the end -------------------------------------------------------------------------------------------

    def hang_up(self) -> None:
        """Ends the connection for the other side; whoever reads from it here hears of it."""
        self.is_ending = True
        with contextlib.suppress(OSError):
            # That of an SSLSocket would also forget that it speaks TLS, while another thread may be reading from it.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def close_now(self) -> None:
        """Ends the connection, and lets go of it once no other thread is using it."""
        self.hang_up()
        with self._sending, self._using:
            self.sock.close()


class LaterAnswer:
    """The answer that one call will get, once and from any thread, without a thread that waits for it.

    `finish` is for callers that read slowly; see `ServedConnection.send_at_once`.
    """

    __slots__ = ("_finish", "_seq", "connection")

    may_wait = False

    def __init__(self, connection: ServedConnection, seq: int, finish: Finish) -> None:
        self.connection = connection
        self._seq = seq
        self._finish = finish
        connection.owed = True

    def give(self, answer: object) -> None:
        """Answers the call."""
        self._send(0, pack(answer))

    def fail(self, error: WireError | ServerFault) -> None:
        """Answers the call with an error."""
        self._send(protocol.FLAGS_EXCEPTION, pack(error_form(error)))

    def _send(self, flags: int, packed: bytes) -> None:
        self.connection.owed = False  # This comes first, for the next call may come at once.
        self.connection.send_at_once(message(ANSWER, flags, self._seq, packed), self._finish)


class AwaitedAnswer:
    """The answer that one call will get, once and from any thread, and that the thread which serves it waits for."""

    __slots__ = ("_answer", "_error", "_given", "connection")

    may_wait = True

    def __init__(self, connection: ServedConnection | None) -> None:
        self.connection = connection
        self._given = WakeUp()
        self._answer: object = None
        self._error: WireError | None = None

    def give(self, answer: object) -> None:
        """Answers the call."""
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
