"""Calls of one peer to another that are made on a connection of their own, by the thread that wants the answer."""

from __future__ import annotations

import contextlib

from peers.core.membership.members import Member
from peers.errors import BadRequest, PostClosed, WireError
from peers.rpc.rpc_connection import CallFailed, RpcConnection

CALL_BACK_S = 2.0
"""How long a newcomer may take to answer at its own address. No setting: it has nothing else to do yet."""


def pass_on(uri: str, method: str, arguments: tuple[object, ...], timeout_s: float) -> object:
    """Returns what the trader at `uri` gives for a call that came to this peer.

    WireError where that is the answer, PostClosed if the trader does not answer.
    """
    connection = RpcConnection(uri, timeout_s)
    try:
        return connection.call(method, *arguments, forwarded=True)
    except CallFailed as error:
        raise PostClosed(why="the trader does not answer") from error
    finally:
        connection.close()


def deliver_once(uri: str, parcel: bytes, timeout_s: float) -> None:
    """Has a neighbour take in a packed parcel, if it can."""
    connection = RpcConnection(uri, timeout_s)
    with contextlib.suppress(CallFailed, WireError):
        connection.call("deliver", parcel)
    connection.close()


def call_back(member: Member) -> None:
    """Raises BadRequest if a newcomer does not answer at its own address, or is somebody else there."""
    connection = RpcConnection(member.uri, CALL_BACK_S)
    try:
        answered = connection.call("ping")
    except (CallFailed, WireError) as error:
        raise BadRequest(field="uri", why=f"no answer from {member.uri} ({error})") from error
    finally:
        connection.close()
    if answered != member.name:
        raise BadRequest(field="uri", why=f"at {member.uri} is {answered!s:.40}, not {member.name}")
