"""Whole states as small numbers, so that walking all orders of events is mostly looking up what is known already.

A peer's state is turned into a value that is equal for equal states, and gets a number. What a peer in a given state
does with a given input is worked out once and remembered; the same for the ledger. Random draws always give their
middle here, so that the same input to the same state does give the same.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from collections import deque
from collections.abc import Hashable, Sequence
from decimal import Decimal
from enum import Enum
from functools import partial
from random import Random
from types import FunctionType, MethodType
from typing import Any, TypeVar

import msgspec

from db.ledger.memory import MemoryLedger
from peers.core.commands import Command
from peers.core.inputs import Input, Now
from peers.core.ledger.port import Operation, Result
from peers.core.peer import Peer
from peers.core.settings import Settings

_T = TypeVar("_T")
_ATOMS = frozenset((int, float, str, bool, type(None), Decimal, bytes))
_LEFT_OUT = frozenset(("counters", "_begun_s", "_s_each", "_certain_s", "_after"))
"""Attributes that are left out. Some would tell states apart that behave alike: counts for people to read, and times
that matter only to who is told how long to wait, or wants to read, and nobody is in a walk. Tables never change."""


class Middle(Random):
    """Draws the middle of what may be drawn."""

    def random(self) -> float:
        return 0.5

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2

    def randint(self, a: int, b: int) -> int:
        return (a + b) // 2

    def choice(self, seq: Sequence[_T]) -> _T:  # type: ignore[override]
        return seq[len(seq) // 2]


MIDDLE = Middle()


def freeze(value: Any) -> Hashable:
    """A value that is equal for states that behave alike."""
    return _freeze(value, {})


def _freeze(value: Any, seen: dict[int, int]) -> Hashable:
    """Does so; `seen` numbers the objects that were gone through already, by id."""
    kind = type(value)
    if kind in _ATOMS:
        return value  # type: ignore[no-any-return]
    if isinstance(value, Enum):  # Its own attributes lead to its class, and from there to all other members.
        return (kind.__name__, value.name)
    if isinstance(value, tuple | list | deque):
        return tuple([_freeze(each, seen) for each in value])
    if isinstance(value, dict):
        return tuple([(_freeze(key, seen), _freeze(each, seen)) for key, each in value.items()])
    if isinstance(value, set | frozenset):
        return frozenset([_freeze(each, seen) for each in value])
    if kind is Middle or kind is Settings:
        return None
    if isinstance(value, msgspec.Struct):
        return value
    if isinstance(value, MethodType | FunctionType | type):
        return value.__qualname__
    if kind is partial:
        return (_freeze(value.func, seen), _freeze(value.args, seen), _freeze(value.keywords, seen))
    if id(value) in seen:
        return (kind.__name__, seen[id(value)])
    seen[id(value)] = len(seen)
    names = sorted(getattr(value, "__dict__", ())) or copyreg._slotnames(kind)  # type: ignore[attr-defined]
    if not names and not hasattr(value, "__dict__"):
        raise TypeError(f"nothing says what a {kind.__name__} is made of; have _freeze say so")
    return (kind.__name__, *[_freeze(getattr(value, name), seen) for name in names if name not in _LEFT_OUT])


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> str | None:
        return "settings" if isinstance(value, Settings) else "middle" if value is MIDDLE else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, settings: Settings) -> None:
        super().__init__(io.BytesIO(data))
        self._known = {"settings": settings, "middle": MIDDLE}

    def persistent_load(self, name: str) -> Any:
        return self._known[name]


class Peers:
    """Every state a peer was ever in, by number, and what it did with every input."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._numbers: dict[Hashable, int] = {}
        self._states: list[bytes] = []
        self._steps: dict[tuple[int, float, Input], tuple[int, tuple[Command, ...]]] = {}
        self.in_office: list[bool] = []

    def __len__(self) -> int:
        return len(self._states)

    def number(self, peer: Peer) -> int:
        frozen = freeze(peer)
        number = self._numbers.get(frozen)
        if number is None:
            number = self._numbers[frozen] = len(self._states)
            stream = io.BytesIO()
            _Pickler(stream, pickle.HIGHEST_PROTOCOL).dump(peer)
            self._states.append(stream.getvalue())
            self.in_office.append(peer.view.in_office)
        return number

    def get(self, number: int) -> Peer:
        """A copy of the peer in that state."""
        peer = _Unpickler(self._states[number], self._settings).load()
        assert isinstance(peer, Peer)
        return peer

    def step(self, number: int, event: Input, now_s: float) -> tuple[int, tuple[Command, ...]]:
        """What a peer in that state becomes and commands."""
        known = self._steps.get((number, now_s, event))
        if known is None:
            peer = self.get(number)
            commands = tuple(peer.handle(event, Now(mono_s=now_s, wall_ms=int(now_s * 1000))))
            known = self._steps[number, now_s, event] = (self.number(peer), commands)
        return known


class Ledgers:
    """Every state the ledger was ever in, by number."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self.states: list[MemoryLedger] = []
        self._steps: dict[tuple[int, Operation], tuple[int, Result]] = {}

    def number(self, ledger: MemoryLedger) -> int:
        frozen = freeze(ledger)
        number = self._numbers.get(frozen)
        if number is None:
            number = self._numbers[frozen] = len(self.states)
            self.states.append(ledger)
        return number

    def step(self, number: int, operation: Operation) -> tuple[int, Result]:
        known = self._steps.get((number, operation))
        if known is None:
            ledger = self.states[number].__deepcopy__({})
            result = ledger.perform(operation)
            known = self._steps[number, operation] = (self.number(ledger), result)
        return known
