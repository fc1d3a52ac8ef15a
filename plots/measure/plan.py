"""How much is measured: the full bench, or the short one."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from peers.errors import SettingsError

OTHERS = ("etcd",)
"""What the trading post can be measured against."""

SECTIONS = (
    "latency",
    "throughput",
    "open-loop",
    "size",
    "long-run",
    "failover",
    "start",
    "footprint",
    "elections",
    "posts",
)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of all measurements. The defaults are those of the full bench."""

    sections: tuple[str, ...] = SECTIONS
    peers: int = 6  # The peers of the town in which latency, throughput and open loop are measured.
    turns: int = 10  # Turns of echoes, inserts and purchases.
    turn: int = 100  # How many of each there are in a turn.
    customers: tuple[int, ...] = (1, 4, 16, 32, 64)
    crowd_turns: int = 4
    crowd_turn_s: float = 2.0
    loads: tuple[float, ...] = (0.5, 0.9)  # Shares of the highest rate.
    load_s: float = 10.0
    failovers: int = 20  # As many of each kind.
    failover_peers: tuple[int, ...] = (6, 30)
    start_peers: tuple[int, ...] = (6, 30, 100)
    starts: int = 3
    footprint_peers: tuple[int, ...] = (6, 100)
    idle_s: float = 10.0
    election_peers: tuple[int, ...] = (6, 30, 100)
    elections: int = 10
    compared_peers: tuple[int, ...] = (100,)  # Sizes of town at which a purchase is measured again.
    size_peers: tuple[int, ...] = (6, 100)  # Sizes of town that are compared at one rate.
    size_turns: int = 4  # Turns of each size, every one in a town of its own.
    size_turn_s: float = 10.0
    size_rate: float = 300.0  # Purchases that are due a second.
    size_customers: int = 16
    long_purchases: int = 200_000
    long_customers: int = 32
    long_pairs: int = 12  # Pairs of turns, one of the old town and one of a fresh one.
    posts: tuple[int, ...] = (1, 2, 4)  # Numbers of posts on one mongod.
    posts_own: tuple[int, ...] = (2, 4)  # Numbers of posts that have a mongod each.
    posts_customers: int = 64
    posts_rounds: int = 2  # So often a town of each kind is opened.
    posts_turns: int = 4
    posts_turn_s: float = 2.0
    against: str = ""  # One of `OTHERS`, or empty.
    against_customers: tuple[int, ...] = (1, 16, 64)
    seed: int = 7

    def has(self, section: str) -> bool:
        return section in self.sections


QUICK = Plan(
    sections=tuple(section for section in SECTIONS if section != "long-run"),
    turns=5,
    turn=40,
    crowd_turns=2,
    crowd_turn_s=0.6,
    load_s=2.0,
    failovers=3,
    starts=1,
    idle_s=2.0,
    elections=3,
    size_turns=1,
    size_turn_s=4.0,
    posts_own=(2,),
    posts_customers=16,
    posts_rounds=1,
    posts_turns=2,
    posts_turn_s=0.6,
    long_purchases=10_000,
    long_pairs=3,
)


def make_plan(
    *, quick: bool, sections: Iterable[str] = (), peers: Iterable[int] = (), against: str | None = None
) -> Plan:
    """Returns the plan for what the command was asked; SettingsError for a section, a size or another that cannot be.

    Where there is another to measure against, that is all, but for the sections named as well.
    """
    plan = QUICK if quick else Plan()
    if against is not None and against not in OTHERS:
        raise SettingsError(f"--against {against}: there is {', '.join(OTHERS)}")
    wanted = tuple(sections) or (plan.sections if against is None else ())
    for section in wanted:
        if section not in SECTIONS:
            raise SettingsError(f"--only {section}: there is {', '.join(SECTIONS)}")
    plan = msgspec.structs.replace(plan, sections=tuple(s for s in SECTIONS if s in wanted), against=against or "")
    sizes = tuple(sorted(set(peers)))
    if sizes and plan.sections == ("posts",) and not plan.against:
        raise SettingsError(f"--peers {sizes[0]}: posts have towns of their own sizes; leave it out")
    return _of_sizes(plan, sizes) if sizes else plan


def _of_sizes(plan: Plan, sizes: tuple[int, ...]) -> Plan:
    """The same measurements in towns of these sizes and no others, but for those of posts. What is measured in one
    town takes the smallest."""
    if sizes[0] < 3:
        raise SettingsError(f"--peers {sizes[0]}: 3 or more, for there must be trade after a failover")
    return msgspec.structs.replace(
        plan,
        peers=sizes[0],
        compared_peers=sizes[1:],
        failover_peers=sizes,
        start_peers=sizes,
        footprint_peers=sizes,
        election_peers=sizes,
        size_peers=sizes,
    )
