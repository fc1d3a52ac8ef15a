"""The judge: what a schedule's peers were told, held against the books, while it runs and at its end.

Stands apart from what it judges. The invariants are those of `db.audit.invariants`, the same that the audit uses.
Some things are asked at once, because the end would hide them: that nobody is told what is not recorded *yet*, and
that a term is won once. And some are asked only here, where it is known that all is calm: that everybody who asked
was answered, that sellers heard of every sale, that all agree on the trader and on the time, and that the books hold
nothing that no peer ever asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from db.audit.invariants import check_books
from db.audit.rows import JournalEntry
from db.schema.documents import PLAIN, Document, deposit_document, outcome_document
from peers.core.commands import NotifySales, Respond
from peers.core.market.records import Deposit, Offer, Outcome, PurchaseRequest, clock_of
from peers.core.reports import Answered, Asked, Deposited, Earned, Elected, Offered, Rejected, Report
from peers.simulator.process import Process

if TYPE_CHECKING:
    from peers.simulator.world import World


class Breach(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """An invariant that did not hold, and how."""

    invariant: str
    what: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.what}"


class Judge:
    """Watches one schedule."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._breaches: list[Breach] = []
        self._journal: list[tuple[int, Report]] = []
        self._asked: dict[str, str | None] = {}  # uri of a process -> the request it waits for
        self._requests: dict[str, tuple[str, PurchaseRequest]] = {}  # as asked, and by which process
        self._offers: dict[str, Offer] = {}
        self._heard: dict[str, set[int]] = {}  # uri of a process -> sales it was told of
        self._trader_of: dict[int, str] = {}

    def violate(self, invariant: str, what: str) -> None:
        """Notes a breach seen while the schedule ran."""
        self._breaches.append(Breach(invariant=invariant, what=f"at {self._world.now_s:.4f}: {what}"))

    # -- while it runs -------------------------------------------------------------------------------------

    def on_report(self, process: Process, report: Report) -> None:
        kind = type(report)
        if kind is Asked:
            assert isinstance(report, Asked)
            request = report.request
            self._asked[process.uri] = request.request_id
            self._requests[request.request_id] = (process.uri, request)
        elif kind is Offered:
            assert isinstance(report, Offered)
            self._offers[report.offer.deposit_id] = report.offer
        elif kind is Answered or kind is Rejected:
            self._asked[process.uri] = None
        elif kind is Earned:
            assert isinstance(report, Earned)
            self._heard.setdefault(process.uri, set()).add(report.outcome.seq)
        elif kind is Elected:
            assert isinstance(report, Elected)
            self._on_elected(report)
        if kind in _JOURNALED:
            self._journal.append((self._world.wall_ms(process), report))

    def _on_elected(self, report: Elected) -> None:
        first = self._trader_of.setdefault(report.term, report.peer)
        if first != report.peer:
            self.violate("one_trader_a_term", f"{first} and {report.peer} both hold term {report.term}")

    def on_answer(self, source: Process, command: Respond) -> None:
        """Nobody may be told of what is not recorded yet."""
        reply = command.reply
        if isinstance(reply, Outcome):
            self._check_outcome(source, reply)
        elif isinstance(reply, Deposit):
            held = self._world.road.ledger.recorded_deposit(reply.offer.deposit_id)
            if held is None or held[0].offer != reply.offer or held[1] > reply.remaining:
                self._too_early(source, f"{reply.remaining} left in the deposit {reply.offer.deposit_id}")

    def on_told(self, source: Process, command: NotifySales) -> None:
        for outcome in command.sales:
            self._check_outcome(source, outcome)

    def _check_outcome(self, source: Process, outcome: Outcome) -> None:
        if self._world.road.ledger.recorded(outcome.request.request_id) != outcome:
            self._too_early(source, f"{outcome.status} for {outcome.request.request_id}, seq {outcome.seq}")

    def _too_early(self, source: Process, what: str) -> None:
        self.violate("acknowledged_is_recorded", f"{source.name} told of {what}; the ledger does not say so")

    # -- at the end ----------------------------------------------------------------------------------------

    def verdict(self) -> list[Breach]:
        """Judges a schedule that has come to rest."""
        world, breaches = self._world, list(self._breaches)
        live = [p for p in world.processes if p.up]
        documents = world.road.ledger.documents()
        names = {p.rank: p.name for p in live}
        verdict = check_books(
            documents["requests"],
            documents["deposits"],
            documents["posts"],
            log=documents["log"],
            elections=documents["elections"],
            journals=[journal_entry(at_ms, report) for at_ms, report in self._journal],
            graph={p.name: [names.get(r, f"gone {r}") for r in p.ctx.neighbours] for p in live},
            commission_rate=world.settings.market.commission_rate,
        )
        breaches += [Breach(invariant=v.invariant, what=str(v)) for v in verdict.violations]
        breaches += [
            Breach(invariant=f.invariant, what=f.why) for f in verdict.findings if f.state == "could not tell"
        ]
        breaches += self._at_rest(live, documents)
        breaches += self._clocks(live)
        breaches += self._invented(documents)
        return breaches

    def _clocks(self, live: list[Process]) -> Iterator[Breach]:
        """What a peer has stamped, everybody has heard of by now. (A trader's own clock stays behind, by intent.)"""
        up = {process.uri for process in live}
        stamps = [request.clock.time for uri, request in self._requests.values() if uri in up]
        for process in live:
            time = process.ctx.clock.stamp().time
            if stamps and time < max(stamps) and not process.ctx.in_office:
                yield Breach(
                    invariant="clocks_agree", what=f"{process.name}'s clock is {time}; a peer's was {max(stamps)}"
                )

    def _invented(self, documents: dict[str, list[Document]]) -> Iterator[Breach]:
        """Every record of a peer is one it asked for, as it asked for it."""
        names = {process.name for process in self._world.processes}
        for document in documents["requests"]:
            record_id = document["_id"]
            _, request = self._requests.get(record_id, ("", None))
            if document["buyer"] in names and (request is None or request.item != document["item"]):
                yield Breach(invariant="nothing_invented", what=f"{document['buyer']} never asked for {record_id}")
        for document in documents["deposits"]:
            offer = self._offers.get(document["_id"])
            if document["seller"] in names and (offer is None or offer.price != document["price"]):
                yield Breach(
                    invariant="nothing_invented", what=f"{document['seller']} never offered {document['_id']}"
                )

    def _at_rest(self, live: list[Process], documents: dict[str, list[Document]]) -> list[Breach]:
        breaches = []
        post = self._world.road.post()
        sold: dict[str, set[int]] = {}
        for document in documents["requests"]:
            if document["status"] == "sold":
                sold.setdefault(document["seller"], set()).add(document["seq"])
        for process in live:
            view, waits_for = process.ctx.view, self._asked.get(process.uri)
            trader = process.ctx.trader()
            if trader is None or (view.term, trader.name) != (post.term, post.trader):
                what = (
                    f"{process.name} takes {trader and trader.name} for the trader of term {view.term}; it is {post}"
                )
                breaches.append(Breach(invariant="one_trader_at_rest", what=what))
            if process.ctx.in_office != (process.name == post.trader):
                what = (
                    f"{process.name} believes itself {'' if process.ctx.in_office else 'not '}in office; it is {post}"
                )
                breaches.append(Breach(invariant="one_trader_at_rest", what=what))
            if process.ctx.in_office:
                continue  # it neither buys nor sells, and asks when it is out again
            if waits_for is not None:
                breaches.append(Breach(invariant="everyone_answered", what=f"{process.name} waits for {waits_for}"))
            missed = sold.get(process.name, set()) - self._heard.get(process.uri, set())
            if missed:
                what = f"{process.name} has not heard of the sales {sorted(missed)}"
                breaches.append(Breach(invariant="every_sale_heard", what=what))
        return breaches


_JOURNALED = frozenset((Asked, Answered, Deposited, Earned))


def journal_entry(at_ms: int, report: Report) -> JournalEntry:
    """A line of a journal, as a host writes it of this report."""
    if isinstance(report, Asked):
        request = report.request
        asked = {
            "request_id": request.request_id,
            "buyer": request.buyer,
            "item": request.item,
            "quantity": request.quantity,
            "clock": clock_of(request.clock),
        }
        return JournalEntry(kind="asked", peer=report.peer, at_ms=at_ms, request=asked)
    if isinstance(report, Answered):
        return JournalEntry(
            kind="told", peer=report.peer, at_ms=at_ms, outcome=outcome_document(report.outcome, PLAIN)
        )
    if isinstance(report, Deposited):
        return JournalEntry(
            kind="deposited", peer=report.peer, at_ms=at_ms, deposit=deposit_document(report.deposit, PLAIN)
        )
    assert isinstance(report, Earned)
    outcome = report.outcome
    assert outcome.sale is not None
    sale = {
        "request_id": outcome.request.request_id,
        "seq": outcome.seq,
        "item": outcome.request.item,
        "quantity": outcome.request.quantity,
        "buyer": outcome.request.buyer,
        "price": outcome.sale.price,
        "earned": report.earned,
    }
    return JournalEntry(kind="earned", peer=report.peer, at_ms=at_ms, sale=sale)
