"""How the processes of a chaos town reach anybody: through the town's switch, whatever the connection is for.

It is done where Python makes a connection, and nowhere else, so that no path can be forgotten: neighbours, trader,
name server, and each member of the database, whose addresses the driver finds out by itself. Who connects says to the
switch (`peers.chaos.switch`) who it is and whom it wants, and hears whether that could be had: a caller that is
refused is refused, as without a switch. Connections that do not wait (a timeout of 0) are not made by any of ours.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

CONNECTED, REFUSED = b"+", b"-"
"""What the switch says before anything else: there is a connection, or nobody listens there."""

_HERE = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::ffff:127.0.0.1"}


def reach_through(port: int, name: str) -> None:
    """Has all connections of this process go through the switch at `port` of this machine, from now on, as those of
    `name`, which has no space in it. What they raise is what connecting raises."""
    straight = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        here = _HERE.get(self.family)
        if here is None or self.type != socket.SOCK_STREAM or self.gettimeout() == 0:
            straight(self, address)
            return
        straight(self, (here, port))
        socket.socket.send(self, preface(name, str(address[0]), int(address[1])))
        said = socket.socket.recv(self, 1)
        if said == CONNECTED:
            return
        why = errno.ECONNREFUSED if said == REFUSED else errno.ECONNRESET
        raise OSError(why, os.strerror(why))

    socket.socket.connect = connect  # type: ignore[method-assign, assignment]


def preface(name: str, host: str, port: int) -> bytes:
    """Returns the line by which the switch learns who wants to reach whom."""
    return f"{name} {host} {port}\n".encode()


def read_preface(line: bytes) -> tuple[str, str, int]:
    """Takes apart what `preface` put together; ValueError for anything else."""
    name, host, port = line.decode().split()
    return name, host, int(port)
