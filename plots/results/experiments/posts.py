"""`posts`: purchases a second at one, two and four posts, on one mongod and on one each."""

from __future__ import annotations

from pathlib import Path

import msgspec

from peers.errors import SettingsError
from plots.results.experiments.kind import Findings, Kind, Options, Step, Table
from plots.results.experiments.record import read_plan, read_record
from plots.results.latency import shown
from plots.results.posts import USERS, PostsRate, PostsTurn, sum_up
from plots.results.rows import read_rows

TURNS = "turns.csv"

_FULL = 0.85
"""From this part of all cores on, more work could not be done."""


class PostsPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes. Each kind of town is opened `rounds` times, and has `turns` of `turn_s` each time."""

    posts: tuple[int, ...]
    own: tuple[int, ...]
    rounds: int
    turns: int
    turn_s: float
    customers: int
    market: str

    def title(self, posts: int, own: bool, round_: int) -> str:
        """The step in which such a town is measured."""
        where = ", a mongod each" if own else ""
        return f"{posts} {'posts' if posts > 1 else 'post'}{where} ({round_ + 1})"

    def towns(self) -> list[tuple[int, int, bool]]:
        """Round, posts, and whether each has its own mongod: up in one round and down in the next."""
        kinds = [*((posts, False) for posts in self.posts), *((posts, True) for posts in self.own if posts > 1)]
        order = [kinds if round_ % 2 == 0 else kinds[::-1] for round_ in range(self.rounds)]
        return [(round_, *kind) for round_, each in enumerate(order) for kind in each]

    def steps(self) -> tuple[Step, ...]:
        seconds = 6 + 0.1 * self.customers + self.turns * (self.turn_s + 0.3)
        return tuple(
            Step(title=self.title(posts, own, round_), seconds=seconds + posts) for round_, posts, own in self.towns()
        )


def plan(options: Options) -> PostsPlan:
    """The plan for these options; SettingsError for what cannot be measured."""
    options.only("posts", "market")
    return PostsPlan(
        posts=(1, 2) if options.quick else (1, 2, 4),
        own=(2,) if options.quick else (2, 4),
        rounds=1 if options.quick else 3,
        turns=2 if options.quick else 4,
        turn_s=0.6 if options.quick else 2.0,
        customers=16 if options.quick else 64,
        market=options.one_market("lamport"),
    )


def read_rates(folder: Path) -> list[PostsRate]:
    """The data in `folder`, summed up by kind of town; SettingsError if there are none."""
    rates = sum_up(read_rows(folder / TURNS, PostsTurn))
    if not rates:
        raise SettingsError(f"{folder / TURNS} is empty: run the experiment again")
    return rates


def find(folder: Path) -> Findings:
    """Sums up the data in `folder`; SettingsError if there are none."""
    made, rates, cores = read_plan(folder, PostsPlan), read_rates(folder), read_record(folder).cores
    first, best = rates[0], max(rates, key=lambda rate: rate.per_s)
    sentences = (
        f"{first.name} reached {first.per_s:,.0f} purchases a second with {made.customers} customers; the most, "
        f"{best.per_s:,.0f}, came from {best.name}: {best.per_s / first.per_s:.2f} times as many.",
        _limit(best, cores),
        "Processor time of a purchase, in ms: "
        + ", ".join(f"{_cpu_ms(each):.2f} ({each.name})" for each in rates)
        + f"; so {cores} cores are good for at most "
        + ", ".join(f"{1000 * cores / _cpu_ms(each):,.0f}" for each in rates)
        + " a second.",
    )
    table = Table(
        title="As posts are added",
        columns=(
            "town",
            "purchases a second",
            "worst and best turn",
            "p50 ms",
            "p99 ms",
            *(f"cores of {user}" for user in USERS),
        ),
        rows=tuple(
            (
                each.name,
                f"{each.per_s:,.0f}",
                f"{each.worst_turn_per_s:,.0f} to {each.best_turn_per_s:,.0f}",
                shown(each.p50_ms),
                shown(each.p99_ms),
                *(f"{each.cores[user]:.2f}" for user in USERS),
            )
            for each in rates
        ),
    )
    return Findings(sentences=sentences, tables=(table,))


def _limit(rate: PostsRate, cores: int) -> str:
    """Says what the most posts were limited by, as far as the processors show it."""
    used = sum(rate.cores.values())
    most = max(USERS, key=lambda user: rate.cores[user])
    shares = ", ".join(f"{user} {rate.cores[user]:.2f}" for user in USERS)
    if used > _FULL * cores:
        return f"There the processors are the limit: {used:.2f} of {cores} cores were at work, most of all {most}."
    return f"There {used:.2f} of {cores} cores were at work ({shares}): others had the rest, or all waited."


def _cpu_ms(rate: PostsRate) -> float:
    """The processor time of a purchase, whoever used it."""
    return sum(rate.cpu_ms.values())


KIND = Kind(
    name="posts",
    about="Purchases a second at 1, 2 and 4 posts, on one mongod and on one each, and who uses the processors.",
    beside="",
    plan=plan,
    find=find,
)
