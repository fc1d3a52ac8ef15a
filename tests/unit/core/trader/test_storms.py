"""The trader in any weather: whatever callers ask and whatever becomes of the ledger's answers, the books balance.

A drawn script of inputs and mishaps is played; then the weather clears and everything is held against the books.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from db.ledger.memory import MemoryLedger
from peers.core.ledger.log import TradeEntry
from peers.core.ledger.port import Append, Found, LookUp
from peers.core.market.records import Deposit, Outcome, PurchaseRequest
from peers.errors import BadRequest, NotTrader, PostClosed
from tests.unit.core.trader.desk import Caller, Desk, books, post_of, takes_office
from tests.unit.core.words import offers, rules, wants

Step = tuple[str, int]
ITEMS = ("fish", "salt")
BUYERS = ("buyer0", "buyer3", "outsider")

ASKED = ["buy", "buy", "buy", "deposit", "again", "leave", "read"]
CALM = [*ASKED, "done", "done", "away"]
STORMY = [*CALM, "lost", "gone", "rival"]


def scripts(steps: list[str]) -> st.SearchStrategy[list[Step]]:
    return st.lists(st.tuples(st.sampled_from(steps), st.integers(0, 11)), max_size=40)


class Storm:
    """A desk, a script, and what everybody was told."""

    def __init__(self, max_batch: int, resign_after: int, *, makes_books: bool = True) -> None:
        self.makes_books = makes_books
        self.settings = rules(resign_after_sales=resign_after, timing={"max_batch": max_batch})
        self.ledger: MemoryLedger = books(goods=[offers("d-first", "fish", 3)])
        self.desk = self._takes_over()
        self.asked: list[tuple[PurchaseRequest, Caller]] = []
        self.offered: list[Caller] = []
        self.left: list[Caller] = []

    def play(self, script: list[Step]) -> None:
        for what, number in script:
            self._step(what, number)
            if self.desk.ended() is not None:
                self._hand_over()

    def _step(self, what: str, number: int) -> None:
        desk = self.desk
        if what == "buy":
            wish = wants(
                f"r{len(self.asked)}", ITEMS[number % 2], 1 + number % 3, buyer=BUYERS[number % 3], clock=number
            )
            self.asked.append((wish, desk.buy(wish)))
        elif what == "again" and self.asked:
            wish, _ = self.asked[number % len(self.asked)]
            self.asked.append((wish, desk.buy(wish)))
        elif what == "deposit":
            offer = offers(f"d{number % 5}", ITEMS[number % 2], 1 + number % 4, clock=number % 5)
            self.offered.append(desk.deposit(offer))
        elif what == "leave" and self.asked:
            self.left.append(self.asked[number % len(self.asked)][1])
            desk.leaves(self.left[-1])
        elif what == "read" and self.asked:
            desk.outcome_of(self.asked[number % len(self.asked)][0].request_id)
        elif what == "rival" and number == 0:
            desk.another_takes_office()
        elif what in ("done", "lost", "gone", "away"):
            self._weather(what, number)

    def _weather(self, what: str, number: int) -> None:
        """Something becomes of one operation: of the entry, or of the first reading."""
        desk = self.desk
        if desk.will_retry and number % 2:
            desk.retries()
            return
        entries = [o for o in desk.under_way if isinstance(o, Append)]
        readings = [o for o in desk.under_way if not isinstance(o, Append)]
        heads = entries + readings[:1]
        if not heads:
            return
        desk.fate(heads[number % len(heads)], what)

    def _hand_over(self) -> None:
        self.desk.closes()
        self.desk = self._takes_over()

    def _takes_over(self) -> Desk:
        return Desk(ledger=self.ledger, settings=self.settings, makes_books=self.makes_books)

    def clears_up(self) -> None:
        for _ in range(200):
            self.desk.ledger_does_all()
            if self.desk.ended() is not None:
                self._hand_over()
            elif self.desk.will_retry:
                self.desk.retries()
            elif post_of(self.ledger).term != self.desk.office.term:
                self._hand_over()  # The trader was deposed without knowing it.
            elif self.desk.is_idle:
                return
        raise AssertionError("it never comes to rest")

    # -- what has to hold ----------------------------------------------------------------------------------

    def check(self) -> None:
        found = self.ledger.perform(LookUp(request_ids=tuple({wish.request_id for wish, _ in self.asked})))
        assert isinstance(found, Found)
        assert found.queued == ()
        recorded = {outcome.request.request_id: outcome for outcome in found.outcomes}
        for wish, caller in self.asked:
            self._check_told(caller, recorded.get(wish.request_id))
        for caller in self.offered:
            assert len(caller.replies) == 1
            assert isinstance(caller.answer, Deposit | BadRequest | PostClosed | NotTrader)
        self._check_books()

    @staticmethod
    def _check_told(caller: Caller, outcome: Outcome | None) -> None:
        assert len(caller.replies) <= 1
        for reply in caller.replies:
            assert isinstance(reply, PostClosed | NotTrader) or reply == outcome

    def _check_books(self) -> None:
        takes_office(self.ledger, "seller2")  # A successor makes the books up to here, if nobody has.
        documents = self.ledger.documents()
        in_books = {d["_id"]: d["remaining"] for d in documents["deposits"] if d["remaining"]}
        assert self.desk.stock() == in_books
        decided = sorted((d for d in documents["requests"] if d["status"] != "queued"), key=lambda d: d["seq"])
        assert [d["seq"] for d in decided] == list(range(1, len(decided) + 1))
        for deposit in documents["deposits"]:
            sold = sum(d["quantity"] for d in decided if d.get("deposit") == deposit["_id"])
            assert deposit["quantity"] - deposit["remaining"] == sold


@settings(max_examples=300, deadline=None)
@given(
    script=scripts(STORMY),
    max_batch=st.sampled_from([1, 2, 256]),
    resign_after=st.sampled_from([0, 1, 3]),
    makes_books=st.booleans(),
)
def test_the_books_balance_in_any_weather(
    script: list[Step], max_batch: int, resign_after: int, makes_books: bool
) -> None:
    storm = Storm(max_batch, resign_after, makes_books=makes_books)
    storm.play(script)
    storm.clears_up()
    storm.check()


@settings(max_examples=100, deadline=None)
@given(script=scripts(CALM))
def test_whoever_waits_when_an_entry_is_recorded_is_in_the_next_one_or_in_the_queue(script: list[Step]) -> None:
    storm = Storm(2, 0)
    for step in script:
        desk = storm.desk
        waited = {wish.request_id for wish, caller in storm.asked if caller.waits and caller not in storm.left}
        entries = desk.ctx.counters.get("commits", 0)
        storm.play([step])
        if desk.ctx.counters.get("commits", 0) == entries:
            continue
        under_way = [o.entry for o in desk.under_way if isinstance(o, Append)]
        found = storm.ledger.perform(LookUp(request_ids=tuple(waited)))
        assert isinstance(found, Found)
        safe = {accepted.request.request_id for accepted in found.queued}
        safe |= {outcome.request.request_id for outcome in found.outcomes}
        safe |= {each for entry in under_way if isinstance(entry, TradeEntry) for each in entry.new_requests}
        assert waited <= safe
