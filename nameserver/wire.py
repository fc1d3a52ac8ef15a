"""How name server and those who ask it speak Pyro5: without delay on small messages, and never by marshal.

Pyro5 keeps such things in one configuration for the whole process; this is the part a name server needs.
"""

from __future__ import annotations

from Pyro5 import config, serializers


def prepare() -> None:
    """Sets Pyro5 up, in this process, for calls to and from a name server."""
    # Without it a oneway followed by a call on one connection waits 40 ms for an acknowledgement.
    config.SOCK_NODELAY = True


def refuse_marshal() -> None:
    """A server must not load marshal data: it can crash the interpreter, and is not made for strangers' input."""
    marshal = serializers.serializers.pop("marshal", None)
    if marshal is not None:
        serializers.serializers_by_id.pop(marshal.serializer_id, None)
