"""A visit to the counter: finds the town, says what became of what was left unanswered, and serves commands."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO, cast

import msgspec

from peers.core.names import ITEMS
from peers.customer.answers import News, TraderFound, TraderLost, Waiting
from peers.customer.certificate import show_certificate
from peers.customer.customer import Customer
from peers.customer.record import record_in
from peers.errors import BazaarError, SettingsError, ToldToEnd, TownError
from peers.output import forgiving
from peers.shop import sentences
from peers.shop.commands import LEAVE, Command, command_in, parse
from peers.shop.counter import DONE, NOT_DONE, NOT_KNOWN, Counter, Reply, failed
from peers.shop.finding import check_area, customer_name, find_town
from peers.text import escaped
from peers.town.view.console import Console

_GREETING_S = 3.0  # The prompt comes after so long, whether or not somebody is in office.
_STYLES = {DONE: "", NOT_DONE: "yellow", NOT_KNOWN: "bold yellow"}


class ShopOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How the shop is entered: `words` are a command to carry out, none for those on the standard input. `area`:
    whose post, None for the first. `client`: the file of the client who trades, None for a machine's own customer."""

    words: tuple[str, ...] = ()
    directory: Path
    nameserver: str | None = None
    name: str | None = None
    area: str | None = None
    client: Path | None = None
    patience_s: float = 30.0
    as_json: bool = False

    def check(self) -> None:
        """Raises SettingsError for what cannot be."""
        if not 0 < self.patience_s < float("inf"):
            raise SettingsError("--patience: more than 0 seconds")
        if self.client is not None and self.name is not None:
            raise SettingsError("--name: who comes with a client's certificate has the name in that; leave it out")


def visit(options: ShopOptions) -> int:
    """Serves one customer; returns the exit code: of the worst that came of a command, 3 if something is unanswered.

    TownError if the town or the customer's record cannot be used, SettingsError for what is no command, and for an
    area that the town has not.
    """
    options.check()
    command = command_in(list(options.words)) if options.words else None
    is_client = options.client is not None
    name = show_certificate(options.client) if options.client is not None else customer_name(options.name)
    place = find_town(options.directory, options.nameserver, is_client=is_client)
    check_area(options.area, place.areas)
    area = options.area or next(iter(place.areas))
    is_prompt = command is None and sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    teller = Teller(as_json=options.as_json, is_prompt=is_prompt)
    with (
        record_in(options.directory, name) as record,
        Customer(
            place.host,
            place.port,
            name=name,
            patience_s=options.patience_s,
            directory=place.areas[area],
            area=area,
            areas=place.areas,
            record=record,
            on_news=teller.on_news,
            town=place.town,
        ) as customer,
    ):
        for warning in record.warnings:
            teller.warn(warning)
        if area and options.area is None:
            teller.say(sentences.first_of(place.areas))
        counter = Counter(customer, place.town, area)
        session = _Session(counter, teller)
        if is_prompt:
            session.greet(customer, name)
        session.recall(is_prompt)
        if command is not None:
            session.serve(command)
        elif is_prompt:
            _converse(session, teller, options.directory / "customers" / f"{name}.history", f"{name}> ")
        else:
            session.serve_lines(_piped(sys.stdin))
        code = session.close(is_prompt)
        why = record.catch_up()
        if why:
            teller.warn(f"what you were told is not noted yet, so the next visit looks for it again: {why}")
        return code


class Teller:
    """Says things: replies as lines or as JSON, and news on the side, where it is in no program's way."""

    def __init__(self, *, as_json: bool, is_prompt: bool) -> None:
        self._as_json = as_json
        self._stream = forgiving(sys.stdout)
        self._out = Console(out=cast("TextIO", self._stream))
        self._side = self._out if is_prompt and not as_json else Console(out=sys.stderr)
        self._last_news = ""

    @property
    def is_heard(self) -> bool:
        """Whether anybody may read what it says."""
        return not self._stream.is_reader_gone

    def reply(self, reply: Reply) -> None:
        """Says what came of a command."""
        self._last_news = ""
        if self._as_json:
            self._out.say(reply.as_json())
            return
        for line in reply.lines:
            self._out.say(line, _STYLES[reply.code])

    def warn(self, line: str) -> None:
        """Says something that is no answer."""
        self._side.warn(line)

    def say(self, line: str) -> None:
        """Says something to a person."""
        self._side.say(line, "dim")

    def on_news(self, told: News) -> None:
        """Says what happens while an answer is waited for, once where it happens several times over."""
        line = sentences.news(told)
        if line and line != self._last_news:
            self._side.say(line, "green" if isinstance(told, TraderFound) else "magenta")
        if isinstance(told, TraderLost | Waiting) or line:
            self._last_news = line


class _Session:
    """What was asked in one visit, and the worst that came of it."""

    def __init__(self, counter: Counter, teller: Teller) -> None:
        self._counter = counter
        self._teller = teller
        self._worst = DONE
        self.items: set[str] = set(ITEMS)

    def greet(self, customer: Customer, name: str) -> None:
        """Says where the customer is."""
        try:
            office = sentences.in_office(customer.trader(within_s=_GREETING_S))
        except TownError:
            office = "nobody is in office just now"
        self._teller.say(f"Welcome to the trading post, {name}. {office}. `help` lists what you can say.")

    def recall(self, is_prompt: bool) -> None:
        """Says what became of what was left unanswered."""
        if not self._counter.unanswered:
            return
        if is_prompt:
            self._teller.reply(self._run(Command(name="pending")))
            return
        try:
            self._say_beside(self._counter.recall())
        except KeyboardInterrupt:
            self._say_beside(self._counter.cut_short)
            raise

    def _say_beside(self, reply: Reply | None) -> None:
        """Says to a program what is no answer to a command of its own."""
        for line in reply.lines if reply is not None else ():
            self._teller.warn(line)

    def serve(self, command: Command) -> None:
        """Carries out one command and says what came of it."""
        reply = self._run(command)
        self.items |= {row["item"] for row in reply.data.get("offers", ())}
        self._say(reply)

    def serve_line(self, line: str) -> bool:
        """Serves the command in a line; False if that was the wish to leave."""
        try:
            command = parse(line)
        except BazaarError as error:
            self._say(failed(escaped(line.strip()), error))
            return True
        if command is not None and command.name == LEAVE:
            return False
        if command is not None:
            self.serve(command)
        return True

    def serve_lines(self, lines: Iterable[str]) -> None:
        """Serves one line after another, until they end or one says `quit`, or nobody reads the answers any more;
        that they cannot be read is said."""
        try:
            for line in lines:
                if not self.serve_line(line):
                    break
                if not self._teller.is_heard:
                    self._teller.warn("nobody reads the answers any more, so nothing more is done")
                    break
        except SettingsError as error:
            self._say(failed("", error))

    def interrupted(self) -> None:
        """Says what it means that Ctrl-C ended a command."""
        if self._counter.unanswered:
            self._teller.warn("not waited for any longer. It is kept: `pending` looks for what became of it")

    def close(self, is_prompt: bool) -> int:
        """Says what is left unanswered; returns the exit code. At a prompt a mistake is none of the whole visit."""
        left = len(self._counter.unanswered)
        if left:
            what = "1 request is" if left == 1 else f"{left} requests are"
            self._teller.warn(f"{what} unanswered, and kept: the next visit looks for what became of it")
            return NOT_KNOWN
        return DONE if is_prompt else self._worst

    def _run(self, command: Command) -> Reply:
        try:
            return self._counter.run(command)
        except KeyboardInterrupt:
            if self._counter.cut_short is not None:
                self._say(self._counter.cut_short)
            raise

    def _say(self, reply: Reply) -> None:
        self._worst = max(self._worst, reply.code)
        self._teller.reply(reply)


def _piped(given: TextIO | None) -> Iterator[str]:
    """Gives the lines of the standard input, None where that is closed. Bytes that are no UTF-8 are left in them as
    Python has them in arguments, and are refused as there. SettingsError if it cannot be read."""
    try:
        for line in given.buffer if given is not None else ():
            yield line.decode("utf-8", "surrogateescape")
    except OSError as error:
        raise SettingsError(f"the standard input cannot be read ({error.strerror or error})") from error


def _converse(session: _Session, teller: Teller, history: Path, prompt: str) -> None:
    """Serves a person at a terminal, until Ctrl-D or `quit`. Ctrl-C ends what is being asked or typed; ToldToEnd is
    raised, and ends the visit."""
    # Imported only here: a pipe needs none of it.
    from peers.shop.prompt import make_reader

    read = make_reader(history, lambda: sorted(session.items), teller.warn)
    while True:
        line = ""
        try:
            line = read(prompt)
            if not session.serve_line(line):
                return
        except EOFError:
            return
        except ToldToEnd:
            raise
        except KeyboardInterrupt:
            if line:
                session.interrupted()
