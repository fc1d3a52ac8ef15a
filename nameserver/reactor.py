"""Serves the callers of a Pyro5 daemon from one thread, in which nobody can keep the others waiting.

Pyro's own servers either greet a caller in the thread that accepts all the others, or give every connection a thread
before it has said a word. Here a message is handed to Pyro once all of it has come, and an answer is kept until it
has gone out; so a caller that says nothing, stops in the middle, or does not read costs a socket and some memory,
and that for a short time only.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import ssl
import time

from Pyro5 import errors, protocol
from Pyro5.server import Daemon
from Pyro5.socketutil import SocketConnection

from peers.rpc.forms.public_errors import log_fault
from peers.rpc.security.identity import Identity
from peers.rpc.security.tls import HANDSHAKE_S
from peers.rpc.serving.listening import MOST_UNGREETED, Listening, most_connections
from peers.rpc.serving.refusal import TooLarge
from peers.rpc.transport import HEADER, MAGIC, PROTOCOL, SERIALIZER_AT, STALLED_S, TAKEN, largest_taken

# Compressed ones may be of any size once they are read, oneway calls have a thread each, and in a batch each call may
# ask for all that there is.
_REFUSED_FLAGS = (
    protocol.FLAGS_COMPRESSED | protocol.FLAGS_ONEWAY | protocol.FLAGS_KEEPSERIALIZED | protocol.FLAGS_BATCH
)
# No settings: they bound what strangers may cost, at hundreds of times what the members of a town need.
_CHUNK = 64 * 1024
_MOST_CONNECTIONS = 2000
"""At most so many connections in all, and no more than half of the files that the process may open."""

_log = logging.getLogger(__name__)


class _Connection(SocketConnection):  # type: ignore[misc]
    """One caller. Pyro reads from what has come already, and sends to what is still to go out."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        sock.setblocking(False)
        self.greeted = False
        # Whom the caller's certificate names, once it is greeted; None without TLS.
        self.identity: Identity | None = None
        # When it is closed unless it goes on, in monotonic seconds; None while nothing is due from it.
        self.deadline_s: float | None = time.monotonic() + HANDSHAKE_S
        # What the selector is to wait for before the next step.
        self.waits_for = selectors.EVENT_READ
        # Whether the TLS handshake is done, or none is needed.
        self._secured = not isinstance(sock, ssl.SSLSocket)
        # What has come and Pyro has not taken yet.
        self._read = bytearray()
        # A message that is too large, while it runs through.
        self._refused: TooLarge | None = None
        # What of the answers has not gone out yet.
        self._unsent = bytearray()

    # -- for Pyro ------------------------------------------------------------------------------------------

    def recv(self, size: int) -> bytes:
        """Gives the next part of a message; ConnectionClosedError if it was announced shorter than it is."""
        if len(self._read) < size:
            raise errors.ConnectionClosedError("receiving: not enough data")
        taken = bytes(self._read[:size])
        del self._read[:size]
        return taken

    def send(self, data: bytes) -> None:
        """Sends an answer, as much of it as goes out at once."""
        self._unsent += data
        self.flush()

    # -- for the reactor -----------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether it has been closed."""
        return int(self.sock.fileno()) < 0

    @property
    def has_unsent(self) -> bool:
        """Whether something of an answer is still to go out."""
        return bool(self._unsent)

    @property
    def is_midway(self) -> bool:
        """Whether a message has begun to come, or an answer to go out."""
        return bool(self._read or self._unsent or self._refused)

    def has_message(self) -> bool:
        """Whether all of a message has come; ProtocolError if what has come is none that could be taken."""
        if self._refused is not None:
            return self._let_run_through(self._refused)
        if not self._read.startswith(PROTOCOL[: len(self._read)]):
            raise errors.ProtocolError("another protocol, or another version of it")
        if len(self._read) < HEADER.size:
            return False
        start, flags, seq, size, notes, magic = HEADER.unpack_from(self._read)
        if magic != MAGIC:
            raise errors.ProtocolError("no message")
        if flags & _REFUSED_FLAGS or start[SERIALIZER_AT] not in TAKEN:
            raise errors.ProtocolError("compressed, oneway, pre-serialized and batched messages are not taken")
        most = largest_taken(start[SERIALIZER_AT], greeted=self.greeted)
        if size + notes > most:
            if not self.greeted:
                raise errors.ProtocolError("too large a greeting")
            del self._read[: HEADER.size]
            self._refused = TooLarge(start, seq, size + notes, most)
            self.send(self._refused.answer())
            return self._let_run_through(self._refused)
        return len(self._read) >= HEADER.size + int(size) + int(notes)

    def _let_run_through(self, refused: TooLarge) -> bool:
        """Drops what has come of a message that is too large: no message has come. ConnectionClosedError once it is
        through."""
        refused.drop_from(self._read)
        if refused.is_through:
            raise errors.ConnectionClosedError("too large a message")
        return False

    def shake_hands(self) -> bool:
        """Whether the two speak TLS with each other by now, if they have to; OSError if they never will."""
        if not self._secured:
            assert isinstance(self.sock, ssl.SSLSocket)
            try:
                self.sock.do_handshake()
            except ssl.SSLWantReadError:
                return False
            except ssl.SSLWantWriteError:
                self.waits_for = selectors.EVENT_WRITE
                return False
            self._secured = True
        return True

    def flush(self) -> None:
        """Sends what goes out without waiting; OSError if nothing ever will."""
        while self._unsent:
            try:
                sent = self.sock.send(self._unsent)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            del self._unsent[:sent]

    def read_at_hand(self) -> None:
        """Reads what has come; OSError or ConnectionClosedError if that is the end."""
        while True:
            try:
                chunk = self.sock.recv(_CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            if not chunk:
                raise errors.ConnectionClosedError("receiving: closed")
            self._read += chunk
            # The selector does not tell of what TLS has taken in already, so it is read now.
            if not (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()):
                return


class DaemonReactor:
    """Serves the callers of `daemon`, a multiplexing one, whose own loop is never entered."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._selector = selectors.DefaultSelector()
        self._listening = Listening(daemon.sock, self._selector)
        # The connections that have a deadline, in the order in which these were set.
        self._timed: dict[_Connection, None] = {}
        # The connections that have been greeted, in the order in which something came from them last.
        self._greeted: dict[_Connection, None] = {}
        self._most = most_connections(_MOST_CONNECTIONS)
        self._ended = False
        self._heard, self._caller = socket.socketpair()
        self._selector.register(self._heard, selectors.EVENT_READ)

    def run(self) -> None:
        """Serves until `end`, and lets go of everybody then."""
        while not self._ended:
            for key, _events in self._selector.select(self._patience_s()):
                if isinstance(key.data, _Connection):
                    if not key.data.is_over:  # It may have been closed since the selector looked.
                        self._advance(key.data)
                elif self._listening.is_at(key.fileobj):
                    self._accept()
            self._keep_time()
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, _Connection):
                key.data.close()
        self._selector.close()
        self._heard.close()
        self._caller.close()

    def end(self) -> None:
        """Has `run` return. From a signal handler, or any thread."""
        self._ended = True
        with contextlib.suppress(OSError):  # `run` may have returned already.
            self._caller.send(b".")

    # -- new callers ---------------------------------------------------------------------------------------

    def _accept(self) -> None:
        for accepted in self._listening.callers(self._on_no_socket):
            try:
                connection = _Connection(self._listening.secured(accepted))
            except OSError:
                accepted.close()  # The caller has gone again.
                continue
            self._timed[connection] = None
            self._selector.register(connection.sock, selectors.EVENT_READ, connection)
            if len(self._timed) > min(MOST_UNGREETED, self._most // 2):
                self._send_away_the_oldest()
            if len(self._greeted) > self._most:
                self._end(next(iter(self._greeted)))

    def _on_no_socket(self, error: OSError) -> None:
        _log.warning("no more connections can be taken: %s", error)
        if not self._send_away_the_oldest():
            self._listening.go_deaf()

    def _send_away_the_oldest(self) -> bool:
        """Makes room at the cost of who has taken longest to say who it is; False if there is nobody like that."""
        oldest = next((connection for connection in self._timed if not connection.greeted), None)
        if oldest is None:
            return False
        self._end(oldest)
        return True

    # -- those who are there -------------------------------------------------------------------------------

    def _advance(self, connection: _Connection) -> None:
        """Does for a connection all that can be done without waiting."""
        try:
            connection.waits_for = selectors.EVENT_READ
            if connection in self._greeted:
                self._greeted[connection] = self._greeted.pop(connection)
            if connection.shake_hands():
                connection.flush()
                if not connection.has_unsent:
                    connection.read_at_hand()
                self._answer(connection)
        except (OSError, errors.CommunicationError, errors.SecurityError):
            self._end(connection)
        except Exception as error:  # noqa: BLE001 - It concerns one caller, and all others must be served.
            log_fault("the name server", error)
            self._end(connection)
        else:
            self._set_deadline(connection)
            self._selector.modify(connection.sock, connection.waits_for, connection)

    def _answer(self, connection: _Connection) -> None:
        # Whoever does not read its answers is asked for nothing more.
        while connection.has_message() and not connection.has_unsent:
            if connection.greeted:
                self._daemon.handleRequest(connection)
            elif self._daemon._handshake(connection):
                connection.greeted = True
                self._greeted[connection] = None
            else:
                raise errors.ConnectionClosedError("not greeted")
            self._forgive(connection)
        if connection.has_unsent:
            connection.waits_for = selectors.EVENT_WRITE

    def _end(self, connection: _Connection) -> None:
        self._forgive(connection)
        self._greeted.pop(connection, None)
        self._selector.unregister(connection.sock)
        if connection.greeted:
            self._daemon._clientDisconnect(connection)
        connection.close()

    # -- time ----------------------------------------------------------------------------------------------

    def _set_deadline(self, connection: _Connection) -> None:
        if not connection.greeted:
            return  # It keeps the deadline that it came with.
        if not connection.is_midway:
            self._forgive(connection)
        elif connection.deadline_s is None:
            connection.deadline_s = time.monotonic() + STALLED_S
            self._timed[connection] = None

    def _forgive(self, connection: _Connection) -> None:
        connection.deadline_s = None
        self._timed.pop(connection, None)

    def _patience_s(self) -> float | None:
        due = [connection.deadline_s for connection in self._timed if connection.deadline_s is not None]
        if self._listening.deaf_until_s is not None:
            due.append(self._listening.deaf_until_s)
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _keep_time(self) -> None:
        now_s = time.monotonic()
        for connection in list(self._timed):
            if connection.deadline_s is not None and connection.deadline_s <= now_s:
                self._end(connection)
        self._listening.keep_time(now_s)
