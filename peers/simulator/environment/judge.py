"""The judge: what a schedule's peers were told, held against the books, while it runs and at its end.

Stands apart from what it judges. The invariants are those of `db.audit.invariants`, the same that the audit uses.
Some things are asked at once, because the end would hide them: that nobody is told what is not recorded *yet*, and
that a term is won once. And some are asked only here, where it is known that all is calm: that everybody who asked
was answered, that sellers heard of every sale, that all agree on the trader and on the time, and that the books hold
nothing that no peer ever asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from db.audit.checkers.acknowledgements import subject_of
from db.audit.checkers.graph import GraphSound
from db.audit.invariants import check_books
from db.audit.rows import JournalEntry
from db.ledger.memory import MemoryLedger
from db.schema.forms import Document
from peers.core.commands import NotifySales, Respond
from peers.core.inputs import HandedOver
from peers.core.journal import JOURNALED, handed_over_in, journal_line
from peers.core.market.records import Deposit, Offer, Outcome, PurchaseRequest
from peers.core.reports import (
    Answered,
    Asked,
    CannotFill,
    Deposited,
    Earned,
    Elected,
    GotBack,
    Offered,
    PromiseBroken,
    Promised,
    Rejected,
    Report,
    TookBack,
    TookOver,
)
from peers.core.settings import Settings
from peers.simulator.environment.process import Process
from peers.simulator.environment.record import Breach, Record
from peers.simulator.environment.schedule import EPOCH_MS, Schedule

_BOOT = "simulated"
"""All simulated processes share one clock, and it is true."""


class Judge:
    """Watches one schedule."""

    def __init__(self, schedule: Schedule, record: Record, ledger: MemoryLedger, settings: Settings) -> None:
        self._schedule = schedule
        self._record = record
        self._ledger = ledger
        self._settings = settings
        self._journals: list[JournalEntry] = []
        # What the journals must say by the end: peer, kind of entry, and id of the request or deposit.
        self._witnessed: set[tuple[str, str, str]] = set()
        # By the uri of a process, the request it waits for; None once it was answered.
        self._asked: dict[str, str | None] = {}
        # By its id, each request as it was asked, and the uri of the process that asked it.
        self._requests: dict[str, tuple[str, PurchaseRequest]] = {}
        self._offers: dict[str, Offer] = {}
        # By the uri of a process, the numbers of the sales it was told of.
        self._heard: dict[str, set[int]] = {}
        # By the uri of a process, the requests that it cannot fill, and those whose reversal it was told of.
        self._unfilled: dict[str, set[str]] = {}
        self._told_back: dict[str, set[str]] = {}
        # By area and term.
        # By the uri of a process, the requests that it was promised and not told since that the promise was broken.
        self._promised: dict[str, set[str]] = {}
        self._trader_of: dict[tuple[str, int], str] = {}
        self._take_note: dict[type[Report], Callable[[Process, Any], None]] = {
            Asked: self._on_asked,
            Answered: self._on_answered,
            Promised: self._on_promised,
            PromiseBroken: self._on_promised,
            Rejected: self._on_rejected,
            Offered: self._on_offered,
            Deposited: self._on_deposited,
            Earned: self._on_earned,
            CannotFill: self._on_cannot_fill,
            TookBack: self._on_taken_back,
            GotBack: self._on_taken_back,
            Elected: self._on_elected,
            TookOver: self._on_took_over,
        }

    # -- while it runs -------------------------------------------------------------------------------------

    def on_report(self, process: Process, report: Report) -> None:
        """A process says something: what it was told, asked for, or became."""
        take_note = self._take_note.get(type(report))
        if take_note is not None:
            take_note(process, report)
        line = journal_line(report) if isinstance(report, JOURNALED) else None
        if line is not None:
            self._write(self._schedule.wall_ms(process), report.peer, line)

    def _write(self, at_ms: int, peer: str, line: dict[str, Any]) -> None:
        written = {"at_ms": at_ms, "boot": _BOOT, "mono_us": int(self._schedule.now_s * 1_000_000), "peer": peer}
        self._journals.append(msgspec.convert({**written, **line}, JournalEntry))

    @property
    def known_requests(self) -> list[str]:
        """The ids of all that peers asked for, in the order in which they did."""
        return list(self._requests)

    def on_read(self, name: str, read: dict[str, object]) -> None:
        """A customer that only looks saw this."""
        self._write(EPOCH_MS + int(self._schedule.now_s * 1000), name, {"kind": "read", "read": read})

    def _on_asked(self, process: Process, report: Asked) -> None:
        request = report.request
        self._asked[process.uri] = request.request_id
        self._requests[request.request_id] = (process.uri, request)
        self._witnessed.add((report.peer, "asked", request.request_id))

    def _on_answered(self, process: Process, report: Answered) -> None:
        self._asked[process.uri] = None
        self._witnessed.add((report.peer, "told", report.outcome.request.request_id))

    def _on_promised(self, process: Process, report: Promised | PromiseBroken) -> None:
        request_id = report.request.request_id
        if isinstance(report, Promised):
            self._promised.setdefault(process.uri, set()).add(request_id)
            self._record.saw("a buyer was promised what it asks for")
        else:
            self._promised.get(process.uri, set()).discard(request_id)
            self._record.saw("a promise was broken, and the buyer told")

    def _on_rejected(self, process: Process, _report: Rejected) -> None:
        self._asked[process.uri] = None

    def _on_offered(self, _process: Process, report: Offered) -> None:
        self._offers[report.offer.deposit_id] = report.offer

    def _on_deposited(self, _process: Process, report: Deposited) -> None:
        self._witnessed.add((report.peer, "deposited", report.deposit.offer.deposit_id))

    def _on_earned(self, process: Process, report: Earned) -> None:
        self._heard.setdefault(process.uri, set()).add(report.outcome.seq)
        self._witnessed.add((report.peer, "earned", report.outcome.request.request_id))

    def _on_cannot_fill(self, process: Process, report: CannotFill) -> None:
        self._heard.setdefault(process.uri, set()).add(report.outcome.seq)
        self._unfilled.setdefault(process.uri, set()).add(report.outcome.request.request_id)

    def _on_taken_back(self, process: Process, report: TookBack | GotBack) -> None:
        outcome = report.outcome
        self._check_outcome(process, outcome)
        kind = "took_back" if isinstance(report, TookBack) else "got_back"
        self._witnessed.add((report.peer, kind, outcome.request.request_id))
        told = self._told_back.setdefault(process.uri, set())
        if outcome.request.request_id in told:
            again = f"{report.peer} was told twice that {outcome.request.request_id} was taken back"
            self._record.violate("compensated_whole", again)
        told.add(outcome.request.request_id)

    def handed_over(self, name: str) -> tuple[HandedOver, ...]:
        """What a peer gave to buyers in its lives so far, by its journal."""
        lines = (entry for entry in self._journals if entry.peer == name)
        return handed_over_in({"kind": entry.kind, "sale": entry.sale} for entry in lines)

    def _on_elected(self, _process: Process, report: Elected) -> None:
        self._note_trader(report.area, report.term, report.peer)

    def _on_took_over(self, _process: Process, report: TookOver) -> None:
        self._note_trader(report.area, report.term, report.peer)

    def _note_trader(self, area: str, term: int, trader: str) -> None:
        first = self._trader_of.setdefault((area, term), trader)
        if first != trader:
            self._record.violate("one_trader_a_term", f"{first} and {trader} both hold term {term}")

    def on_answer(self, source: Process, command: Respond) -> None:
        """Nobody may be told of what is not recorded yet."""
        reply = command.reply
        if isinstance(reply, Outcome):
            self._check_outcome(source, reply, is_answer=True)
        elif isinstance(reply, Deposit):
            held = self._ledger.recorded_deposit(reply.offer.deposit_id)
            if held is None or held[0].offer != reply.offer or held[1] > reply.remaining:
                self._too_early(source, f"{reply.remaining} left in the deposit {reply.offer.deposit_id}")

    def on_told(self, source: Process, command: NotifySales) -> None:
        for outcome in command.sales:
            self._check_outcome(source, outcome)

    def _check_outcome(self, source: Process, outcome: Outcome, *, is_answer: bool = False) -> None:
        recorded = self._ledger.recorded(outcome.request.request_id)
        if isinstance(recorded, Outcome) and outcome.taken_back is None:
            undone = recorded.taken_back
            # A trader tells of what another area sold once it has read it; by then that may have been taken back. And
            # an answer is as of a moment after the question; how old it may be is judged by `reads`. Nor does one who
            # is deposed, and does not know it yet, know what its successor took back.
            if undone is not None and (source.area or is_answer or source.view.term < undone.term):
                recorded = msgspec.structs.replace(recorded, taken_back=None)
        if recorded != outcome:
            self._too_early(source, f"{outcome.status} for {outcome.request.request_id}, seq {outcome.seq}")

    def _too_early(self, source: Process, what: str) -> None:
        self._record.violate("acknowledged_is_recorded", f"{source.name} told of {what}; the ledger does not say so")

    # -- at the end ----------------------------------------------------------------------------------------

    def verdict(self, processes: Sequence[Process]) -> list[Breach]:
        """Judges a schedule that has come to rest; `processes` are all there ever were."""
        breaches = list(self._record.breaches)
        live = [p for p in processes if p.up]
        documents = self._ledger.documents()
        verdict = check_books(
            documents["requests"],
            documents["deposits"],
            documents["posts"],
            log=documents["log"],
            elections=documents["elections"],
            journals=self._journals,
            commission_rate=self._settings.market.commission_rate,
        )
        breaches += [Breach(invariant=v.invariant, what=str(v)) for v in verdict.violations]
        breaches += [
            Breach(invariant=f.invariant, what=f.why) for f in verdict.findings if f.state == "could not tell"
        ]
        for area in sorted({p.area for p in live}):
            there = [p for p in live if p.area == area]
            breaches += self._graph(there)
            breaches += self._clocks(there)
        breaches += self._at_rest(live, documents)
        breaches += self._invented(documents, {process.name for process in processes})
        breaches += self._unwritten()
        return breaches

    def _graph(self, live: list[Process]) -> Iterator[Breach]:
        """The peers of one area, as they see each other, form a sound graph."""
        names = {p.rank: p.name for p in live}
        graph = {p.name: [names.get(r, f"gone {r}") for r in p.view.neighbours] for p in live}
        for violation in GraphSound(graph, self._settings.graph).finish().violations:
            yield Breach(invariant=violation.invariant, what=str(violation))

    def _clocks(self, live: list[Process]) -> Iterator[Breach]:
        """What a peer has stamped, everybody has heard of by now. A trader's own clock stays behind, by design."""
        up = {process.uri for process in live}
        stamps = [request.clock.time for uri, request in self._requests.values() if uri in up]
        for process in live:
            time = process.view.clock_time
            if stamps and time < max(stamps) and not process.view.in_office:
                yield Breach(
                    invariant="clocks_agree", what=f"{process.name}'s clock is {time}; a peer's was {max(stamps)}"
                )

    def _unwritten(self) -> Iterator[Breach]:
        """What a peer asked for and was told stands in its journal: without its witness an audit sees nothing."""
        written = {(entry.peer, entry.kind, (subject_of(entry) or ("", ""))[1]) for entry in self._journals}
        for peer, kind, record_id in sorted(self._witnessed - written):
            what = f"the journal of {peer} does not say that {record_id} was {kind}"
            yield Breach(invariant="everything_journaled", what=what)

    def _invented(self, documents: dict[str, list[Document]], names: set[str]) -> Iterator[Breach]:
        """Every record of a peer is one it asked for, as it asked for it."""
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

    def _uncompensated(self, process: Process, documents: dict[str, list[Document]]) -> Iterator[Breach]:
        """What a peer could not fill was taken back, and of all that was, on either side, it was told."""
        told = self._told_back.get(process.uri, set())
        undone = {document["_id"]: document for document in documents["requests"] if "taken_back" in document}
        for request_id in sorted(self._unfilled.get(process.uri, set()) - undone.keys()):
            what = f"{process.name} cannot fill {request_id}, and it was not taken back"
            yield Breach(invariant="compensated_whole", what=what)
        for request_id, document in undone.items():
            if process.name in (document["buyer"], document["seller"]) and request_id not in told:
                what = f"{request_id} was taken back, and {process.name} was not told"
                yield Breach(invariant="compensated_whole", what=what)

    def seems_at_rest(self, processes: Sequence[Process]) -> bool:
        """Whether nobody waits for anything and all agree on the trader: then it is worth to ask for the verdict."""
        ledger = self._ledger
        if ledger.made < ledger.end or self._record.breaches:
            return False
        for process in processes:
            if process.up:
                view, post = process.view, ledger.post.of(process.area)
                trader = view.trader
                if trader is None or (view.term, trader.name) != (post.term, post.trader):
                    return False
                if view.in_office != (process.name == post.trader):
                    return False
                if self._asked.get(process.uri) is not None and not view.in_office:
                    return False
        return True

    def _at_rest(self, live: list[Process], documents: dict[str, list[Document]]) -> list[Breach]:
        breaches = []
        sold: dict[str, set[int]] = {}
        for document in documents["requests"]:
            if document["status"] == "sold" and "taken_back" not in document:
                sold.setdefault(document["seller"], set()).add(document["seq"])
        refused = {document["_id"] for document in documents["requests"] if document["status"] == "unavailable"}
        for process in live:
            view, waits_for = process.view, self._asked.get(process.uri)
            post = self._ledger.post.of(process.area)
            trader = view.trader
            if trader is None or (view.term, trader.name) != (post.term, post.trader):
                what = (
                    f"{process.name} takes {trader and trader.name} for the trader of term {view.term}; it is {post}"
                )
                breaches.append(Breach(invariant="one_trader_at_rest", what=what))
            if view.in_office != (process.name == post.trader):
                what = f"{process.name} believes itself {'' if view.in_office else 'not '}in office; it is {post}"
                breaches.append(Breach(invariant="one_trader_at_rest", what=what))
            if view.in_office:
                continue  # A trader neither buys nor sells, and asks again once it is out of office.
            if waits_for is not None:
                breaches.append(Breach(invariant="everyone_answered", what=f"{process.name} waits for {waits_for}"))
            breaches += self._uncompensated(process, documents)
            for request_id in sorted(self._promised.get(process.uri, set()) & refused):
                what = f"{process.name} was promised {request_id}, did not get it, and was not told"
                breaches.append(Breach(invariant="promises_told", what=what))
            missed = sold.get(process.name, set()) - self._heard.get(process.uri, set())
            if missed:
                what = f"{process.name} has not heard of the sales {sorted(missed)}"
                breaches.append(Breach(invariant="every_sale_heard", what=what))
        return breaches
