"""Packets over a stream arrive whole, in order and with their files, however little the kernel takes at once."""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from peers.core.settings import MOST_ITEMS, make_settings
from peers.runtime.spec import PeerSpec
from peers.town.processes.packets import MAX_PACKET, PacketStream

Ends = tuple[PacketStream, PacketStream]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Two ends of a stream with as small buffers as the kernel lets one have; that of macOS has 8 KB."""
    sockets = socket.socketpair()
    for each in sockets:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    first, second = map(PacketStream, sockets)
    yield first, second
    first.close()
    second.close()


def received(stream: PacketStream, number: int) -> list[bytes]:
    packets: list[bytes] = []
    while len(packets) < number:
        assert select.select([stream.socket], [], [], 10)[0], f"{len(packets)} of {number} came"
        packets += stream.receive() or []
    return packets


def test_packets_longer_than_the_buffers_arrive_whole_each_with_its_file(ends: Ends) -> None:
    here, there = ends
    packets = [bytes([number]) * size for number, size in enumerate((1, 59_999, 0, 30_000, 7, 59_999))]
    pipes = [os.pipe() for _ in packets]

    async def send() -> None:
        for packet, (reader, _) in zip(packets, pipes, strict=True):
            await here.send_with_file(packet, reader)

    async def both() -> list[bytes]:
        sending = asyncio.create_task(send())
        got = await asyncio.to_thread(received, there, len(packets))
        await sending
        return got

    try:
        assert asyncio.run(both()) == packets
        assert len(there.files) == len(packets)
        for number, (_, writer) in enumerate(pipes):
            os.write(writer, bytes([number]))
        files = list(there.files)
        assert [os.read(file, 1) for file in files] == [bytes([number]) for number in range(len(packets))]
    finally:
        for pipe in pipes:
            for each in pipe:
                os.close(each)


def test_who_sends_at_the_same_time_does_not_mix_packets(ends: Ends) -> None:
    here, there = ends
    packets = [bytes([number]) * 50_000 for number in range(8)]

    async def all_at_once() -> list[bytes]:
        with Path(os.devnull).open() as file:
            sending = [asyncio.create_task(here.send_with_file(packet, file.fileno())) for packet in packets]
            got = await asyncio.to_thread(received, there, len(packets))
            await asyncio.gather(*sending)
        return got

    assert sorted(asyncio.run(all_at_once())) == packets


def test_a_packet_whose_sender_was_cancelled_does_not_spoil_the_next(ends: Ends) -> None:
    here, there = ends

    async def cancelled_in_the_middle() -> list[bytes]:
        with Path(os.devnull).open() as file:
            first = asyncio.create_task(here.send_with_file(b"a" * 59_000, file.fileno()))
            while not here._unsent:
                await asyncio.sleep(0)
            first.cancel()
            with suppress(asyncio.CancelledError):
                await first
            second = asyncio.create_task(here.send_with_file(b"second", file.fileno()))
            got = await asyncio.to_thread(received, there, 2)
            await second
        return got

    assert asyncio.run(cancelled_in_the_middle()) == [b"a" * 59_000, b"second"]


def test_the_end_is_heard_after_what_was_sent(ends: Ends) -> None:
    here, there = ends
    here.send(b"one")
    here.send(b"two")
    here.close()
    assert received(there, 2) == [b"one", b"two"]
    assert there.receive() is None
    with pytest.raises(ConnectionError):
        there.send(b"nobody hears this")


def test_nothing_yet_is_not_the_end(ends: Ends) -> None:
    assert ends[1].receive() == []


def test_files_that_nobody_took_are_closed(ends: Ends) -> None:
    here, there = ends
    reader, writer = os.pipe()
    asyncio.run(here.send_with_file(b"x", writer))
    os.close(writer)
    received(there, 1)
    there.close()
    assert os.read(reader, 1) == b"", "nobody holds the writing end any more"
    os.close(reader)


def test_a_packet_that_is_too_long_is_a_mistake_of_ours(ends: Ends) -> None:
    with pytest.raises(AssertionError, match="a packet of 60000 bytes"):
        asyncio.run(ends[0].send_with_file(bytes(MAX_PACKET), 0))


@pytest.mark.parametrize("longest", ["x", "\U0001f41f", "\x01"])  # In JSON these take 1, 4 and 6 bytes each.
def test_a_peer_can_be_told_of_as_many_items_as_there_may_be(longest: str) -> None:
    items = [f"{number:02}{longest * 62}" for number in range(MOST_ITEMS)]
    spec = PeerSpec(
        name="buyer0",
        rank=0,
        role="buyer",
        host="127.0.0.1",
        directory="/" + "d" * 4095,
        nameserver_host="127.0.0.1",
        nameserver_port=9090,
        mongo_uri="mongodb://" + "m" * 4096,
        database="bazaar",
        seed=1,
        incarnation=1,
        settings=make_settings({"market": {"items": items}}).model_dump(mode="json"),
    )
    assert len(msgspec.json.encode(spec)) < MAX_PACKET
