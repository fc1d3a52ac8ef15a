"""Who was in office, and what that forbids: `one_trader_a_term`, `trader_neutral` and `nothing_forgotten`."""

from __future__ import annotations

from typing import ClassVar

from db.audit.checkers.log_checks import Terms
from db.audit.findings import Checker, Finding
from db.audit.log_rows import EntryRow
from db.audit.rows import MAIN_POST, DepositRow, ElectionRow, PostRow, RequestRow


class OneTraderATerm(Checker):
    """A term has one trader, wherever it is written; along the log, and along `seq`, the terms never fall."""

    name: ClassVar[str] = "one_trader_a_term"

    def __init__(self) -> None:
        super().__init__()
        self._log = Terms(self.violate)
        self._traders: dict[int, tuple[str, str]] = {}
        self._elections: dict[int, str] = {}
        self._main: PostRow | None = None
        self._highest = 0
        self._highest_id = ""

    def post(self, row: PostRow) -> None:
        if row.id == MAIN_POST:
            self._main = row
            self._names(row.id, row.term, row.trader)

    def log_entry(self, row: EntryRow) -> None:
        self._log.entry(row)
        self._names(row.name, row.term, row.trader)

    def election(self, row: ElectionRow) -> None:
        if row.term is None:
            self.violate(row.id, what="this election has no term")
            return
        earlier = self._elections.setdefault(row.term, row.id)
        if earlier != row.id:
            self.violate(earlier, row.id, what=f"both are elections of term {row.term}")
        self._names(row.id, row.term, row.trader)
        self._not_beyond(row.id, "term", row.term)

    def deposit(self, row: DepositRow) -> None:
        self._not_beyond(row.id, "term", row.term)

    def request(self, row: RequestRow) -> None:
        self._not_beyond(row.id, "queued_term", row.queued_term)
        if row.seq is None or row.term is None:
            return
        self._not_beyond(row.id, "term", row.term)
        self._names(row.id, row.term, row.trader)
        if row.queued_term is not None and row.queued_term > row.term:
            self.violate(
                row.id, what=f"accepted in term {row.queued_term}, it was decided in {row.term}, before that"
            )
        if row.term < self._highest:
            before = f"seq {row.seq} was decided in term {row.term}, after term {self._highest} had begun"
            self.violate(self._highest_id, row.id, what=before)
        else:
            self._highest, self._highest_id = row.term, row.id

    def finish(self) -> Finding:
        for term, document in self._elections.items() if self._log.used else ():
            if term > self._log.highest > 0:
                what = f"its term is {term}; the log has come only to term {self._log.highest}"
                self.violate(document, what=what)
        return super().finish()

    def _names(self, document: str, term: int | None, trader: str | None) -> None:
        if term is None or trader is None:
            return
        first, witness = self._traders.setdefault(term, (trader, document))
        if first != trader:
            self.violate(witness, document, what=f"term {term} has two traders: {first} and {trader}")

    def _not_beyond(self, document: str, field: str, term: int | None) -> None:
        if term is not None and self._main is not None and self._main.term is not None and term > self._main.term:
            self.violate(document, what=f"its {field} is {term}; the post has come only to term {self._main.term}")


class TraderNeutral(Checker):
    """Who is in office neither buys nor sells; nobody buys from itself."""

    name: ClassVar[str] = "trader_neutral"

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
