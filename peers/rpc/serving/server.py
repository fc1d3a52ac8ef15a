"""A `Server` that serves one object through Pyro5.

It never unpickles and never loads marshal data, takes no message larger than `MAX_MESSAGE`, compressed, oneway, or in
any other way that costs it more than the caller. A connection may be idle for as long as it likes once it has been
greeted (`door`), unless there are more than the process can have; one that does not greet is closed after
`HANDSHAKE_S`, one that stops in the middle of a message, or of reading an answer, after `STALLED_S`.

A connection has a thread only while there is something to do that may take long. Until then all are watched together,
over TLS too, and what can be answered without waiting is (`handlers`).
"""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
from Pyro5 import errors
from Pyro5.callcontext import current_context
from Pyro5.server import Daemon
from Pyro5.svr_threads import PoolError

from peers.errors import SettingsError, WireError
from peers.rpc.forms.public_errors import ServerFault, log_fault, raise_as_fault
from peers.rpc.security.identity import Identity
from peers.rpc.security.tls import check_member
from peers.rpc.serving.batches import answer_batch
from peers.rpc.serving.door import Door
from peers.rpc.serving.listening import most_connections
from peers.rpc.serving.reactor import Afterwards, Reactor
from peers.rpc.serving.served_connection import AwaitedAnswer, CallAnswer, LaterAnswer, ServedConnection
from peers.rpc.transport import MOST_CONNECTIONS, STALLED_S, configure

_NOWHERE = ("", "0.0.0.0", "::")
_calls = msgspec.msgpack.Decoder(tuple[str, str, list[Any], dict[str, Any]])
_log = logging.getLogger(__name__)


class MayWait(Exception):
    """Raised by a handler for a call that is better answered by a thread of its own."""


CallHandler = Callable[[CallAnswer, tuple[Any, ...], dict[str, Any]], Afterwards | None]
"""Takes in a call and answers it now or later, from any thread. Returns what else is to be done for it and may take
long. Raises WireError where that is the answer. Where the answer says that it must not wait, it does not, and may
raise MayWait before it has done anything."""

OnHangup = Callable[[ServedConnection], None]


class _Daemon(Daemon):  # type: ignore[misc]
    """Pyro's daemon, which sees its callers through `ServedConnection`.

    `handlers` are those of the methods that can be answered without a thread, by name.
    """

    def __init__(
        self,
        host: str,
        port: int,
        on_hangup: OnHangup | None,
        handlers: Mapping[str, CallHandler],
        advertised: str | None,
    ) -> None:
        self._handlers = handlers
        self._on_hangup = on_hangup
        # The connections that the reactor watches, or that a thread serves for the moment.
        self._watched: set[ServedConnection] = set()
        self._most = most_connections(MOST_CONNECTIONS)
        # Those of which a part of a message has come, and when they are ended if the rest has not.
        self._midway: dict[ServedConnection, float] = {}
        self._employing = threading.Lock()
        # Port 0 of the outside means: the same as here.
        super().__init__(host, port, nathost=advertised, natport=None if advertised is None else 0)
        # The housekeeper only looks after streams, which are not used here; it would cost every peer a thread.
        self.transportServer.housekeeper.stop.set()
        self.methodcall_error_handler = raise_as_fault
        self._reactor = Reactor()
        listener = self.transportServer.sock
        self._door = Door(listener, self._most, self._greet, self._let_in, self._make_room, self._end_stalled)

    def take_callers(self) -> None:
        """Takes callers until the door is closed; in place of Pyro's own loop, which nobody enters."""
        self._door.run()

    # -- at the door ---------------------------------------------------------------------------------------

    def validateHandshake(self, conn: ServedConnection, data: Any) -> str:  # noqa: N802, ARG002 - Pyro's.
        conn.identity = check_member(conn)
        return "welcome"

    def _greet(self, connection: ServedConnection) -> bool:
        return bool(self._handshake(connection))

    def _let_in(self, connection: ServedConnection) -> None:
        self._watched.add(connection)
        try:
            self._go_on(connection)
        except errors.CommunicationError:
            self._end(connection)

    def _make_room(self) -> bool:
        """Has room for one more caller, if need be at the cost of the stranger that has said nothing for longest."""
        if len(self._watched) < self._most:
            return True
        here = [each for each in list(self._watched) if not each.is_ending]
        if len(here) < self._most:
            return True
        # Whoever has stopped in the middle of a message waits for nothing, any more than who has said nothing.
        idle = [each for each in here if not each.owed and (each in self._midway or not each.has_read_ahead)]
        strangers = [each for each in idle if each.rank is None]
        if not strangers:
            return False
        min(strangers, key=lambda each: each.heard_s).hang_up()
        return True

    def _end_stalled(self) -> float | None:
        """Ends those that have stopped in the middle of a message; returns when the next one is due."""
        now_s = time.monotonic()
        for connection, due_s in list(self._midway.items()):
            if due_s <= now_s:
                self._midway.pop(connection, None)
                connection.hang_up()
        return min(list(self._midway.values()), default=None)

    # -- what the reactor calls ----------------------------------------------------------------------------

    def _on_readable(self, connection: ServedConnection) -> Afterwards | None:
        """Takes in what has come; returns what is to be done afterwards."""
        try:
            connection.read_at_hand()
            return self._take_in(connection)
        except errors.CommunicationError:
            pass  # It is over, or what has come is nothing that is taken.
        except MemoryError:
            raise  # It concerns them all: what was half done stays so.
        except Exception:  # noqa: BLE001 - It concerns one call, and the watch must go on for all others.
            _log.exception("a call could not be taken in")
        self._reactor.remove(connection.sock)
        self._end(connection)
        return None

    def _take_in(self, connection: ServedConnection) -> Afterwards | None:
        """Answers what it can, leaves to a thread what may take long, and waits for the rest of what is not whole."""
        tasks: list[Afterwards] = []
        # Whoever does not read its answers is answered further by a thread, which waits for that.
        while not (connection.owed or connection.has_unsent) and (call := connection.plain_call()) is not None:
            try:
                task = self._answer_without_thread(connection, *call)
            except MayWait:
                break
            connection.drop_call(call[1])
            if task is not None:
                tasks.append(task)
        if connection.has_read_ahead:
            self._employ_or_wait(connection)
        elif self._midway:
            self._midway.pop(connection, None)
        return partial(_all, tasks) if tasks else None

    def _employ_or_wait(self, connection: ServedConnection) -> None:
        if connection.has_message():
            self._midway.pop(connection, None)
            self._reactor.remove(connection.sock)
            self._employ(connection)
        else:
            self._expect_the_rest(connection)

    def _expect_the_rest(self, connection: ServedConnection) -> None:
        """Gives a caller a while for the rest of a message of which a part has come."""
        if connection not in self._midway:
            self._midway[connection] = time.monotonic() + STALLED_S
            self._door.look_again()

    def _answer_without_thread(self, connection: ServedConnection, seq: int, payload: bytearray) -> Afterwards | None:
        try:
            target, method, arguments, named = _calls.decode(payload)
        except msgspec.MsgspecError:
            raise MayWait from None  # Pyro, on a thread, finds out what is wrong with it and says so.
        handler = self._handlers.get(method)
        if handler is None or target not in self.objectsById:
            raise MayWait
        answer = LaterAnswer(connection, seq, partial(self._finish, connection))
        try:
            return handler(answer, tuple(arguments), named)
        except WireError as error:
            answer.fail(error)
        except MayWait:
            connection.owed = False
            raise
        except MemoryError:
            raise
        except Exception as error:
            if not connection.owed:
                raise  # The call has been answered; whoever watches writes down what happened afterwards.
            log_fault(method, error)
            answer.fail(ServerFault(error))
        return None

    # -- what may take long --------------------------------------------------------------------------------

    def _employ(self, connection: ServedConnection) -> None:
        """Has a thread serve a connection, which ends if there is none left."""
        if not self._has_done(partial(self._serve, connection)):
            self._end(connection)

    def _finish(self, connection: ServedConnection, task: Afterwards) -> None:
        """Has a thread send the rest of an answer."""
        if not self._has_done(task):
            connection.hang_up()  # The watch sees that, and ends the connection.

    def _has_done(self, task: Afterwards) -> bool:
        """Has a thread do it, and returns whether there was one: Pyro's pool is for one thread that gives it work."""
        with self._employing:
            try:
                self.transportServer.pool.process(task)
            except (PoolError, RuntimeError):  # The latter is raised where the machine has no more threads.
                return False
        return True

    def _serve(self, connection: ServedConnection) -> None:
        """Has Pyro answer what has come, and the connection watched again."""
        served = False
        try:
            if connection.has_batch():
                answer_batch(self, connection)
            else:
                super().handleRequest(connection)
            self._go_on(connection)
            served = True
        except (OSError, errors.CommunicationError, errors.SecurityError):
            pass  # The connection ends: its caller closed it, stalled, or sent what is not taken.
        finally:
            if not served:
                self._end(connection)

    def _go_on(self, connection: ServedConnection) -> None:
        """Serves what has come meanwhile, or watches; ProtocolError if that is nothing that is taken."""
        if connection.has_read_ahead and connection.has_message():
            self._employ(connection)
            return
        # What came in one piece with the message before it may be a part of one, and nothing else may ever come.
        if connection.has_read_ahead:
            self._expect_the_rest(connection)
        self._reactor.add(connection.sock, partial(self._on_readable, connection))

    # -- the end -------------------------------------------------------------------------------------------

    def _end(self, connection: ServedConnection) -> None:
        """Ends a connection that is not being watched."""
        self._midway.pop(connection, None)
        connection.close_now()
        if connection in self._watched:
            self._watched.discard(connection)
            self._tell_hangup(connection)

    def _tell_hangup(self, connection: ServedConnection) -> None:
        if self._on_hangup is not None:
            self._on_hangup(connection)

    def connections(self) -> list[ServedConnection]:
        """Returns all connections that there are now."""
        return list(self._watched)

    def hang_up(self) -> None:
        """Ends all connections."""
        for connection in self.connections():
            connection.hang_up()

    def stop_taking_callers(self) -> None:
        """Has `take_callers` return."""
        self._door.end()

    def close(self) -> None:
        """Ends all connections and the watch over them; `take_callers` must have returned."""
        self._door.close()
        self._reactor.close()
        for connection in list(self._watched):
            self._end(connection)
        super().close()


def _all(tasks: list[Afterwards]) -> None:
    for task in tasks:
        task()


class Server:
    """Serves `target` under `name` at `host`, at the first free one of `ports` or at any port where none are given.
    `on_hangup` hears of connections that end. `advertised`: the address others call, where that is not `host`.

    `handlers` are those of the methods that need no thread, by name. They get plain calls only; for all others Pyro
    calls the method of that name of `target`, which is to have the same handler do it (`served_on_thread`).
    """

    def __init__(
        self,
        host: str,
        target: object,
        name: str,
        *,
        on_hangup: Callable[[ServedConnection], None] | None = None,
        handlers: Mapping[str, CallHandler] | None = None,
        advertised: str | None = None,
        ports: tuple[int, int] | None = None,
    ) -> None:
        if (advertised or host) in _NOWHERE:
            raise SettingsError(f"{host or 'no address'!r} is no address that others could call")
        configure()
        outside = None if advertised == host else advertised
        self._daemon = _first_free(ports, lambda port: _Daemon(host, port, on_hangup, handlers or {}, outside))
        self.uri = str(self._daemon.register(target, name))
        self._thread = threading.Thread(target=self._daemon.take_callers, name="accept", daemon=True)

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def connections(self) -> list[ServedConnection]:
        """Returns all connections that there are now."""
        return self._daemon.connections()

    def stop_listening(self) -> None:
        """Takes no new connections: whoever tries is refused."""
        transport = self._daemon.transportServer
        if transport is None or transport.shutting_down:
            return
        transport.shutting_down = True
        self._daemon.stop_taking_callers()
        if self._thread.ident is not None:
            self._thread.join()
        transport.sock.close()

    def close(self) -> None:
        """Stops listening and ends all connections."""
        self.stop_listening()
        self._daemon.hang_up()
        self._daemon.close()


def _first_free(ports: tuple[int, int] | None, make: Callable[[int], _Daemon]) -> _Daemon:
    """Makes the daemon at the first port of these that nobody has: trying is the only way to know."""
    first, last = ports or (0, 0)
    for port in range(first, last + 1):
        try:
            return make(port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not ports:
                raise
    raise SettingsError(f"all ports from {first} to {last} are taken here: give more of them with --peer-ports")


def caller() -> ServedConnection | None:
    """Returns the connection of the call that this thread is answering, None if it answers none."""
    connection = current_context.client
    return connection if isinstance(connection, ServedConnection) else None


def caller_identity() -> Identity | None:
    """Returns whom the certificate of the caller names that this thread is answering; None without TLS."""
    connection = caller()
    return None if connection is None else connection.identity


def served_on_thread(handler: CallHandler, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """Has a handler take in the call that this thread is answering; returns the answer, or raises WireError."""
    answer = AwaitedAnswer(caller())
    afterwards = handler(answer, arguments, named)
    if afterwards is not None:
        afterwards()
    return answer.wait()
