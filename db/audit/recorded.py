"""What a log in memory leaves recorded, by id: journals are held against it."""

from __future__ import annotations

import msgspec

from db.audit.findings import Checker
from db.audit.folding.fold import Taker
from db.audit.log_rows import EntryRow, RecountRow
from db.audit.rows import DepositRow, ElectionRow, RequestRow


class Recorded:
    """Everything that is recorded, by id, to hold against it what peers were told. What it is fed goes on to `then`,
    if there is one, so that a log need be played only once for both."""

    def __init__(self, then: Taker | None = None) -> None:
        self._then: Taker = Checker() if then is None else then
        self.requests: dict[str, RequestRow] = {}
        self.deposits: dict[str, DepositRow] = {}

    def election(self, row: ElectionRow) -> None:
        self._then.election(row)

    def log_entry(self, row: EntryRow) -> None:
        self._then.log_entry(row)

    def deposit(self, row: DepositRow) -> None:
        self._then.deposit(row)
        self.deposits[row.id] = row

    def request(self, row: RequestRow) -> None:
        self._then.request(row)
        self.requests[row.id] = row
        source = self.deposits.get(row.deposit or "") if row.sold else None
        if source is not None and source.remaining is not None:
            left = source.remaining - (row.quantity or 0)
            self.deposits[source.id] = msgspec.structs.replace(source, remaining=left)

    def reversal(self, row: RequestRow) -> None:
        self._then.reversal(row)
        self.requests[row.id] = row

    def recount(self, row: RecountRow) -> None:
        self._then.recount(row)
        self.deposits[row.deposit.id] = row.deposit
