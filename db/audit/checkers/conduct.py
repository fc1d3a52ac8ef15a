"""Who was in office, and what that forbids: `one_trader_a_term`, `trader_neutral` and `nothing_forgotten`."""

from __future__ import annotations

from typing import ClassVar

from db.audit.checkers.log_checks import Terms, pass_over
from db.audit.findings import Checker, Finding
from db.audit.log_rows import EntryRow
from db.audit.rows import MAIN_POST, DepositRow, ElectionRow, PostRow, RequestRow


class OneTraderATerm(Checker):
    """A term has one trader, wherever it is written; along the log, and along `seq`, the terms never fall.

    Where several areas share the log, each counts terms of its own."""

    name: ClassVar[str] = "one_trader_a_term"

    def __init__(self) -> None:
        super().__init__()
        self._log = Terms(self.violate)
        # By area and term: the trader, and the document that says so; the election.
        self._traders: dict[tuple[str, int], tuple[str, str]] = {}
        self._elections: dict[tuple[str, int], str] = {}
        self._main: PostRow | None = None
        # By area, the highest term in which something was decided, and the document that says so.
        self._highest: dict[str, tuple[int, str]] = {}

    def post(self, row: PostRow) -> None:
        if row.id == MAIN_POST:
            self._main = row
            self._names(row.id, "", row.term, row.trader)
            for area, holder in row.areas.items():
                self._names(f"{row.id} of {area}", area, holder.term, holder.trader)

    def log_entry(self, row: EntryRow) -> None:
        self._log.entry(row)
        self._names(row.name, row.area, row.term, row.trader)

    def election(self, row: ElectionRow) -> None:
        if row.term is None:
            self.violate(row.id, what="this election has no term")
            return
        earlier = self._elections.setdefault((row.area, row.term), row.id)
        if earlier != row.id:
            self.violate(earlier, row.id, what=f"both are elections of term {row.term}")
        self._names(row.id, row.area, row.term, row.trader)
        self._not_beyond(row, "term", row.term)

    def deposit(self, row: DepositRow) -> None:
        self._not_beyond(row, "term", row.term)

    def request(self, row: RequestRow) -> None:
        self._not_beyond(row, "queued_term", row.queued_term)
        if row.seq is None or row.term is None:
            return
        self._not_beyond(row, "term", row.term)
        self._names(row.id, row.area, row.term, row.trader)
        if row.queued_term is not None and row.queued_term > row.term:
            self.violate(
                row.id, what=f"accepted in term {row.queued_term}, it was decided in {row.term}, before that"
            )
        highest, witness = self._highest.get(row.area, (0, ""))
        if row.term < highest:
            before = f"seq {row.seq} was decided in term {row.term}, after term {highest} had begun"
            self.violate(witness, row.id, what=before)
        else:
            self._highest[row.area] = row.term, row.id

    def finish(self) -> Finding:
        for (area, term), document in self._elections.items() if self._log.used else ():
            if term > self._log.highest(area) > 0:
                what = f"its term is {term}; the log has come only to term {self._log.highest(area)}"
                self.violate(document, what=what)
        return super().finish()

    def _names(self, document: str, area: str, term: int | None, trader: str | None) -> None:
        if term is None or trader is None:
            return
        first, witness = self._traders.setdefault((area, term), (trader, document))
        if first != trader:
            self.violate(witness, document, what=f"term {term} has two traders: {first} and {trader}")

    def _not_beyond(self, row: ElectionRow | DepositRow | RequestRow, field: str, term: int | None) -> None:
        latest = self._main.term_of(row.area) if self._main is not None else None
        if term is not None and latest is not None and term > latest:
            self.violate(row.id, what=f"its {field} is {term}; the post has come only to term {latest}")


class TraderNeutral(Checker):
    """Who is in office neither buys nor sells; nobody buys from itself.

    Where several areas share the log, that goes for the traders of all of them, at whichever post it is."""

    name: ClassVar[str] = "trader_neutral"

    def __init__(self) -> None:
        super().__init__()
        self._log = Terms(pass_over)

    def log_entry(self, row: EntryRow) -> None:
        self._log.entry(row)

    def request(self, row: RequestRow) -> None:
        if not row.sold:
            return
        if row.buyer is not None and row.buyer == row.seller:
            self.violate(row.id, what=f"{row.buyer} bought from itself")
        if row.trader is None:
            return
        if row.trader == row.buyer:
            self.violate(row.id, what=f"{row.buyer} bought while it was trader of term {row.term}")
        if row.trader == row.seller:
            self.violate(row.id, what=f"{row.seller} sold while it was trader of term {row.term}")
        fellows = self._log.in_office() if row.area else ()
        for name in {row.buyer, row.seller} & (set(fellows) - {row.trader}):
            self.violate(row.id, what=f"{name} bought or sold while it was trader of another area")


class NothingForgotten(Checker):
    """Once things are calm, nothing is queued. While they are not, waiting is no fault (`not_calm` says why)."""

    name: ClassVar[str] = "nothing_forgotten"

    def __init__(self, not_calm: str = "") -> None:
        super().__init__()
        self.not_calm = not_calm

    def request(self, row: RequestRow) -> None:
        if row.status == "queued":
            accepted = f"accepted as {row.arrival} in term {row.queued_term}"
            self.violate(row.id, what=f"{row.buyer}'s request is still queued, {accepted}")

    def finish(self) -> Finding:
        if self._found and self.not_calm:
            return self.not_judged("not checked", self.not_calm)
        return super().finish()
