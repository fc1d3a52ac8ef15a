"""What can be wrong with a wire, and what a chaos run and its switch say to each other: JSON, a line each."""

from __future__ import annotations

from typing import Literal, cast

import msgspec

Way = Literal["out", "in", "both"]

MONGOD, NAMESERVER, CUSTOMERS, TOWN = "mongod", "nameserver", "customers", "town"
"""How those are called on the switch who are no peers. Of several members of a set the others are `mongod2` and so
on."""


class WireFault(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Run to switch: the wires between any of `ones` and any of `others` are like this for so many `seconds`.

    None named in `others` are all there are. `way` is seen from `ones`: with "out", only what they send is hit."""

    number: int
    ones: tuple[str, ...]
    others: tuple[str, ...] = ()
    way: Way = "both"
    seconds: float
    # What is sent comes later by this, and by up to `jitter_s` more.
    delay_s: float = 0.0
    jitter_s: float = 0.0
    # By up to this, the same for all that is sent on one connection, so that what is sent later on another overtakes.
    apart_s: float = 0.0
    # The share of what is sent that gets lost, and is sent again by the kernel, which waits longer each time.
    loss: float = 0.0
    # At most so many bytes a second on each connection.
    bytes_a_second: float = 0.0
    # Nothing gets through, and no connection can be made. What was sent is sent again until it gets through.
    cut: bool = False
    # Nothing is read from who sends, until its kernel takes no more. Connections can be made.
    jam: bool = False
    # Once, at the beginning: all connections are reset; or the ends of the others are reset, and `ones` are not told:
    # what they send on these connections is lost for ever.
    once: Literal["", "reset", "half-open"] = ""


class Places(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Run to switch: who listens at which port of this machine, and which processes are those of members."""

    names: dict[int, str]
    pids: dict[int, str] = {}


class Listening(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Switch to run: where it listens."""

    port: int


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Switch to run: a fault is over. `touched`: the connections on which it held something up, lost or ended;
    `given_up`: those that their callers ended while it was holding something up."""

    number: int
    touched: int
    given_up: int


ToSwitch = WireFault | Places
ToRun = Listening | Ended

to_switch = msgspec.json.Decoder(cast("type[ToSwitch]", ToSwitch))
to_run = msgspec.json.Decoder(cast("type[ToRun]", ToRun))


def hits(fault: WireFault, sender: str, receiver: str) -> bool:
    """Whether a fault concerns what goes from `sender` to `receiver`."""
    return (fault.way != "in" and _between(fault, sender, receiver)) or (
        fault.way != "out" and _between(fault, receiver, sender)
    )


def _between(fault: WireFault, one: str, other: str) -> bool:
    return one in fault.ones and (not fault.others or other in fault.others)
