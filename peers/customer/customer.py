"""The customer itself: search, buy, deposit, outcome, purchases, earnings, who is trader.

The id of a request is made once and sent with every try, so that whatever is tried again happens once. With a record
(`peers.customer.record`) that holds across the death of this process too.
"""

from __future__ import annotations

import contextlib
import random
import time
import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Literal, Self

from peers.core.market.limits import checked, read_price, shown
from peers.core.market.records import Offer, PurchaseRequest, clock_of
from peers.core.membership.clocks import Clock, LamportStamp, Stamp, VectorStamp, make_clock
from peers.customer import account
from peers.customer.answers import Earnings, OnNews, Trader
from peers.customer.breaker import CircuitBreaker
from peers.customer.calling import TraderCalls
from peers.customer.errors import CircuitOpen, NoAnswer, NotAsked, RefusedLater
from peers.customer.heard import Heard
from peers.customer.journals import Journals
from peers.customer.record import AskedFor, AskedRecord
from peers.customer.unheard import Unheard
from peers.customer.used_ids import held_deposit, is_used, recorded_under
from peers.errors import BadRequest, NotTrader, TownError
from peers.rpc.forms.public_form import Document, offer_dict, request_dict, stamp_of
from peers.text import is_text

_OTHER_POST_S = 3.0  # So long one post is asked to search in all, before another is: it asks them for a second.
_NOT_STAMPED = LamportStamp(lamport=0)  # What is asked for gets its time when it is known to be new.


class Customer:
    """One customer, for one thread, of the town whose name server is at `host` and `port`.

    `area` is whose post it trades at, in a town with several; `areas` are all of that town, each with the `directory`
    of its own: there it looks too, and asks again for what it had asked for there. `clock` is the kind that the town
    runs (lamport or vector); None has the trader asked before the first request. `timeout_s` bounds one call,
    `patience_s` all tries to have one thing answered, unless a call says otherwise (`within_s`). Between tries it
    waits as `peers.customer.backoff` says; `breaker` may be shared by several customers. With the `directory` of a
    town, or of its area, it keeps a journal there for the audit; with a `record` it never asks for the same twice,
    even if it is killed. `on_news` is told what happens while it waits. `tries` counts all calls to traders, those in
    vain included.

    Each method that asks raises NoAnswer if there is no answer in that time (whether it was done is not known then;
    NotAsked, a NoAnswer: it was not), and CircuitOpen, at once, if nobody has answered for a while (nothing was sent
    now); both are TownErrors. BadRequest is raised at once for a name, a quantity, a price or an id beyond the limits
    of the market (`peers.core.market.limits`), and for what the trader refuses; RefusedLater, a NoAnswer, of what was
    sent before and not answered, which may have been done. To call `buy` or `deposit` again with an id that was not
    answered is to ask again for what was first sent; with one that was, in this life or an earlier one, it is to be
    told again what was recorded.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        name: str | None = None,
        clock: str | None = None,
        timeout_s: float = 2.0,
        patience_s: float = 30.0,
        directory: Path | None = None,
        area: str = "",
        areas: Mapping[str, Path | None] = MappingProxyType({}),
        record: AskedRecord | None = None,
        breaker: CircuitBreaker | None = None,
        on_news: OnNews | None = None,
        rng: random.Random | None = None,
        town: str = "",
    ) -> None:
        self.name = str(checked("buyer", name or f"customer-{uuid.uuid4().hex[:8]}"))
        self._clock: Clock | None = make_clock(clock, self.name) if clock is not None else None
        self._patience_s = patience_s
        self._record = record
        self._unheard = Unheard(record)
        self._town = town
        self._area = area
        self._other_areas = tuple(each for each in areas if each != area)
        self._calls = TraderCalls(
            host,
            port,
            timeout_s=timeout_s,
            breaker=breaker or CircuitBreaker(),
            rng=rng or random.Random(),
            area=area,
            on_status=self._follow,
            on_news=on_news,
        )
        self._journals = Journals(self.name, {**areas, area: directory})
        self._heard = Heard()
        self._session = uuid.uuid4().hex[:8]
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of all connections."""
        self._calls.close()
        self._journals.close()

    def give_up(self) -> None:
        """Ends its patience: what it asks for now ends with NoAnswer at the next try. From any thread."""
        self._calls.give_up()

    @property
    def tries(self) -> int:
        return self._calls.tries

    # -- trading -------------------------------------------------------------------------------------------

    def buy(
        self, item: str, quantity: int = 1, *, request_id: str | None = None, within_s: float | None = None
    ) -> Document:
        """Buys; returns the outcome as recorded, sold or unavailable. For what it raises, see the class."""
        purchase = PurchaseRequest(
            request_id=checked("request_id", request_id or self._fresh_id()),
            buyer=self.name,
            item=_name_of(item),
            quantity=checked("quantity", quantity),
            clock=_NOT_STAMPED,
        )
        return self._ask_once("buy", request_dict(purchase), within_s, chosen=bool(request_id))

    def deposit(
        self,
        item: str,
        quantity: int,
        price: str,
        *,
        deposit_id: str | None = None,
        within_s: float | None = None,
    ) -> Document:
        """Deposits goods at a price for each; returns the deposit as recorded. For what it raises, see the class."""
        goods = Offer(
            deposit_id=checked("deposit_id", deposit_id or self._fresh_id("d")),
            seller=self.name,
            item=_name_of(item),
            quantity=checked("quantity", quantity),
            price=read_price(price),
            clock=_NOT_STAMPED,
        )
        return self._ask_once("deposit", offer_dict(goods), within_s, chosen=bool(deposit_id))

    def search(self, item: str | None = None, *, within_s: float | None = None) -> list[Document]:
        """Returns what can be bought of `item`, or of all items, a row for each deposit. It is never older than what
        this customer was told before."""
        return self._search(item, within_s, self._area)

    def search_areas(self, item: str | None = None, areas: Sequence[str] | None = None) -> Document:
        """Returns what is on offer in these areas, in all if none are named: `offers`, rows as of `search`, each with
        its `area`; `areas`, which answered; `missing`, of those that did not the `area` and `why`. Its own trader is
        asked for that, and where it does not answer, that of another area."""
        wanted = None if areas is None else list(areas)
        *first, last = (self._area, *self._other_areas)
        for area in first:
            with contextlib.suppress(NoAnswer, CircuitOpen):
                within_s = min(_OTHER_POST_S, self._patience_s)
                return self._search_areas(item, wanted, within_s, area)
        return self._search_areas(item, wanted, None, last)

    def _search_areas(
        self, item: str | None, wanted: list[str] | None, within_s: float | None, area: str
    ) -> Document:
        since = self._heard.since_in((self._area, *self._other_areas))
        asked_s = time.monotonic()
        found: Document = dict(
            self.ask(
                "search_areas", None if item is None else _name_of(item), wanted, since, within_s=within_s, area=area
            )
        )
        known = (self._area, *self._other_areas) if wanted is None else wanted
        self._journals.note_areas(area, asked_s, item, known, found, since)
        self._heard.one_log |= bool(found.get("one_log"))
        for each, as_of in found["as_of"].items():
            self._heard.hear(each, as_of)
        return found

    def _search(self, item: str | None, within_s: float | None, area: str) -> list[Document]:
        asked_s = time.monotonic()
        since = self._heard.since(area)
        found = self.ask("browse", None if item is None else _name_of(item), since, within_s=within_s, area=area)
        self._journals.note_search(area, asked_s, item, found, since)
        self._heard.one_log |= bool(found.get("area"))
        self._heard.hear(area, found)
        return list(found["rows"])

    def _ask_once(
        self, method: Literal["buy", "deposit"], argument: Document, within_s: float | None, *, chosen: bool
    ) -> Document:
        """Asks for what is new, with the time of now, and for what it asked for before as it was then."""
        before = self._unheard.same(method, argument, town=self._town, area=self._area, chosen=chosen)
        if before is not None:
            return self.ask_again(before, within_s=within_s)
        stamped = {**argument, "clock": clock_of(self._stamp(within_s))}
        asked = AskedFor(method=method, argument=stamped, at_ms=_now_ms(), town=self._town, area=self._area)
        self._unheard.begin(asked, chosen=chosen)
        try:
            self._note_asked(asked, chosen=chosen)
            return self._send(asked, within_s)
        except NoAnswer:
            raise
        except (BadRequest, TownError):
            self.forget(asked)  # It was refused at once, or never sent.
            raise

    def _note_asked(self, asked: AskedFor, *, chosen: bool) -> None:
        """Notes in the journal what is about to be sent for the first time. What stands under an id that was `chosen`
        may be of an earlier life, with another time, so that of this one nothing but the id is certain to be
        recorded."""
        if asked.method == "buy":
            request = {"request_id": asked.id} if chosen else asked.argument
            self._journals.note(asked.area, "asked", request=request)
        else:
            self._journals.note(asked.area, "offered", offer=asked.argument)

    def _send(self, asked: AskedFor, within_s: float | None) -> Document:
        """Sends a request until it is answered. BadRequest: it was refused at once, so that nothing was done."""
        try:
            answer: Document = self.ask(asked.method, asked.argument, within_s=within_s, area=asked.area)
        except BadRequest as error:
            if is_used(asked, error):
                found = recorded_under(asked, error, partial(self._stands_for, asked, within_s))
                self._settle(asked, found)
                return found
            if self._calls.may_have_run:
                raise RefusedLater(asked.method, error) from error
            raise
        if asked.method == "buy":
            self._journals.note_answer(asked.area, "told", outcome=answer)
        else:
            self._journals.note_answer(asked.area, "deposited", deposit=answer)
        self._heard.hear(asked.area, answer)
        self._settle(asked, answer)
        return answer

    def _stands_for(self, asked: AskedFor, within_s: float | None) -> Document | None:
        """Returns the outcome, or the deposit, of that id. What is not decided yet will be: that is waited for."""
        if asked.method == "deposit":
            return held_deposit(asked, partial(self.ask, within_s=within_s, area=asked.area))
        patience_s = self._patience(within_s)
        return self._calls.look_until(lambda left_s: self._outcome(asked.id, left_s, asked.area), patience_s)

    # -- what was asked for before ---------------------------------------------------------------------------

    @property
    def unanswered(self) -> list[AskedFor]:
        """What it has asked for and not heard of, in this life or an earlier one; nothing without a record."""
        return self._unheard.kept

    def ask_again(self, asked: AskedFor, *, within_s: float | None = None) -> Document:
        """Sends a request once more with its id and contents as they were, to the post it was for, so that it happens
        once; returns what `buy` or `deposit` would have. For what it raises, see the class; whatever that is, the
        request stays unanswered, and a refusal is a RefusedLater: it does not say what became of it before."""
        self._unheard.begin(asked, chosen=False)
        try:
            return self._send(asked, within_s)
        except BadRequest as error:
            raise RefusedLater(asked.method, error) from error

    def look_up(self, asked: AskedFor, *, within_s: float | None = None) -> Document | None:
        """Returns what became of a request without sending it again: its outcome, or the row of a deposit that holds
        something; None while it is undecided, never arrived, or of a deposit of which nothing is left."""
        if asked.method == "buy":
            found = self._outcome(asked.id, within_s, asked.area)
            if found is not None:
                self._journals.note_answer(asked.area, "told", outcome=found)
        else:
            rows = self._search(asked.item, within_s, asked.area)
            found = next((row for row in rows if row.get("deposit_id") == asked.id), None)
        if found is not None:
            self._settle(asked, found)
        return found

    def forget(self, asked: AskedFor) -> None:
        """Lets go of a request: nobody will look for its outcome. If it is on its way, it may happen all the same."""
        self._unheard.settled(asked)

    def _settle(self, asked: AskedFor, answer: Document) -> None:
        self._unheard.settled(asked, answer if asked.method == "buy" else None)

    # -- asking --------------------------------------------------------------------------------------------------

    def outcome(self, request_id: str, *, within_s: float | None = None) -> Document | None:
        """Returns the outcome of a request, None while it is undecided or if it never arrived."""
        return self._outcome(request_id, within_s, self._area)

    def _outcome(self, request_id: str, within_s: float | None, area: str) -> Document | None:
        asked_s = time.monotonic()
        outcome: Document | None = self.ask(
            "outcome", request_id, self._heard.since(area), within_s=within_s, area=area
        )
        self._journals.note_outcome(area, asked_s, request_id, outcome)
        self._heard.hear(area, outcome)
        return outcome

    def purchases(self) -> list[Document]:
        """Returns the outcomes of its purchases in this town, the oldest first, with what was taken back since, in a
        town with several posts each with its `area`: those that its record knows, so nothing without one. Of what
        earlier versions noted nobody knows where that was; it is there too."""
        told = self._record.told if self._record is not None else []
        here = [each for each in told if each.town in ("", self._town)]
        areas = sorted({each.area for each in here if each.town == self._town} | {self._area}) if here else []
        return account.purchases(here, self.name, {area: partial(self.ask, area=area) for area in areas})

    def earnings(self) -> Earnings:
        """Returns what it has sold and earned at its post, and what it still has on offer there, as the books have
        it."""
        return account.earnings(self.ask, self.name)

    def trader(self, *, within_s: float | None = None) -> Trader:
        """Returns who is in office. NoAnswer also if all that time nobody is who says so of itself."""
        patience_s = self._patience(within_s)
        found = self._calls.look_until(self._in_office, patience_s)
        if found is None:
            raise NoAnswer("status", patience_s, NotTrader(trader=None, term=0))
        return found

    def _in_office(self, within_s: float) -> Trader | None:
        """Who is in office; None if who was found there is not any more."""
        status: Document = self.ask("status", within_s=within_s)
        if status["in_office"] is not True:
            # Every peer says its status, and passes searches on. So whoever left office would be asked for ever.
            self._calls.close()
            return None
        return Trader(name=str(status["name"]), term=int(status["term"]), uri=self._calls.uri, area=self._area)

    def ask(self, method: str, *arguments: object, within_s: float | None = None, area: str | None = None) -> Any:
        """Calls any public method (`peers/rpc/README.md`) of whoever is trader, of `area` if that is another than its
        own, until there is an answer. For what it raises, see the class."""
        return self._calls.ask(method, *arguments, within_s=self._patience(within_s), area=area)

    def _patience(self, within_s: float | None) -> float:
        return self._patience_s if within_s is None else within_s

    # -- its clock, its ids, its journal -------------------------------------------------------------------------

    def _stamp(self, within_s: float | None) -> Stamp:
        if self._clock is None:
            try:
                self.ask("status", within_s=within_s)
            except NoAnswer as error:
                raise NotAsked(self._patience_s if within_s is None else within_s, error.__cause__) from error
        if self._clock is None:
            self._clock = make_clock("lamport", self.name)
        return self._clock.tick()

    def _follow(self, status: Document) -> None:
        """Takes in the trader's clock: a request stamped with an older time would jump the queue."""
        stamp = stamp_of(status.get("clock"))
        if stamp is None:
            return
        if self._clock is None:
            self._clock = make_clock("vector" if isinstance(stamp, VectorStamp) else "lamport", self.name)
        self._clock.merge(stamp)

    def _fresh_id(self, kind: str = "") -> str:
        self._number += 1
        return f"{self.name}-{self._session}-{kind}{self._number}"


def _name_of(item: str) -> str:
    """Which items there are, the town knows; here it is seen to that this is text at all, for it is sent and kept."""
    if not is_text(item):
        raise BadRequest(field="item", why=f"must be the name of one that is traded, not {shown(item)}")
    return item


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
