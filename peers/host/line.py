"""A `Line` calls one object through Pyro5.

It belongs to the thread that calls; only `cut` may come from another. Whatever goes wrong is a `CallFailed` (see
there), or one of the errors of the contract, with its fields.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from Pyro5 import errors, protocol
from Pyro5.client import Proxy

from peers.errors import BazaarError, WireError
from peers.host.transport import MSGPACK, configure


class CallFailed(BazaarError):
    """A remote call was not answered. Unless a subclass says so, nobody knows whether it ran."""


class Refused(CallFailed):
    """Nobody listens there: it certainly did not run, and whoever was there is gone."""


class Broken(CallFailed):
    """The connection ended before the answer came."""


class Silent(CallFailed):
    """No answer in time."""


class Garbled(CallFailed):
    """What came back is not an answer: the other side misbehaves."""


class Line:
    """A connection to one object, made when first needed and again after a failure."""

    def __init__(self, uri: str, timeout_s: float) -> None:
        configure()
        self.uri = uri
        self._timeout_s = timeout_s
        self._proxy: Proxy | None = None

    @property
    def connected(self) -> bool:
        return self._proxy is not None

    def connect(self) -> None:
        """Connects, if need be; CallFailed if that is not possible."""
        if self._proxy is not None:
            return
        try:
            proxy = Proxy(self.uri)
        except errors.PyroError as error:
            raise Garbled(f"{self.uri[:100]} is no address: {error}") from error
        proxy._pyroTimeout = self._timeout_s
        proxy._pyroSerializer = "msgpack"
        proxy._pyroRawWireResponse = True  # what is raised there must not be raised here unseen
        try:
            proxy._pyroBind()
        except errors.PyroError as error:
            raise _failure(error, self.uri) from error
        except OSError as error:
            raise Silent(f"{self.uri} cannot be reached: {error}") from error
        self._proxy = proxy

    def call(self, method: str, *arguments: object, **named: object) -> Any:
        """Calls a method there; raises WireError as answered, or CallFailed."""
        self.connect()
        assert self._proxy is not None
        try:
            message = self._proxy._pyroInvoke(method, arguments, named)
        except errors.PyroError as error:
            self.close()
            raise _failure(error, self.uri) from error
        except OSError as error:
            self.close()
            raise Broken(f"{self.uri}: {error}") from error
        try:
            answer = MSGPACK.loads(message.data)
        except (errors.PyroError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise Garbled(f"{self.uri} answered what cannot be read: {error}") from error
        if not message.flags & protocol.FLAGS_EXCEPTION:
            return answer
        if isinstance(answer, WireError):
            raise answer
        raise Garbled(f"{self.uri} failed at {method}: {str(answer)[:200]}")

    def is_refused(self) -> bool:
        """Whether nobody listens there any more, found out without touching the connection that there is."""
        host, _, port = self.uri.rpartition("@")[2].rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), self._timeout_s).close()
        except ConnectionRefusedError:
            return True
        except (OSError, ValueError):
            return False
        return False

    def fileno(self) -> int:
        """Of the socket, for waiting on; -1 while there is none."""
        connection = self._proxy and self._proxy._pyroConnection
        return connection.fileno() if connection else -1

    def cut(self) -> None:
        """Has a call under way fail at once. From any thread."""
        proxy = self._proxy
        connection = proxy and proxy._pyroConnection
        if connection:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Ends the connection; the next call makes another."""
        proxy, self._proxy = self._proxy, None
        if proxy is not None:
            proxy._pyroClaimOwnership()
            proxy._pyroRelease()


def _failure(error: errors.PyroError, uri: str) -> CallFailed:
    """Says in our words how a call failed."""
    said = f"{uri}: {error}"
    if isinstance(error.__cause__, ConnectionRefusedError):
        return Refused(said)
    if isinstance(error, errors.TimeoutError) or isinstance(error.__cause__, OSError):
        return Silent(said)
    if isinstance(error, errors.ConnectionClosedError):
        return Broken(said)
    return Garbled(said)
