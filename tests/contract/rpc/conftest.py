"""A server of the transport, and one of our own connections to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from peers.rpc.rpc_connection import RpcConnection
from tests.contract.rpc.served import Served


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.target.release.set()
    served.server.close()


@pytest.fixture
def line(served: Served) -> Iterator[RpcConnection]:
    line = RpcConnection(served.uri, 2.0)
    yield line
    line.close()
