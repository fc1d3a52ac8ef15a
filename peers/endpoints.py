"""Where something listens, as text: `host:port`, with brackets around an address of IPv6."""

from __future__ import annotations


def endpoint(host: str, port: int) -> str:
    """Returns `host:port`, or `[host]:port` for an address of IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_endpoint(text: str) -> tuple[str, int]:
    """Takes apart what `endpoint` put together; ValueError if `text` is no host with a port from 1 to 65535."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not host:port")
    return host, int(port)
