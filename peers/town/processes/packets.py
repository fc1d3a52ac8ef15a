"""Packets between two processes of one machine, over a stream: each with its length before it, some with a file.

A local socket that keeps packets apart by itself (`SOCK_SEQPACKET`) is not to be had everywhere: macOS has none.
"""

from __future__ import annotations

import array
import asyncio
import os
import socket
import struct
from collections import deque

MAX_PACKET = 60_000
"""The longest packet, in bytes; a longer one is not sent."""

_LENGTH = struct.Struct("!I")
_CHUNK = 1 << 16
_MOST_FILES = 64
"""That may come at once. A read ends at the next file on Linux, but need not do so everywhere."""
_LOOK_S = 0.001


class PacketStream:
    """One end of a connected `AF_UNIX` stream, whose other end is one of these too.

    Files that have come wait in `files`, in the order of the packets that they came with."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.files: deque[int] = deque()
        self._read = bytearray()
        self._unsent = b""
        self._sending = asyncio.Lock()

    def send(self, packet: bytes) -> None:
        """Sends a packet; waits for as long as the other side does not read. ConnectionError if it is gone."""
        self.socket.sendall(_LENGTH.pack(len(packet)) + packet)

    async def send_with_file(self, packet: bytes, file: int) -> None:
        """Sends a packet and an open file, without holding up the event loop. ConnectionError if nobody is there.

        Whoever is cancelled meanwhile may have sent it all the same, and the next packet is whole in any case."""
        assert len(packet) < MAX_PACKET, f"a packet of {len(packet)} bytes"
        framed = _LENGTH.pack(len(packet)) + packet
        attached = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))]
        async with self._sending:
            await self._finish()
            while True:
                try:
                    sent = self.socket.sendmsg([framed], attached, socket.MSG_DONTWAIT)
                    break
                except BlockingIOError:
                    await asyncio.sleep(_LOOK_S)
            self._unsent = framed[sent:]
            await self._finish()

    async def _finish(self) -> None:
        while self._unsent:
            try:
                self._unsent = self._unsent[self.socket.send(self._unsent, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                await asyncio.sleep(_LOOK_S)

    def receive(self) -> list[bytes] | None:
        """Returns the packets that are whole by now, None once the other side is gone; never waits."""
        item = array.array("i").itemsize
        try:
            chunk, ancillary, _flags, _ = self.socket.recvmsg(
                _CHUNK, socket.CMSG_SPACE(_MOST_FILES * item), socket.MSG_DONTWAIT
            )
        except BlockingIOError:
            return []
        except ConnectionError:
            return None
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                self.files.extend(array.array("i", data[: len(data) - len(data) % item]))
        if not chunk:
            return None
        self._read += chunk
        return self._whole()

    def _whole(self) -> list[bytes]:
        packets = []
        while len(self._read) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._read)
            end = _LENGTH.size + length
            if len(self._read) < end:
                break
            packets.append(bytes(self._read[_LENGTH.size : end]))
            del self._read[:end]
        return packets

    def close(self) -> None:
        """Closes it, and the files that nobody took."""
        self.socket.close()
        while self.files:
            os.close(self.files.popleft())
