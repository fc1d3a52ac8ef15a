"""The counter: carries out commands for one customer, and says what came of each, in words and as data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from peers.core.market.limits import read_price
from peers.customer.customer import Customer
from peers.customer.errors import NoAnswer, NotAsked, RefusedLater
from peers.customer.record import AskedFor
from peers.errors import BadRequest, BazaarError, SettingsError, TownError
from peers.shop import sentences
from peers.shop.commands import Command, quantity_in, search_in
from peers.shop.sentences import Document

_ELSEWHERE_S = 3.0  # So long the post of another area is asked what became of something.

DONE, NOT_DONE, NOT_KNOWN = 0, 2, 3
"""What came of a command, as an exit code: it was done; it was not; nobody knows yet whether something was bought."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a command: `lines` for people, `data` for programs, and a `code`."""

    command: str
    lines: list[str]
    data: dict[str, Any] = {}
    code: int = DONE

    def as_json(self) -> str:
        """One line for programs."""
        return msgspec.json.encode({"command": self.command, "code": self.code, **self.data}).decode()


class Counter:
    """Serves one customer, who has a record, in the town called `town`, at the post of `area`. What came of a command
    up to a Ctrl-C is in `cut_short`, None if nothing did."""

    def __init__(self, customer: Customer, town: str, area: str = "") -> None:
        self._customer = customer
        self._town = town
        self._area = area
        self.cut_short: Reply | None = None
        self._answered_since: list[AskedFor] = []
        self._does: dict[str, Callable[..., Reply]] = {
            "look": self._look,
            "search": self._search,
            "buy": self._buy,
            "sell": self._sell,
            "purchases": self._purchases,
            "earnings": self._earnings,
            "trader": self._trader,
            "pending": self.pending,
            "again": self._again,
            "forget": self._forget,
            "help": lambda: Reply(command="help", lines=sentences.help_lines()),
        }

    def run(self, command: Command) -> Reply:
        """Carries out a command other than `quit`; whatever goes wrong is in the reply."""
        self.cut_short = None
        try:
            return self._does[command.name](*command.words)
        except NotAsked as error:
            return failed(command.name, error)
        except NoAnswer as error:
            return self._unheard(command.name, error)
        except BazaarError as error:
            return failed(command.name, error)

    @property
    def unanswered(self) -> list[AskedFor]:
        """What the customer has asked this town for and not heard of."""
        return [asked for asked in self._customer.unanswered if asked.town == self._town]

    def _unheard(self, name: str, error: NoAnswer) -> Reply:
        if name not in ("buy", "sell", "again"):
            return failed(name, error)
        return _kept(name, error)

    # -- looking around ------------------------------------------------------------------------------------

    def _look(self) -> Reply:
        rows = self._customer.search()
        return Reply(command="look", lines=sentences.look(rows), data={"offers": rows})

    def _search(self, *words: str) -> Reply:
        item, is_everywhere = search_in(words)
        if is_everywhere:
            return self._search_everywhere(item)
        rows = self._customer.search(item)
        return Reply(command="search", lines=sentences.search(rows, item), data={"offers": rows})

    def _search_everywhere(self, item: str | None) -> Reply:
        found = self._customer.search_areas(item)
        lines = sentences.search_areas(found, item)
        return Reply(command="search", lines=lines, data=found, code=DONE if found["areas"] else NOT_DONE)

    def _purchases(self) -> Reply:
        outcomes = self._customer.purchases()
        return Reply(command="purchases", lines=sentences.purchases(outcomes), data={"purchases": outcomes})

    def _earnings(self) -> Reply:
        found = self._customer.earnings()
        return Reply(
            command="earnings", lines=sentences.earnings(found), data={"earnings": msgspec.to_builtins(found)}
        )

    def _trader(self) -> Reply:
        found = self._customer.trader()
        return Reply(
            command="trader", lines=[sentences.in_office(found)], data={"trader": msgspec.to_builtins(found)}
        )

    # -- trading -------------------------------------------------------------------------------------------

    def _buy(self, item: str, quantity: str = "1") -> Reply:
        units = quantity_in(quantity)
        before = self._same_as("buy", item=item, quantity=units)
        if before is not None:
            return self._repeat("buy", before)
        return self._told("buy", self._customer.buy(item, units), [])

    def _sell(self, item: str, quantity: str, price: str) -> Reply:
        units = quantity_in(quantity)
        before = self._same_as("deposit", item=item, quantity=units, price=format(read_price(price), "f"))
        if before is not None:
            return self._repeat("sell", before)
        deposit = self._customer.deposit(item, units, price)
        return Reply(command="sell", lines=[sentences.deposited(deposit)], data={"deposit": deposit})

    def _same_as(self, method: str, **wanted: object) -> AskedFor | None:
        """What was asked for in the same words and not answered, or not before this visit began: to say it again is
        to ask again, once."""
        for asked in (*self.unanswered, *self._answered_since):
            is_here = (asked.method, asked.area) == (method, self._area)
            if is_here and wanted.items() <= asked.argument.items():
                self._answered_since = [each for each in self._answered_since if each.id != asked.id]
                return asked
        return None

    def _repeat(self, name: str, asked: AskedFor) -> Reply:
        try:
            return self._once_more(name, asked)
        except TownError as error:  # It may have been done when it was asked for first.
            return _kept(name, error)

    def _once_more(self, name: str, asked: AskedFor) -> Reply:
        answer = self._customer.ask_again(asked)
        line = f"you had asked {sentences.request(asked)} and not heard; asked again, with the same id"
        if name == "buy":
            return self._told(name, answer, [line])
        return Reply(command=name, lines=[line, sentences.deposited(answer)], data={"deposit": answer})

    @staticmethod
    def _told(name: str, outcome: Document, lines: list[str]) -> Reply:
        code = DONE if outcome["status"] == "sold" else NOT_DONE
        return Reply(command=name, lines=[*lines, sentences.bought(outcome)], data={"outcome": outcome}, code=code)

    # -- what is not answered yet --------------------------------------------------------------------------

    def recall(self) -> Reply:
        """Does as `pending`, at the beginning of a visit by a program, which may have been killed before it heard:
        the first time that it says the same again it asks for that again, and buys nothing more."""
        before = self.unanswered
        reply = self.pending()
        left = {asked.id for asked in self.unanswered}
        self._answered_since = [asked for asked in before if asked.id not in left]
        return reply

    def pending(self) -> Reply:
        """Looks for what became of everything that is unanswered, and says it, also where nobody answers."""
        lines: list[str] = []
        answers: list[Document] = []
        silent: dict[str, TownError] = {}
        try:
            for asked in self.unanswered:
                became = self._look_into(asked, silent, answers)
                lines.append(f"you had asked {sentences.request(asked)} and not heard: {became}")
        except KeyboardInterrupt:
            self.cut_short = self._looked_for(lines, answers) if lines else None
            raise
        return self._looked_for(lines, answers)

    def _looked_for(self, lines: list[str], answers: list[Document]) -> Reply:
        elsewhere = len(self._customer.unanswered) - len(self.unanswered)
        if elsewhere:
            lines.append(f"{elsewhere} unanswered requests are of other towns (or of the books before --fresh): kept")
        left = [asked.id for asked in self.unanswered]
        return Reply(
            command="pending",
            lines=lines or ["all that you asked for was answered"],
            data={"answered": answers, "unanswered": left},
            code=NOT_KNOWN if left else DONE,
        )

    def _look_into(self, asked: AskedFor, silent: dict[str, TownError], answers: list[Document]) -> str:
        """Looks for what became of a request, and says it; what it is goes into `answers`. Its area goes into
        `silent` where nobody answers in it, which is waited for once, and in another area than its own not for long.
        """
        if asked.area not in silent:
            try:
                found = self._customer.look_up(asked, within_s=None if asked.area == self._area else _ELSEWHERE_S)
            except BadRequest as error:
                return f"that cannot be looked for ({error})"
            except TownError as error:
                silent[asked.area] = error
            else:
                if found is None:
                    return "so far that has not arrived, or is not decided. `again` asks again, with its id"
                answers.append({"id": asked.id, "answer": found})
                return sentences.answered(asked, found)
        where = f"in {asked.area} " if asked.area else ""
        return f"nobody answers {where}just now ({silent[asked.area]})"

    def _again(self) -> Reply:
        replies: list[Reply] = []
        silent: set[str] = set()
        try:
            for asked in sorted(self.unanswered, key=lambda each: each.area != self._area):
                if asked.area in silent:
                    continue
                replies.append(self._again_one(asked, silent))
        except KeyboardInterrupt:
            self.cut_short = _together("again", replies) if replies else None
            raise
        return _together("again", replies)

    def _again_one(self, asked: AskedFor, silent: set[str]) -> Reply:
        try:
            return self._once_more("buy" if asked.method == "buy" else "sell", asked)
        except TownError as error:
            if not isinstance(error, RefusedLater):
                silent.add(asked.area)
            return _kept("again", error)

    def _forget(self) -> Reply:
        """Also what is of other towns, which nobody here can look for."""
        forgotten = self._customer.unanswered
        for asked in forgotten:
            self._customer.forget(asked)
        lines = [f"let go of what you asked {sentences.request(asked)}" for asked in forgotten]
        if lines:
            lines.append("what was on its way may have been done all the same")
        return Reply(
            command="forget",
            lines=lines or ["there was nothing"],
            data={"forgotten": [each.id for each in forgotten]},
        )


def _together(name: str, replies: list[Reply]) -> Reply:
    """Returns the replies to all that was unanswered as one."""
    return Reply(
        command=name,
        lines=[line for reply in replies for line in reply.lines] or ["all that you asked for was answered"],
        data={"answers": [reply.data for reply in replies]} if replies else {},
        code=max((reply.code for reply in replies), default=DONE),
    )


def _kept(name: str, error: TownError) -> Reply:
    """Returns the reply to a request that may have been done, and is kept."""
    line = "your request is kept: `pending` looks for what became of it, `again` asks again"
    if isinstance(error, RefusedLater):
        line += ", `forget` lets go of it"
    return Reply(command=name, lines=[str(error), line], data={"error": str(error)}, code=NOT_KNOWN)


def failed(name: str, error: BazaarError) -> Reply:
    """Returns the reply to a command that could not be carried out."""
    words = str(error) if isinstance(error, SettingsError | BadRequest) else f"that could not be done: {error}"
    return Reply(command=name, lines=[words], data={"error": str(error)}, code=NOT_DONE)
