"""Whether goods, decisions and money add up: `no_oversell`, `decided_once` and `money_conserved`.

Each checker complains of its own concern only, so that books with one fault name one invariant: a field that one
checker misses is another checker's to report.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import ClassVar

import msgspec

from db.audit.checkers.log_checks import PlacesAndIds
from db.audit.findings import Checker, Finding
from db.audit.leases import LeaseBook
from db.audit.log_rows import EntryRow, RecountRow
from db.audit.rows import DECIDED, MAIN_POST, DepositRow, PostRow, RequestRow

_CENT = Decimal("0.01")
_SALE_FIELDS = ("seller", "deposit", "price", "amount", "commission", "earned")


class _Goods(msgspec.Struct, frozen=True, gc=False):
    """What has to be remembered of a deposit."""

    id: str
    item: str | None
    seller: str | None
    quantity: int | None
    remaining: int | None
    written_off: int | None


class NoOversell(Checker):
    """Of every deposit, what is gone is what was sold out of it and not taken back, and what was written off.

    With a log, what is left is what the log adds up to: each deposit comes with all its goods, no sale takes more
    than is left at its place, and it is counted anew at what is left. Without one, it is what the books say.
    """

    name: ClassVar[str] = "no_oversell"

    def __init__(self) -> None:
        super().__init__()
        self._deposits: dict[str, _Goods] = {}
        # By id of deposit: what is gone, and how much of that was written off.
        self._gone: dict[str, int] = {}
        self._written_off: dict[str, int] = {}
        # The deposits that entries counted anew that were cut.
        self._uncertain: set[str] = set()
        self._folded = False
        self._leases = LeaseBook()

    def log_entry(self, row: EntryRow) -> None:
        self._folded = True
        self._leases.begin(row)
        if row.cut:
            self._leases.cut()
        for deposit, _ in row.deposits:
            if deposit.quantity is None or deposit.remaining != deposit.quantity:
                taken_in = f"it was taken in with {deposit.remaining} remaining of {deposit.quantity}"
                self.violate(deposit.id, row.name, what=taken_in)
            if deposit.written_off:
                self.violate(deposit.id, row.name, what=f"{deposit.written_off} were written off as it was taken in")

    def deposit(self, row: DepositRow) -> None:
        self._deposits[row.id] = _Goods(row.id, row.item, row.seller, row.quantity, row.remaining, row.written_off)
        if self._folded and row.written_off:
            self._uncertain.add(row.id)

    def recount(self, row: RecountRow) -> None:
        counted = row.deposit
        self._leases.drop(counted.id)
        deposit = self._deposits.get(counted.id)
        if deposit is None:
            self.violate(counted.id, what="it is counted anew, and was never taken in")
        elif row.returned is None or row.written_off is None or min(row.returned, row.written_off) < 0:
            self.violate(counted.id, what=f"{row.returned} came back to it, and {row.written_off} were written off")
        elif (
            counted.id in self._uncertain
        ):  # What it was before only cut entries could tell; from here on it is known.
            self._uncertain.remove(counted.id)
            self._gone[counted.id] = (deposit.quantity or 0) - (counted.remaining or 0)
            self._written_off[counted.id] = counted.written_off or 0
        else:
            gone = self._gone.get(counted.id, 0) - row.returned + row.written_off
            off = self._written_off.get(counted.id, 0) + row.written_off
            self._gone[counted.id], self._written_off[counted.id] = gone, off
            left = (deposit.quantity or 0) - gone
            if left < 0 or (counted.remaining, counted.written_off) != (left, off):
                says = f"it is counted at {counted.remaining} left and {counted.written_off} written off"
                self.violate(counted.id, what=f"{says}; that makes {left} and {off}")

    def request(self, row: RequestRow) -> None:
        if not row.sold or (row.taken_back is not None and not self._folded):
            return
        deposit = self._deposits.get(row.deposit or "")
        if deposit is None:
            named = f"deposit {row.deposit}" if row.deposit else "no deposit"
            self.violate(row.id, what=f"it was sold out of {named}, which is not in the books")
            return
        if row.quantity is None or row.quantity < 1:
            self.violate(row.id, what=f"it was sold with a quantity that is none ({row.quantity})")
            return
        left = (deposit.quantity or 0) - self._gone.get(deposit.id, 0)
        if self._folded and row.quantity > left and deposit.id not in self._uncertain:
            self.violate(row.id, deposit.id, what=f"seq {row.seq} sold {row.quantity} out of {left} that were left")
        elif self._folded and self._takes_from_others(row, row.quantity, left):
            aside = self._leases.of(deposit.id)
            what = f"seq {row.seq} sold {row.quantity} out of {left} that were left, of which others have {aside}"
            self.violate(row.id, deposit.id, what=what)
        self._leases.draw(row, left)
        self._gone[deposit.id] = self._gone.get(deposit.id, 0) + row.quantity
        for field in ("item", "seller"):
            theirs, ours = getattr(row, field), getattr(deposit, field)
            if theirs != ours:
                self.violate(row.id, deposit.id, what=f"the sale's {field} is {theirs}; its deposit's is {ours}")

    def _takes_from_others(self, row: RequestRow, quantity: int, left: int) -> bool:
        """Whether a sale takes what is set aside for others than it may."""
        free = left - self._leases.reserved(row.deposit or "")
        return free < quantity <= left and not self._leases.may_draw(row)

    def finish(self) -> Finding:
        for deposit in self._deposits.values() if not self._folded else ():
            self._check_account(deposit, self._gone.get(deposit.id, 0))
        return super().finish()

    def _check_account(self, deposit: _Goods, sold: int) -> None:
        quantity, remaining, off = deposit.quantity, deposit.remaining, deposit.written_off
        if off is None or off < 0:
            self.violate(deposit.id, what=f"{off} were written off of it")
        elif quantity is None or remaining is None:
            self.violate(deposit.id, what=f"quantity {quantity} and remaining {remaining} are not both whole numbers")
        elif remaining < 0:
            self.violate(deposit.id, what=f"remaining is {remaining}, below nothing")
        elif quantity - remaining - off != sold:
            lost = f" less {off} written off" if off else ""
            gone = f"{quantity} deposited less {remaining} remaining{lost} is {quantity - remaining - off}"
            self.violate(deposit.id, what=f"{gone}; its sales add up to {sold}")


class DecidedOnce(Checker):
    """One outcome a request; `seq` counts the outcomes from 1 without gap or repeat, and the post knows the last."""

    name: ClassVar[str] = "decided_once"

    def __init__(self) -> None:
        super().__init__()
        self._log = PlacesAndIds(self.violate)
        self._seen = self._log.decided
        self._last = 0
        self._last_id = ""
        self._posts: dict[str, PostRow] = {}

    def log_entry(self, row: EntryRow) -> None:
        self._log.entry(row)

    def post(self, row: PostRow) -> None:
        self._posts[row.id] = row

    def request(self, row: RequestRow) -> None:
        if row.id in self._seen:
            self.violate(row.id, what="it is recorded more than once")
        self._seen.add(row.id)
        if row.status not in (*DECIDED, "queued"):
            self.violate(row.id, what=f"its status is {row.status}")
        self._check_fields(row)
        if row.seq is not None:
            self._count(row, row.seq)

    def finish(self) -> Finding:
        main = self._posts.get(MAIN_POST)
        if self._log.used:
            pass  # `books_follow_log` judges the post of the books.
        elif main is None:
            if self._last:
                self.violate(MAIN_POST, what=f"there is no such post, yet {self._last} decisions are numbered")
        elif main.seq != self._last:
            documents = (MAIN_POST, self._last_id) if self._last_id else (MAIN_POST,)
            self.violate(*documents, what=f"the post's seq is {main.seq}; the last decision's is {self._last}")
        return super().finish()

    def _count(self, row: RequestRow, seq: int) -> None:
        documents = (self._last_id, row.id) if self._last_id else (row.id,)
        if seq < 1:
            self.violate(row.id, what=f"its seq is {seq}; the first is 1")
            return
        if seq <= self._last:
            again = ", or out of order" if self._log.used else ""
            self.violate(*documents, what=f"seq {seq} was given more than once{again}")
        elif seq > self._last + 1:
            missing = f"seq {self._last + 1}" + (f" to {seq - 1}" if seq > self._last + 2 else "")
            self.violate(*documents, what=f"{missing} was given to nobody; after {self._last} comes {seq}")
        self._last, self._last_id = max(seq, self._last), row.id

    def _check_fields(self, row: RequestRow) -> None:
        if row.status in DECIDED:
            wanted: tuple[str, ...] = ("seq", "term", "trader", "decided_at")
            wanted += ("seller", "deposit") if row.sold else ()
            missing = [field for field in wanted if getattr(row, field) is None]
            if missing:
                self.violate(row.id, what=f"it is {row.status} without {', '.join(missing)}")
        elif row.seq is not None:
            self.violate(row.id, what=f"it is {row.status} yet has the seq {row.seq}")
        extra = [] if row.sold else [field for field in _SALE_FIELDS if getattr(row, field) is not None]
        if extra:
            self.violate(row.id, what=f"it is {row.status} yet has {', '.join(extra)}")


class MoneyConserved(Checker):
    """Every amount is worked out again, to the cent. If given, `commission_rate` must be that of every sale."""

    name: ClassVar[str] = "money_conserved"

    def __init__(self, commission_rate: Decimal | None = None) -> None:
        super().__init__()
        self._rate = commission_rate
        self._prices: dict[str, Decimal | None] = {}
        self.worth = self.amount = self.commission = self.earned = Decimal("0.00")

    def deposit(self, row: DepositRow) -> None:
        self._prices[row.id] = row.price
        if row.price is None or not _to_the_cent(row.price):
            self.violate(row.id, what=f"its price is {row.price}, no amount to the cent")

    def request(self, row: RequestRow) -> None:
        if not row.sold or row.quantity is None:
            return
        price, amount, commission, earned = row.price, row.amount, row.commission, row.earned
        if price is None or amount is None or commission is None or earned is None:
            missing = [field for field in _SALE_FIELDS[2:] if getattr(row, field) is None]
            self.violate(row.id, what=f"it has no exact {', '.join(missing)}")
            return
        for field, value in (("price", price), ("amount", amount), ("commission", commission), ("earned", earned)):
            if not _to_the_cent(value):
                self.violate(row.id, what=f"its {field} is {value}, no amount to the cent")
        worth = row.quantity * price
        if amount != worth:
            self.violate(row.id, what=f"amount is {amount}; {row.quantity} at {price} make {worth}")
        if commission + earned != amount:
            parts = f"commission {commission} and earned {earned} make {commission + earned}"
            self.violate(row.id, what=f"{parts}; the amount is {amount}")
        self._check_terms_of_sale(row, price, amount, commission)
        if row.taken_back is None:
            self._add(worth, amount, commission, earned)

    def reversal(self, row: RequestRow) -> None:
        """In total, money of a sale that was taken back is as if it had never been paid."""
        price, amount, commission, earned = row.price, row.amount, row.commission, row.earned
        if price is not None and amount is not None and commission is not None and earned is not None:
            self._add(-(row.quantity or 0) * price, -amount, -commission, -earned)

    def _add(self, worth: Decimal, amount: Decimal, commission: Decimal, earned: Decimal) -> None:
        self.worth += worth
        self.amount += amount
        self.commission += commission
        self.earned += earned

    def finish(self) -> Finding:
        if not self.worth == self.amount == self.commission + self.earned:
            what = f"goods worth {self.worth} were sold for {self.amount}; commission and earnings are "
            self.violate(what=what + f"{self.commission} and {self.earned}, {self.commission + self.earned} together")
        return super().finish()

    def _check_terms_of_sale(self, row: RequestRow, price: Decimal, amount: Decimal, commission: Decimal) -> None:
        asked = self._prices.get(row.deposit or "")
        if asked is not None and asked != price:
            self.violate(row.id, str(row.deposit), what=f"it was sold at {price}; its deposit's price is {asked}")
        if self._rate is not None:
            due = (amount * self._rate).quantize(_CENT, rounding=ROUND_HALF_UP)
            if commission != due:
                self.violate(row.id, what=f"commission is {commission}; {self._rate} of {amount} is {due}")


def _to_the_cent(value: Decimal) -> bool:
    return value >= 0 and value == value.quantize(_CENT)
