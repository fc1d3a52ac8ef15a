"""Where callers come in: one thread takes all connections, and no caller can keep another waiting.

Each shakes hands, where TLS is spoken, and greets within a few seconds, or is sent away; until then it costs a socket
and no thread. Whoever has greeted is handed on, and the door is not concerned with it any more.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import time
from collections.abc import Callable

from Pyro5 import errors

from peers.rpc.security.tls import HANDSHAKE_S
from peers.rpc.serving.listening import MOST_UNGREETED, Listening
from peers.rpc.serving.served_connection import ServedConnection

_log = logging.getLogger(__name__)

Greet = Callable[[ServedConnection], bool]
"""Answers a greeting that has come; returns whether the caller may stay."""


class Door:
    """Takes the callers of `listener`, a TLS socket where TLS is spoken; `most` may be there at a time.

    `greet` must not wait; `let_in` gets those that it lets stay. `make_room` is called before one more is taken, and
    returns whether there is room for it. `look_after` is called after each look, and returns when it is to be called
    again, in monotonic seconds; None where that does not matter.
    """

    def __init__(
        self,
        listener: socket.socket,
        most: int,
        greet: Greet,
        let_in: Callable[[ServedConnection], None],
        make_room: Callable[[], bool],
        look_after: Callable[[], float | None],
    ) -> None:
        self._greet = greet
        self._let_in = let_in
        self._make_room = make_room
        self._look_after = look_after
        self._selector = selectors.DefaultSelector()
        self._listening = Listening(listener, self._selector)
        # Those that have not greeted yet, in the order in which they came, and when each is sent away.
        self._ungreeted: dict[ServedConnection, float] = {}
        self._most_ungreeted = min(MOST_UNGREETED, most // 2)
        self._ended = False
        self._heard, self._caller = socket.socketpair()
        self._selector.register(self._heard, selectors.EVENT_READ)

    def run(self) -> None:
        """Takes callers until `end`."""
        while not self._ended:
            for key, _events in self._selector.select(self._patience_s()):
                if isinstance(key.data, ServedConnection):
                    self._advance(key.data)
                elif self._listening.is_at(key.fileobj):
                    self._accept()
                else:
                    self._heard.recv(100)
            self._keep_time()

    def end(self) -> None:
        """Has `run` return. From any thread."""
        self._ended = True
        self.look_again()

    def look_again(self) -> None:
        """Has `look_after` called. From any thread."""
        with contextlib.suppress(OSError):  # It may have ended already.
            self._caller.send(b".")

    def close(self) -> None:
        """Lets go of everybody who has not greeted; `run` must have returned, or never been called."""
        for connection in list(self._ungreeted):
            self._send_away(connection)
        for each in (self._selector, self._heard, self._caller):
            each.close()

    # -- who comes -----------------------------------------------------------------------------------------

    def _accept(self) -> None:
        for accepted in self._listening.callers(self._on_no_socket):
            if not self._make_room():
                accepted.close()
                continue
            try:
                connection = ServedConnection(self._listening.secured(accepted))
            except (OSError, ValueError):
                accepted.close()  # The caller has gone again.
                continue
            self._ungreeted[connection] = time.monotonic() + HANDSHAKE_S
            self._selector.register(connection.sock, selectors.EVENT_READ, connection)
            if len(self._ungreeted) > self._most_ungreeted:
                self._send_away(next(iter(self._ungreeted)))

    def _on_no_socket(self, error: OSError) -> None:
        """Makes room at the cost of who has taken longest to say who it is, or takes nobody for a moment."""
        if self._ungreeted:
            self._send_away(next(iter(self._ungreeted)))
            return
        if self._listening.deaf_until_s is None:
            _log.warning("no more connections can be taken: %s", error)
        self._listening.go_deaf()

    # -- who has come --------------------------------------------------------------------------------------

    def _advance(self, connection: ServedConnection) -> None:
        """Does for a caller all that can be done without waiting."""
        if connection not in self._ungreeted:
            return  # It has been sent away since the selector looked.
        try:
            waits_for = connection.shake_hands()
            if waits_for is not None:
                self._selector.modify(connection.sock, waits_for, connection)
                return
            if connection.is_new_to_tls:
                connection.is_new_to_tls = False
                self._ungreeted[connection] = time.monotonic() + HANDSHAKE_S
                self._selector.modify(connection.sock, selectors.EVENT_READ, connection)
            connection.read_at_hand()
            if not connection.has_message():
                return
            connection.greeted = self._greet(connection)
        except (OSError, errors.PyroError):
            connection.greeted = False
        except MemoryError:
            raise  # It concerns them all.
        except Exception as error:  # noqa: BLE001 - It concerns one caller, and all others must be let in.
            _log.warning("a greeting could not be answered: %s", type(error).__name__)
            connection.greeted = False
        if not connection.greeted:
            self._send_away(connection)
            return
        del self._ungreeted[connection]
        self._selector.unregister(connection.sock)
        self._let_in(connection)

    def _send_away(self, connection: ServedConnection) -> None:
        del self._ungreeted[connection]
        self._selector.unregister(connection.sock)
        connection.close_now()

    # -- time ----------------------------------------------------------------------------------------------

    def _patience_s(self) -> float | None:
        due = list(self._ungreeted.values())
        due += [each for each in (self._listening.deaf_until_s, self._look_after()) if each is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _keep_time(self) -> None:
        now_s = time.monotonic()
        for connection in [each for each, due_s in self._ungreeted.items() if due_s <= now_s]:
            self._send_away(connection)
        self._listening.keep_time(now_s)
