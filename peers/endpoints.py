"""Where something listens, as text: `host:port`, with brackets around an address of IPv6."""

from __future__ import annotations

import socket

from peers.text import whole_number


def endpoint(host: str, port: int) -> str:
    """Returns `host:port`, or `[host]:port` for an address of IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_endpoint(text: str) -> tuple[str, int]:
    """Takes apart what `endpoint` put together; ValueError if `text` is no host with a port from 1 to 65535."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    number = whole_number(port)
    if not colon or not host or number is None or not 0 < number < 65536:
        raise ValueError(f"{text!r} is not host:port")
    return host, number


def is_endpoint(text: str) -> bool:
    """Whether that can be taken apart."""
    try:
        split_endpoint(text)
    except ValueError:
        return False
    return True


def host_of(uri: str) -> str:
    """Returns the host that a Pyro5 address names, "" for what is none."""
    try:
        return split_endpoint(uri.rpartition("@")[2])[0]
    except ValueError:
        return ""


def try_to_bind(host: str, port: int) -> int:
    """Returns the port that could be bound just now (any free one for 0); somebody else may take it the next moment.

    OSError as binding raises it: the port is taken, or `host` is no address of this machine.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        if port:  # What a connection before left behind holds up nobody who listens.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        bound: int = probe.getsockname()[1]
        return bound
