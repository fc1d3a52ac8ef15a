"""What a log in memory leaves recorded, by id: journals are held against it."""

from __future__ import annotations

import msgspec

from db.audit.log_rows import EntryRow, RecountRow
from db.audit.rows import DepositRow, ElectionRow, RequestRow


class Recorded:
    """Everything that is recorded, by id, to hold against it what peers were told."""

    def __init__(self) -> None:
        self.requests: dict[str, RequestRow] = {}
        self.deposits: dict[str, DepositRow] = {}

    def election(self, row: ElectionRow) -> None: ...
    def log_entry(self, row: EntryRow) -> None: ...

    def deposit(self, row: DepositRow) -> None:
        self.deposits[row.id] = row

    def request(self, row: RequestRow) -> None:
        self.requests[row.id] = row
        source = self.deposits.get(row.deposit or "") if row.sold else None
        if source is not None and source.remaining is not None:
            left = source.remaining - (row.quantity or 0)
            self.deposits[source.id] = msgspec.structs.replace(source, remaining=left)

    def reversal(self, row: RequestRow) -> None:
        self.requests[row.id] = row

    def recount(self, row: RecountRow) -> None:
        self.deposits[row.deposit.id] = row.deposit
