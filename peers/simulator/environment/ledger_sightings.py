"""What is worth counting of what the ledger answers, and that a term is won once."""

from __future__ import annotations

from peers.core.ledger.log import OfficeEntry, TradeEntry
from peers.core.ledger.port import AlreadyRecorded, Append, Appended, Loaded, Result, Taken
from peers.simulator.environment.record import Record


class LedgerSightings:
    """Writes into the record of one schedule."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._traders: dict[tuple[str, int], str] = {}  # By area and term, its trader as the log has it.

    def on_append(self, operation: Append, result: Result, end: int) -> None:
        """The ledger has answered an append; `end` is the last place taken since."""
        saw, entry = self._record.saw, operation.entry
        if isinstance(result, Taken):
            if result.entry is not None and result.entry.area != entry.area:
                saw("an entry found its place taken by another area's")
            elif isinstance(entry, OfficeEntry):
                saw("a candidate found its place taken")
            else:
                saw(
                    "a deposed trader's entry was refused"
                    if entry.outcomes
                    else "a deposed trader's queueing was refused"
                )
        elif isinstance(result, AlreadyRecorded):
            saw("a request or deposit of old was asked for again")
        elif isinstance(result, Appended) and operation.place == end:
            if isinstance(entry, OfficeEntry):
                self._note_office(entry)
            else:
                self._note_trade(entry)

    def _note_office(self, entry: OfficeEntry) -> None:
        winner = self._traders.setdefault((entry.area, entry.term), entry.trader)
        if winner != entry.trader:
            self._record.violate("one_trader_a_term", f"{winner} and {entry.trader} won term {entry.term}")

    def _note_trade(self, entry: TradeEntry) -> None:
        saw = self._record.saw
        if len(entry.outcomes) > 1:
            saw("requests shared an entry")
        if entry.queued and entry.outcomes:
            saw("an entry had no room for all")
        for undone in entry.reversals:
            saw("a sale was taken back")
            if undone.term != entry.term:
                saw("a sale was taken back under a later trader than it was made")
        if any(recount.deposit.remaining for recount in entry.recounts if recount.returned):
            saw("goods of a sale that was taken back were on offer again")
        for outcome in entry.outcomes:
            if outcome.accepted.queued_term != entry.term:
                saw("a request queued under one trader was decided under another")
            if outcome.sale is None:
                saw("a request found nothing to be had")
            if outcome.foretold is not None:
                saw(f"a request was {outcome.foretold}, and {outcome.status}")

    def on_loaded(self, loaded: Loaded) -> None:
        """A candidate has read books and log."""
        saw = self._record.saw
        if loaded.queue:
            saw("a successor found a queue")
        if loaded.entries:
            saw("a successor found the books behind")
        if any(stocked.at > loaded.made for stocked in loaded.stock):
            saw("a successor found books newer than they said")
