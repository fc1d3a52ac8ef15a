"""The members of the books in the hands of a script: looked at, killed, held back, compared."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress

from db.audit.members import MembersReport, compare_members
from db.mongod import single_members
from peers.endpoints import split_endpoint
from peers.scenes.stage import Stage
from peers.town.database.replicas import Replicas


def _replicas(stage: Stage) -> Replicas:
    replicas = stage.replicas
    assert replicas is not None, "a scene of the market replicated has books of its town's own"
    return replicas


async def whole(stage: Stage) -> list[str]:
    """Returns the addresses of all members once any one of them may be lost. NotSeen if it does not come to that."""
    replicas = _replicas(stage)

    async def is_safe() -> bool | None:
        return (replicas.is_safe and replicas.primary is not None) or None

    await stage.until(is_safe, "three members, of which any one may be lost")
    return [process.address for process in replicas.processes]


async def kill_primary(stage: Stage) -> str:
    """Kills whoever takes the writes, with SIGKILL; returns its address once another does. NotSeen if none does."""
    replicas = _replicas(stage)
    primary = replicas.primary
    assert primary is not None
    assert primary.pid is not None
    with suppress(ProcessLookupError):
        os.kill(primary.pid, signal.SIGKILL)

    async def other() -> str | None:
        now = replicas.primary
        return now.address if now is not None and now is not primary else None

    stage.say(f"{primary.address}, which takes the writes, is killed")
    return await stage.until(other, "another primary")


@asynccontextmanager
async def held_back(stage: Stage) -> AsyncIterator[str]:
    """Has one member that is not primary take nothing in for as long as this lasts, though it answers; gives its
    address. LedgerError if it does not take that."""
    replicas = _replicas(stage)
    member = next(process for process in replicas.processes if process is not replicas.primary)
    member_port = split_endpoint(member.address)[1]
    with ExitStack() as stack:
        await asyncio.to_thread(stack.enter_context, single_members.held_back(member_port))
        stage.say(f"{member.address} takes nothing in just now, and falls behind")
        yield member.address
        await asyncio.to_thread(stack.close)
        stage.say(f"{member.address} goes on")


async def compared(stage: Stage) -> MembersReport:
    """Returns what each member holds, beside the others."""
    books = stage.books
    return await asyncio.to_thread(compare_members, books.uri, books.database)
