"""The links of a replica set on one machine: a process that stands in front of each member, and can cut it off.

Members and clients know each member by the address of its link, so all that is said to it goes through here. Who says
it is told by the process that the other end of a connection belongs to; so a member can be cut off from the other
members alone, while clients still reach it, or from everybody. Connections from before hear nothing more, as if a
cable had been pulled, and break when it is healed; a new one breaks after a while, as an attempt to connect would.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from typing import Literal

import msgspec
import psutil

HOST = "127.0.0.1"
_CHUNK = 1 << 16
_CONNECT_S = 2.0  # An attempt to connect fails after so long.

From = Literal["members", "everybody"]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is told: from whom to cut `member` off; or, with None, to heal. `pids` are the members'."""

    member: int | None = None
    cut_from: From = "everybody"
    pids: tuple[int, ...] = ()


class _Link:
    """One connection to a member. `caller` is the port at its other end."""

    def __init__(self, member: int, caller: int) -> None:
        self.member = member
        self.caller = caller
        self.accepted_s = time.monotonic()
        self.writers: list[asyncio.StreamWriter] = []
        self.is_cut = False
        self._broken = asyncio.Event()

    def hang_up(self) -> None:
        self._broken.set()
        for writer in self.writers:
            writer.transport.abort()

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self.is_cut:
                    await self._broken.wait()
                writer.write(data)
                await writer.drain()
        if self.is_cut:
            await self._broken.wait()
        self.hang_up()


class _Exchange:
    """All links, in the process of its own."""

    def __init__(self, targets: list[int]) -> None:
        self._targets = targets
        self._links: set[_Link] = set()
        self._order = Order()
        # By local port, the member whose process had it when that was last looked up, and when.
        self._owners: dict[int, int] = {}
        self._looked_s = 0.0
        self._looking = asyncio.Lock()

    async def run(self) -> None:
        servers = [
            await asyncio.start_server(partial(self._serve, member), HOST, 0) for member in range(len(self._targets))
        ]
        ports = [server.sockets[0].getsockname()[1] for server in servers]
        print(msgspec.json.encode(ports).decode(), flush=True)
        orders = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        while line := await orders.readline():
            await self._obey(msgspec.json.decode(line, type=Order))
            print("done", flush=True)

    async def _obey(self, order: Order) -> None:
        healed = [link for link in self._links if link.is_cut]
        self._order, self._looked_s = order, 0.0
        for link in healed:
            link.hang_up()
        for link in tuple(self._links):
            await self._judge(link)

    async def _judge(self, link: _Link) -> None:
        """Finds out whether the link is cut just now."""
        if self._order.member is None:
            return
        # Connections come by the dozen when some are cut, and to look up whose they are takes a while.
        async with self._looking:
            if self._looked_s < link.accepted_s:
                self._looked_s = time.monotonic()
                self._owners = await asyncio.to_thread(_owners, self._order.pids)
        link.is_cut = self._cuts(link)

    def _cuts(self, link: _Link) -> bool:
        order, caller = self._order, self._owners.get(link.caller)
        if order.member is None:
            return False
        reaches_it = link.member == order.member and (order.cut_from == "everybody" or caller is not None)
        return reaches_it or caller == order.member

    async def _serve(self, member: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(member, writer.get_extra_info("peername")[1])
        link.writers.append(writer)
        self._links.add(link)
        try:
            await self._judge(link)
            if link.is_cut:
                await asyncio.sleep(_CONNECT_S)
                return
            with suppress(OSError):
                there, back = await asyncio.open_connection(HOST, self._targets[member])
                link.writers.append(back)
                await asyncio.gather(link.pump(reader, back), link.pump(there, writer))
        finally:
            link.hang_up()
            self._links.discard(link)


def _owners(pids: tuple[int, ...]) -> dict[int, int]:
    """By local port, the member whose process has it; as the kernel lists it, which takes some milliseconds."""
    members: dict[int, int] = {}
    for member, pid in enumerate(pids):
        with suppress(psutil.NoSuchProcess):  # It has ended, and has none.
            for each in psutil.Process(pid).net_connections("tcp4"):
                members[each.laddr.port] = member
    return members


class Links:
    """The process, seen from whoever measures; `ports` are those of the links, in the order of `targets`. Ends with
    its context."""

    def __init__(self, targets: list[int]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "plots.measure.apparatus.links", *map(str, targets)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # A Ctrl-C is for the experiment, which ends it.
        )
        assert self._process.stdout is not None
        self.ports: list[int] = msgspec.json.decode(self._process.stdout.readline(), type=list[int])

    def cut(self, member: int, cut_from: From, pids: tuple[int, ...]) -> None:
        """Cuts that member off; `pids` are the processes of all members."""
        self._tell(Order(member=member, cut_from=cut_from, pids=pids))

    def heal(self) -> None:
        """Lets everybody reach everybody."""
        self._tell(Order())

    def _tell(self, order: Order) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        self._process.stdin.flush()
        self._process.stdout.readline()

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


if __name__ == "__main__":
    asyncio.run(_Exchange([int(each) for each in sys.argv[1:]]).run())
