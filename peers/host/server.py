"""A `Server` that serves one object through Pyro5.

It never unpickles and never loads marshal data, takes no message larger than `MAX_MESSAGE`, compressed, oneway, or in
any other way that costs it more than the caller. A connection may be idle for as long as it likes; one that stops in
the middle of a message is closed after `STALLED_S`.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from Pyro5 import errors, protocol, serializers
from Pyro5.callcontext import current_context
from Pyro5.server import Daemon
from Pyro5.socketutil import SocketConnection

from peers.errors import SettingsError, WireError
from peers.host.tls import check_member
from peers.host.transport import ANSWER, HEADER, MSGPACK, configure, message, pack

_MARSHAL_ID = serializers.MarshalSerializer.serializer_id
_REFUSED_FLAGS = protocol.FLAGS_COMPRESSED | protocol.FLAGS_ONEWAY | protocol.FLAGS_KEEPSERIALIZED
_CHUNK = 64 * 1024
_NOWHERE = ("", "0.0.0.0", "::")
_calls = msgspec.msgpack.Decoder(tuple[str, str, list[Any], dict[str, Any]])


class Connection(SocketConnection):  # type: ignore[misc]
    """A caller's connection as the server sees it. `rank` is that of the neighbour it has turned out to come from."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock, keep_open=True)  # Pyro closes the one it made
        self.rank: int | None = None
        self.greeted = False
        self.owed = False  # an answer that will be sent later
        self._sending = threading.Lock()
        self._read = bytearray()
        self._part = 0  # of a message, that comes next: tag and version, rest of the header, payload

    def recv(self, size: int) -> bytes:
        """Gives the next part of a message. Reads ahead: the three mostly come in one packet."""
        read, part = self._read, self._part
        self._part = (part + 1) % 3
        while len(read) < size:
            try:
                chunk = self.sock.recv(_CHUNK)
            except TimeoutError as error:
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

    def put_back(self, message: bytes) -> None:
        """Has a message read again from its beginning."""
        self._read[:0] = message
        self._part = 0

    def send(self, data: bytes) -> None:
        """Sends an answer; answers of several threads never mix."""
        with self._sending:
            super().send(data)

    def send_at_once(self, data: bytes) -> None:
        """Sends an answer without ever waiting: a caller that does not read its answers loses the connection."""
        with self._sending:
            try:
                sent = self.sock.send(data, socket.MSG_DONTWAIT)
            except OSError:
                sent = -1
            if sent != len(data):
                with contextlib.suppress(OSError):
                    self.sock.shutdown(socket.SHUT_RDWR)


class Later:
    """The answer that one call will get, once and from any thread."""

    __slots__ = ("_seq", "connection")

    def __init__(self, connection: Connection, seq: int) -> None:
        self.connection = connection
        self._seq = seq
        connection.owed = True

    def give(self, answer: object, *, waits: bool = False) -> None:
        """Answers the call. `waits`: on the caller's own thread, which may wait for a caller that reads slowly."""
        self._send(0, pack(answer), waits=waits)

    def fail(self, error: WireError) -> None:
        """Answers the call with one of the errors of the contract."""
        self._send(protocol.FLAGS_EXCEPTION, MSGPACK.dumps(error), waits=False)

    def _send(self, flags: int, packed: bytes, *, waits: bool) -> None:
        connection = self.connection
        connection.owed = False  # first, for its next call may come at once
        data = message(ANSWER, flags, self._seq, packed)
        if waits:
            connection.send(data)
        else:
            connection.send_at_once(data)


AnswerLater = Callable[[Later, tuple[Any, ...], dict[str, Any]], None]


class _Daemon(Daemon):  # type: ignore[misc]
    """Pyro's daemon, seeing its callers through `Connection`. `later`: methods that are answered later, by name."""

    def __init__(
        self, host: str, port: int, on_hangup: Callable[[Connection], None] | None, later: Mapping[str, AnswerLater]
    ) -> None:
        self._later = later
        self._connections: dict[SocketConnection, Connection] = {}
        self._on_hangup = on_hangup
        super().__init__(host, port)
        # It only looks after streams, which we have not; and every peer would have a thread for it.
        self.transportServer.housekeeper.stop.set()

    def validateHandshake(self, conn: Connection, data: Any) -> str:  # noqa: N802, ARG002 - Pyro's name and arguments
        check_member(conn)
        return "welcome"

    def _handshake(self, conn: SocketConnection, denied_reason: str | None = None) -> bool:
        connection = Connection(conn.sock)
        if denied_reason is not None:
            conn.timeout = 0.2  # this is the thread that accepts all others
        greeted: bool = super()._handshake(connection, denied_reason)
        if greeted:
            connection.greeted = True
            self._connections[conn] = connection
        return greeted

    def handleRequest(self, conn: SocketConnection) -> None:  # noqa: N802 - Pyro's name
        connection = self._connections[conn]
        head = connection.recv(6) + connection.recv(HEADER.size - 6)
        read = _read_plain(connection, head) if self._later and not connection.owed else None
        if read is None or not self._answer_later(connection, *read):
            connection.put_back(head if read is None else head + read[1])
            super().handleRequest(connection)

    def _answer_later(self, connection: Connection, message: protocol.ReceivingMessage, payload: bytes) -> bool:
        """Takes a call in that need not be waited for; returns whether it is one."""
        try:
            target, method, arguments, named = _calls.decode(payload)
        except msgspec.MsgspecError:
            return False  # Pyro says what is wrong with it
        handler = self._later.get(method)
        if handler is None or target not in self.objectsById:
            return False
        handler(Later(connection, message.seq), tuple(arguments), named)
        return True

    def clientDisconnect(self, conn: SocketConnection) -> None:  # noqa: N802 - Pyro's name
        connection = self._connections.pop(conn, None)
        if connection is not None and self._on_hangup is not None:
            self._on_hangup(connection)

    def hang_up(self) -> None:
        """Ends all connections: their threads end by themselves."""
        for conn in list(self._connections):
            with contextlib.suppress(OSError):
                conn.sock.shutdown(socket.SHUT_RDWR)


def _read_plain(connection: Connection, head: bytes) -> tuple[protocol.ReceivingMessage, bytes] | None:
    """Reads the rest of a message, if it is a call in msgpack and nothing more; Pyro knows about all others."""
    if isinstance(connection.sock, ssl.SSLSocket):
        return None  # cannot be written to without waiting
    protocol.ReceivingMessage.validate(head)
    message = protocol.ReceivingMessage(head)
    plain = message.type == protocol.MSG_INVOKE and message.serializer_id == MSGPACK.serializer_id
    if not plain or message.flags or message.annotations_size:
        return None
    return message, connection.recv(message.data_size)


class Server:
    """Serves `target` under `name` at `host`, at a port of its own. `on_hangup` hears of connections that end.

    `later`: methods whose answer is given later, from any thread, so that none need wait for it. They are called for
    plain calls only; the method of that name of `target` must do the same for all others.
    """

    def __init__(
        self,
        host: str,
        target: object,
        name: str,
        *,
        on_hangup: Callable[[Connection], None] | None = None,
        later: Mapping[str, AnswerLater] | None = None,
    ) -> None:
        if host in _NOWHERE:
            raise SettingsError(f"{host or 'no address'!r} is no address that others could call")
        configure()
        self._daemon = _Daemon(host, 0, on_hangup, later or {})
        self.uri = str(self._daemon.register(target, name))
        self._thread = threading.Thread(target=self._daemon.requestLoop, name="accept", daemon=True)

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def stop_listening(self) -> None:
        """Takes no new connections: whoever tries is refused."""
        transport = self._daemon.transportServer
        if transport is None or transport.shutting_down:
            return
        transport.shutting_down = True
        if self._thread.ident is not None:
            transport.wakeup()
            self._thread.join()
        transport.sock.close()

    def close(self) -> None:
        """Stops listening and ends all connections."""
        self.stop_listening()
        self._daemon.hang_up()
        self._daemon.close()


def caller() -> Connection | None:
    """The connection of the call that this thread is answering."""
    connection = current_context.client
    return connection if isinstance(connection, Connection) else None
