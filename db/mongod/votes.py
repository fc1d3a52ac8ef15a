"""Who of a replica set votes, and what may be lost: pure, from what the set says of itself.

A set whose voters are an even number stands still after the same number of losses as with one voter less, and two
voters are worse than one: then the loss of either stops trade. So whoever joins is a copy without a vote at first.
Votes are given once those with and without one make an odd number of three or more that have all there is to have,
one vote at a time, as the server asks for (its reconfiguration is that of Schultz et al., "Design and Analysis of a
Logless Dynamic Reconfiguration Protocol", 2021: one voter a step, each committed before the next). Between two such
steps the voters are an even number for some milliseconds; should the set be left there, the last vote is taken back.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

FEWEST = 3
"""With fewer voters than this, none may be lost."""

MOST_LAG_S = 5.0
"""Who is further behind the primary gets no vote yet. No setting: what was missed for longer is not caught up in the
time that a purchase may take, and from the first vote on purchases wait for it."""


class Replica(msgspec.Struct, frozen=True, kw_only=True):
    """One member of the set. `number` is its `_id` there; `state`: as the server calls it, such as `SECONDARY`;
    `lag_s`: how far it is behind the primary, in seconds, None where that cannot be told; `is_leaving`: its
    machine has said that it leaves, and is not back."""

    number: int
    address: str
    votes: int
    state: str
    lag_s: float | None = None
    is_leaving: bool = False

    @property
    def is_primary(self) -> bool:
        """Whether it takes the writes."""
        return self.state == "PRIMARY"

    @property
    def is_well(self) -> bool:
        """Whether it is there, and has the books or follows who has."""
        return self.state in ("PRIMARY", "SECONDARY")

    @property
    def is_abreast(self) -> bool:
        """Whether it may be given a vote."""
        return self.is_well and not self.is_leaving and self.lag_s is not None and self.lag_s <= MOST_LAG_S


class SetView(msgspec.Struct, frozen=True):
    """The set as one of its members saw it."""

    replicas: tuple[Replica, ...]

    @property
    def primary(self) -> Replica | None:
        """Who takes the writes; None while nobody does."""
        return next((each for each in self.replicas if each.is_primary), None)

    @property
    def voters(self) -> tuple[Replica, ...]:
        """Those of whom a majority decides."""
        return tuple(each for each in self.replicas if each.votes)

    @property
    def spare(self) -> int:
        """How many more voters may be lost before trade stops; less than 0 where it has stopped."""
        return sum(each.is_well for each in self.voters) - (len(self.voters) // 2 + 1)

    def has(self, address: str) -> bool:
        """Whether a member at `address` belongs to it, and has not said that it leaves."""
        return any(each.address == address and not each.is_leaving for each in self.replicas)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Of all members, with or without a vote."""
        return tuple(each.address for each in self.replicas)


class Vote(msgspec.Struct, frozen=True):
    """A change of one vote: the member's number in the set, and the votes it is to have."""

    number: int
    votes: int


class HandOver(msgspec.Struct, frozen=True):
    """The primary is to let another be elected."""


def next_step_to_leave(view: SetView, ours: Collection[str]) -> Vote | HandOver | None:
    """Returns what is next to be done before the members at `ours` can go and trade go on, None if nothing (more) is.

    Whoever is away gives up its vote first: with it, and without ours, the others might be no majority."""
    if view.primary is None:
        return None
    going = [each for each in view.voters if each.address in ours]
    staying = [each for each in view.voters if each.address not in ours]
    if not going:
        return None
    if not any(each.is_well for each in staying):
        heirs = [each for each in view.replicas if each.address not in ours and not each.votes and each.is_abreast]
        return Vote(heirs[0].number, 1) if heirs else None
    away = [each for each in staying if not each.is_well]
    if away:
        return Vote(away[0].number, 0)
    return HandOver() if view.primary in going else Vote(going[0].number, 0)


def next_vote(view: SetView) -> Vote | None:
    """Returns the one change of a vote that is next to be made, None if all is as it should be."""
    if view.primary is None:
        return None
    voters = view.voters
    copies = [each for each in view.replicas if not each.votes and each.is_abreast]
    reached = len(voters) + len(copies)
    wanted = reached - 1 + reached % 2  # the largest odd number up to that
    if wanted >= FEWEST and wanted > len(voters):
        return Vote(copies[0].number, 1)
    if len(voters) % 2:
        return None
    # Whoever is away costs nothing; of those who are there the last that came.
    droppable = sorted(
        (each for each in voters if not each.is_primary), key=lambda each: (each.is_well, -each.number)
    )
    return Vote(droppable[0].number, 0) if droppable else None


def what_may_be_lost(view: SetView, wanted: int) -> str:
    """Returns one line for people: which members there are, and which of them trade can do without just now.

    `wanted`: how many members the set is to have."""
    primary = view.primary
    away = [each.address for each in view.voters if not each.is_well]
    if primary is None:
        if view.spare >= 0:
            return "the books have no primary just now; their members elect one, and trade goes on then"
        return f"the books have no majority, and trade waits until {' or '.join(away)} is back"
    others = [each for each in view.replicas if not each.is_primary]
    listed = ", ".join([f"{primary.address} (primary)", *(_described(each) for each in others)])
    count = len(view.replicas)
    members = f"the books have {'1 member' if count == 1 else f'{count} members'}: {listed}"
    if len(view.voters) == 1:
        missing = max(FEWEST, wanted) - count
        until = f"until {_more(missing)}" if missing > 0 else "until all have caught up"
        return f"{members}; {until}, trade stops if {primary.address} is lost"
    if view.spare < 0:  # The primary has not noticed yet, and steps down within a second or two.
        return f"{members}; they are no majority, and trade waits until {' or '.join(away)} is back"
    if view.spare == 0:
        back = f" until {' or '.join(away)} is back" if away else ""
        return f"{members}; if one more is lost, trade stops{back}"
    return f"{members}; any {'one' if view.spare == 1 else view.spare} of them may be lost, and trade goes on"


def _described(replica: Replica) -> str:
    if not replica.is_well:
        how = "catching up" if replica.state in ("STARTUP", "STARTUP2", "RECOVERING", "ROLLBACK") else "away"
        return f"{replica.address} ({how})"
    return replica.address if replica.votes else f"{replica.address} (a copy, without a vote yet)"


def _more(number: int) -> str:
    return "1 more has joined" if number == 1 else f"{number} more have joined"
