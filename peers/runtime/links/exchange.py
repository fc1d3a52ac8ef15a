"""Passes on between links and core: parcels that come are taken in, and messages of the core are put into parcels.

A delivery is answered with what handling it made this peer say to the very sender.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NoReturn, Protocol

from peers.core.inputs import Input, PeerGone, Received
from peers.core.membership.members import Member
from peers.core.messages import LinkMessage, MemberNews
from peers.errors import PostClosed
from peers.rpc.speakers import at_home
from peers.rpc.wire import Parcel
from peers.runtime.links.cuts import Cuts


class Step(Protocol):
    """Gives the core one input, under the core's lock. `back` collects what is for `sender`."""

    def __call__(
        self, event: Input, *, back: list[LinkMessage] | None = None, sender: int | None = None
    ) -> object: ...


Known = Callable[[], Sequence[Member]]
"""Gives the members that the core knows of, under the core's lock."""


class LinkExchange:
    """The exchange of the peer of `rank`, which is in `incarnation`. Any thread may call its methods."""

    def __init__(
        self,
        rank: int,
        incarnation: int,
        step: Step,
        lock: threading.Lock,
        begun: threading.Event,
        timeout_s: float,
        known: Known | None = None,
    ) -> None:
        # Whose records are not moved to other machines by hearsay; None where machines cannot be told apart.
        self._known = known
        self.incarnation = incarnation
        self.cuts = Cuts()
        self._rank = rank
        self._step = step
        self._lock = lock
        self._begun = begun
        self._timeout_s = timeout_s

    def is_prompt(self, sender: int) -> bool:
        """Whether `deliver` takes in at once what comes from there."""
        return self._begun.is_set() and not (self.cuts.deafens(sender) or self.cuts.mutes(sender))

    def deliver(self, parcel: Parcel) -> Parcel:
        """Takes in what came along a link; returns what handling it made this peer say to the sender.

        Raises PostClosed, late, where the link is cut.
        """
        back: list[LinkMessage] = []
        if self.cuts.deafens(parcel.sender):
            self._leave_unanswered()
        # Others may have begun a little earlier than this peer, which waits rather than lose what they say.
        if self._begun.wait(self._timeout_s / 2):
            with self._lock:
                self._take_in(parcel, back)
        if self.cuts.mutes(parcel.sender):
            self._leave_unanswered()
        return self.seal(tuple(back))

    def seal(self, messages: tuple[LinkMessage, ...]) -> Parcel:
        """Returns a parcel of these messages, from this peer in its present incarnation."""
        return Parcel(sender=self._rank, incarnation=self.incarnation, messages=messages)

    def received(self, parcel: Parcel) -> None:
        """Takes in what came back on our own call."""
        with self._lock:
            self._take_in(parcel, None)

    def gone(self, rank: int, incarnation: int) -> None:
        """Nobody listens any more where that peer was."""
        with self._lock:
            self._step(PeerGone(rank=rank, incarnation=incarnation))

    def _take_in(self, parcel: Parcel, back: list[LinkMessage] | None) -> None:
        for said in parcel.messages:
            message = self._at_home(said)
            event = Received(sender=parcel.sender, incarnation=parcel.incarnation, message=message)
            self._step(event, back=back, sender=parcel.sender)

    def _at_home(self, message: LinkMessage) -> LinkMessage:
        if self._known is None or not isinstance(message, MemberNews):
            return message
        known = {member.rank: member for member in self._known()}
        return at_home(message, known.get)

    def _leave_unanswered(self) -> NoReturn:
        """Refuses so late that nobody waits for it any more; the thread is the caller's own."""
        time.sleep(2 * self._timeout_s)
        raise PostClosed(why="the link is cut")
