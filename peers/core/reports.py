"""What a peer tells people: events with a sentence each, for the console, the log, the journal and the simulator."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from peers.core.leadership.reasons import VacancyReason
from peers.core.leadership.state import LeadershipEvent, LeadershipState, LeadershipTransition
from peers.core.market.records import Deposit, Offer, Outcome, PurchaseRequest
from peers.core.state_machine import Transition


class Report(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=True):
    """Something worth telling. `peer` is who tells it."""

    peer: str

    def sentence(self) -> str | None:
        """One plain line for the console, None for what only the journal keeps."""
        return None


class Opened(Report, frozen=True, kw_only=True):
    role: str
    neighbours: tuple[str, ...]

    def sentence(self) -> str:
        return f"{self.peer} joins as {self.role}, next to {', '.join(self.neighbours) or 'nobody yet'}"


class LinksChanged(Report, frozen=True, kw_only=True):
    neighbours: tuple[str, ...]


class ElectionStarted(Report, frozen=True, kw_only=True):
    after_term: int
    attempt: int
    reason: VacancyReason

    def sentence(self) -> str:
        again = f", attempt {self.attempt + 1}" if self.attempt else ""
        return (
            f"{self.peer} starts an election (the last trader {self.reason.sentence}{again})"
            if self.after_term or self.reason is not VacancyReason.START
            else f"{self.peer} starts the first election{again}"
        )


class Elected(Report, frozen=True, kw_only=True):
    rank: int
    term: int
    pending: int
    took_ms: float
    area: str = ""

    def sentence(self) -> str:
        where = f" of {self.area}" if self.area else ""
        return (
            f"{self.peer}: Dear buyers and sellers, My ID is {self.rank}, and I am the new coordinator{where} "
            f"(term {self.term}, after {self.took_ms:.0f} ms, {self.pending} pending)"
        )


class LeftOffice(Report, frozen=True, kw_only=True):
    term: int
    reason: VacancyReason
    sales: int

    def sentence(self) -> str:
        return f"{self.peer} leaves office after {self.sales} sales (term {self.term}, {self.reason.value})"


class TookOver(Report, frozen=True, kw_only=True):
    """A trader stands in for that of another area, which is gone."""

    area: str
    term: int
    pending: int

    def sentence(self) -> str:
        return f"{self.peer}: I have taken over {self.area} (term {self.term}, {self.pending} pending)"


class GaveBack(Report, frozen=True, kw_only=True):
    """A trader stands in for another area no more: `to` is trader there, None where this one is none itself now."""

    area: str
    term: int
    to: str | None
    sales: int

    def sentence(self) -> str:
        why = f"{self.to} is trader there" if self.to else "I am in office no more"
        return f"{self.peer} gives {self.area} back after {self.sales} sales (term {self.term}): {why}"


class EntryRefused(Report, frozen=True, kw_only=True):
    """The ledger refused a write of a trader that had been deposed without knowing it."""

    term: int
    current_term: int
    by: str | None

    def sentence(self) -> str:
        return (
            f"{self.peer}: my commit of term {self.term} was refused, "
            f"{self.by or 'somebody'} holds term {self.current_term}"
        )


class LeadershipChanged(Report, frozen=True, kw_only=True):
    """Log: what a peer is to the post of trader has changed, by a row of the table of transitions."""

    before: LeadershipState
    by: LeadershipEvent
    after: LeadershipState

    @property
    def transition(self) -> LeadershipTransition:
        return Transition(self.before, self.by, self.after)


class LedgerTrouble(Report, frozen=True, kw_only=True):
    why: str

    def sentence(self) -> str:
        return f"{self.peer}: the books cannot be reached, trade pauses ({self.why})"


class LedgerBack(Report, frozen=True, kw_only=True):
    def sentence(self) -> str:
        return f"{self.peer}: the books are back, trade goes on"


class JournalTrouble(Report, frozen=True, kw_only=True):
    why: str

    def sentence(self) -> str:
        return f"{self.peer} cannot write its journal ({self.why}), and asks for nothing until it can"


class JournalBack(Report, frozen=True, kw_only=True):
    def sentence(self) -> str:
        return f"{self.peer} can write its journal again, and goes on"


class CutOff(Report, frozen=True, kw_only=True):
    """A candidate found that the trader it cannot reach is at work."""

    trader: str

    def sentence(self) -> str:
        return f"{self.peer}: {self.trader} cannot be reached, but trades on in the books; it stays trader"


class FalseTerm(Report, frozen=True, kw_only=True):
    """Others spoke of `term`, or this peer believed in it; by the books there is none later than `books_term`."""

    term: int
    books_term: int

    def sentence(self) -> str:
        return (
            f"{self.peer} heard of a term {self.term}, which is not in the books: the last one there is "
            f"{self.books_term}, and that counts (somebody lies, or the books were restored to an older state)"
        )


class Lost(Report, frozen=True, kw_only=True):
    lost: str

    def sentence(self) -> str:
        return f"{self.peer} notices that {self.lost} is gone"


class Returned(Report, frozen=True, kw_only=True):
    incarnation: int

    def sentence(self) -> str:
        return f"{self.peer} had been taken for gone, and is back"


class Crashes(Report, frozen=True, kw_only=True):
    term: int

    def sentence(self) -> str:
        return f"{self.peer} crashes in term {self.term}, as chance would have it"


class Demoted(Report, frozen=True, kw_only=True):
    """`incarnation` is the new one, with which the others learn of the new role."""

    role: str
    incarnation: int

    def sentence(self) -> str:
        return f"{self.peer} goes on as {self.role}"


class Asked(Report, frozen=True, kw_only=True):
    """Journal: a purchase was asked for (again)."""

    request: PurchaseRequest


class Answered(Report, frozen=True, kw_only=True):
    """A buyer was told an outcome."""

    outcome: Outcome

    def sentence(self) -> str:
        request, sale = self.outcome.request, self.outcome.sale
        if sale is None:
            return f"{self.peer}: no {request.item} to be had ({self.outcome.reason})"
        tied = ", concurrent" if self.outcome.concurrent else ""
        return (
            f"{self.peer} bought {request.item} from {sale.seller} "
            f"({request.quantity} at {sale.price}, #{self.outcome.seq}{tied})"
        )


class Promised(Report, frozen=True, kw_only=True):
    """Journal: a trader that keeps a cache of the stock promised a buyer what it asks for, before it is recorded."""

    request: PurchaseRequest


class PromiseBroken(Report, frozen=True, kw_only=True):
    """A buyer was promised what it asked for, and was not sold it: another trader had sold it first."""

    request: PurchaseRequest

    def sentence(self) -> str:
        return f"{self.peer}: promised {self.request.quantity} {self.request.item}, but they were gone: taken back"


class Deposited(Report, frozen=True, kw_only=True):
    """A seller was told that its deposit is recorded."""

    deposit: Deposit

    def sentence(self) -> str:
        offer = self.deposit.offer
        return f"{self.peer} deposited {offer.quantity} {offer.item} at {offer.price}"


class Offered(Report, frozen=True, kw_only=True):
    """Journal: a deposit was asked for (again)."""

    offer: Offer


class Earned(Report, frozen=True, kw_only=True):
    """A seller was told of a sale. `left` is what its deposit still holds, as far as it knows."""

    outcome: Outcome
    earned: Decimal
    left: int

    def sentence(self) -> str:
        request = self.outcome.request
        return (
            f"{self.peer} earned {self.earned} for {request.quantity} {request.item} "
            f"from {request.buyer}, {self.left} left"
        )


class GoodsLost(Report, frozen=True, kw_only=True):
    """A seller lost `units` of what it had deposited and still held. `holds` is what it has left of that deposit."""

    deposit: str
    item: str
    units: int
    holds: int

    def sentence(self) -> str:
        return (
            f"{self.peer} lost {self.units} {self.item} that it had deposited, and still holds {self.holds} of them"
        )


class CannotFill(Report, frozen=True, kw_only=True):
    """Journal: a seller was told of a sale, and does not have the goods; it asks the trader to take the sale back."""

    outcome: Outcome


class TookBack(Report, frozen=True, kw_only=True):
    """A seller was told that a sale of its goods was taken back."""

    outcome: Outcome

    def sentence(self) -> str | None:
        outcome, reversal = self.outcome, self.outcome.taken_back
        if reversal is None:
            return None
        back = f"taken back, {reversal.amount} returned to {outcome.request.buyer}"
        return f"{self.peer} cannot honour #{outcome.seq}: {back}"


class GotBack(Report, frozen=True, kw_only=True):
    """A buyer was told that a purchase of its was taken back."""

    outcome: Outcome

    def sentence(self) -> str | None:
        request, sale, reversal = self.outcome.request, self.outcome.sale, self.outcome.taken_back
        if sale is None or reversal is None:
            return None
        goods = f"{request.quantity} {request.item}"
        return f"{self.peer} got back {reversal.amount} for #{self.outcome.seq} ({sale.seller} has no {goods})"


class Rejected(Report, frozen=True, kw_only=True):
    """The trader found this peer's own call malformed: their settings differ, or there is a bug."""

    why: str

    def sentence(self) -> str:
        return f"{self.peer} was turned away: {self.why}"


class Slept(Report, frozen=True, kw_only=True):
    sleep_s: float

    def sentence(self) -> str:
        return f"{self.peer} sleeps for {self.sleep_s:g} s"


class Departed(Report, frozen=True, kw_only=True):
    def sentence(self) -> str:
        return f"{self.peer} leaves the market"


AnyReport = (
    Opened | LinksChanged | ElectionStarted | Elected | LeftOffice | TookOver | GaveBack | EntryRefused
    | LeadershipChanged | LedgerTrouble | LedgerBack | CutOff | Lost | Returned | Crashes | Demoted | Asked | Answered
    | Promised | PromiseBroken | Deposited | Offered | Earned | GoodsLost | CannotFill | TookBack | GotBack | Rejected
    | Slept | Departed | JournalTrouble | JournalBack | FalseTerm
)  # fmt: skip
"""For decoding a report from JSON: `msgspec.json.decode(line, type=AnyReport)`."""
