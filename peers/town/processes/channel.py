"""The town's end of one peer's channel: JSON lines in both directions over a socket pair."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import msgspec

from peers.runtime.spec import ToPeer, ToTown

_decoder = msgspec.json.Decoder(cast("type[ToTown]", ToTown))


class Channel(asyncio.Protocol):
    """Calls `on_line` with each message of the peer called `name`, with None when the channel ends."""

    def __init__(self, name: str, on_line: Callable[[str, ToTown | None], None]) -> None:
        self.name = name
        self._on_line = on_line
        self._rest = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line:
                self._on_line(self.name, _decoder.decode(line))

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # It does not matter whether the channel was reset or ended: the peer is gone.
        self._transport = None
        self._on_line(self.name, None)

    def send(self, message: ToPeer) -> None:
        self.send_line(msgspec.json.encode(message) + b"\n")

    def send_line(self, line: bytes) -> None:
        """Sends what is encoded already: the same to many peers."""
        if self._transport is not None:
            self._transport.write(line)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
