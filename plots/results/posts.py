"""Towns with several posts: how many purchases a second they reach together, and who uses the processors for that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

import msgspec

USERS = ("mongod", "traders", "customers", "others")
"""Who uses the processors: the databases, the peers in office, the customers, and all else of the town."""


class PostsTurn(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of the same customers at so many posts. `own`: each post had a mongod of its own.
    The last fields are the processor seconds that each of `USERS` used meanwhile."""

    posts: int
    own: bool
    turn: int
    customers: int
    answered: int
    took_s: float
    p50_ms: float
    p99_ms: float
    mongod_s: float
    traders_s: float
    customers_s: float
    others_s: float

    @property
    def per_s(self) -> float:
        """Purchases a second."""
        return self.answered / self.took_s


class PostsRate(msgspec.Struct, frozen=True, kw_only=True):
    """All turns of one kind of town; latencies are the medians of the turns. `cores`: how many each user was at work
    on, on average; `cpu_ms`: the processor time of one purchase."""

    posts: int
    own: bool
    customers: int
    per_s: float
    worst_turn_per_s: float
    best_turn_per_s: float
    p50_ms: float
    p99_ms: float
    cores: dict[str, float]
    cpu_ms: dict[str, float]

    @property
    def name(self) -> str:
        """How people call such a town."""
        if self.posts == 1:
            return "1 post"
        return f"{self.posts} posts, {'a mongod each' if self.own else 'one mongod'}"


def sum_up(turns: Iterable[PostsTurn]) -> list[PostsRate]:
    """Sums up the turns, by number of posts, those with one mongod first."""
    by_town: dict[tuple[bool, int], list[PostsTurn]] = {}
    for turn in turns:
        by_town.setdefault((turn.own, turn.posts), []).append(turn)
    return [_rate(by_town[town]) for town in sorted(by_town)]


def _rate(turns: Sequence[PostsTurn]) -> PostsRate:
    answered, took_s = sum(turn.answered for turn in turns), sum(turn.took_s for turn in turns)
    used_s = {user: sum(getattr(turn, f"{user}_s") for turn in turns) for user in USERS}
    return PostsRate(
        posts=turns[0].posts,
        own=turns[0].own,
        customers=turns[0].customers,
        per_s=answered / took_s,
        worst_turn_per_s=min(turn.per_s for turn in turns),
        best_turn_per_s=max(turn.per_s for turn in turns),
        p50_ms=median(turn.p50_ms for turn in turns),
        p99_ms=median(turn.p99_ms for turn in turns),
        cores={user: seconds / took_s for user, seconds in used_s.items()},
        cpu_ms={user: 1000 * seconds / answered for user, seconds in used_s.items()},
    )
