"""What may be seen of a peer from outside: for simulators, judges and tests. Nothing can be changed through it."""

from __future__ import annotations

from peers.core.context import Context
from peers.core.membership.members import Member


class PeerView:
    """A peer as it is at the moment of asking."""

    __slots__ = ("_ctx",)

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    @property
    def me(self) -> Member:
        """Its own record, in its present incarnation."""
        return self._ctx.me

    @property
    def in_office(self) -> bool:
        """Whether it believes that it is the trader in office."""
        return self._ctx.in_office

    @property
    def term(self) -> int:
        """The latest term that it has heard of."""
        return self._ctx.view.term

    @property
    def trader(self) -> Member | None:
        """Whom it takes for the trader in office, None where it knows of none."""
        return self._ctx.trader()

    @property
    def is_vacant(self) -> bool:
        """Whether it believes that nobody is in office."""
        return self._ctx.view.vacant

    @property
    def neighbours(self) -> tuple[int, ...]:
        """The ranks next to it in its own picture of the graph."""
        return self._ctx.neighbours

    @property
    def clock_time(self) -> int:
        """The logical time of its clock."""
        return self._ctx.clock.stamp().time

    def member(self, rank: int) -> Member | None:
        """What it knows of the peer of that rank, None for a rank it has never heard of."""
        return self._ctx.members.get(rank)

    def is_up(self, rank: int) -> bool:
        """Whether it takes the peer of that rank for alive."""
        return self._ctx.members.is_up(rank)
