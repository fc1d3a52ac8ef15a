"""What happened in a chaos run, and when: faults, elections, what peers told, and every sale, as kept on disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from peers.chaos.kinds import Kind
from peers.errors import SettingsError
from peers.files import write_whole

HISTORY = "history.jsonl"


class Injected(msgspec.Struct, kw_only=True, tag="fault"):
    """A planned fault whose time had come. `end_s` is when what it did was undone; `skipped` says why it did nothing.
    On the wires, `touched` counts the connections that were hit, and `given_up` those whose caller lost its patience.
    `seen` is what whoever carried it out saw come of it.

    Times are seconds after the chaos began, here and in all of the history."""

    number: int
    kind: Kind
    start_s: float
    end_s: float | None = None
    peers: tuple[str, ...] = ()
    detail: str = ""
    skipped: str = ""
    touched: int = 0
    given_up: int = 0
    seen: str = ""

    @property
    def over_s(self) -> float:
        """When it was over: at once, if nothing had to be undone."""
        return self.end_s or self.start_s


class Sale(msgspec.Struct, frozen=True, kw_only=True, tag="sale"):
    """One sale; `told` is False where nobody lived to be told, so that `at_s` is when it was decided."""

    at_s: float
    seq: int
    term: int
    trader: str
    buyer: str
    seller: str
    told: bool


class Election(msgspec.Struct, frozen=True, kw_only=True, tag="election"):
    """A finished election, as the books have it."""

    at_s: float  # The time at which it had begun.
    term: int
    trader: str
    reason: str
    started_by: str | None
    took_ms: float
    messages: int | None


class Newcomer(msgspec.Struct, frozen=True, kw_only=True, tag="newcomer"):
    """A new customer that the name server did not answer at once: who is trader it learnt only after `waited_s`."""

    at_s: float
    waited_s: float


class Heard(msgspec.Struct, frozen=True, kw_only=True, tag="told"):
    """What a peer told its town, when that heard it."""

    at_s: float
    said: str


Entry = Injected | Sale | Election | Heard | Newcomer


class Events:
    """All of one run."""

    def __init__(self) -> None:
        self.faults: list[Injected] = []
        self.heard: list[Heard] = []
        self.sales: list[Sale] = []
        self.elections: list[Election] = []
        self.newcomers: list[Newcomer] = []

    def carried_out(self) -> list[Injected]:
        """The faults that did something."""
        return [fault for fault in self.faults if not fault.skipped]

    def write(self, path: Path) -> None:
        """Writes every event on a line of its own, in the order of time."""
        entries: list[Entry] = [*self.faults, *self.elections, *self.heard, *self.newcomers, *self.sales]
        entries.sort(key=lambda entry: entry.start_s if isinstance(entry, Injected) else entry.at_s)
        write_whole(path, b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries))


def read_events(path: Path) -> Events:
    """Reads what `write` wrote; SettingsError if it is not there, or something else."""
    events = Events()
    decoder: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)
    lists: dict[type[Entry], list[Any]] = {
        Injected: events.faults,
        Heard: events.heard,
        Sale: events.sales,
        Election: events.elections,
        Newcomer: events.newcomers,
    }
    try:
        for line in path.read_bytes().splitlines():
            entry = decoder.decode(line)
            lists[type(entry)].append(entry)
    except (OSError, msgspec.MsgspecError) as error:
        raise SettingsError(f"{path} cannot be read ({error}): run `bazaar chaos` first") from error
    return events


def times_of(sales: Iterable[Sale]) -> list[float]:
    """When there was trade, in order."""
    return sorted(sale.at_s for sale in sales)
