"""What may be said at the counter: the words, what they mean, and what is wrong with them."""

from __future__ import annotations

import difflib
import shlex

import msgspec

from peers.core.market.limits import MAX_QUANTITY
from peers.errors import SettingsError
from peers.text import escaped, is_text, whole_number


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do: `name` is a key of COMMANDS, `words` are what follows it."""

    name: str
    words: tuple[str, ...] = ()


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """How a command is called, how many words may follow it, and what it does."""

    form: str
    least: int
    most: int
    does: str


COMMANDS: dict[str, Usage] = {
    "look": Usage(form="look", least=0, most=0, does="what is on offer, by item"),
    "search": Usage(
        form="search [ITEM] [all]",
        least=0,
        most=2,
        does="each deposit of it, in the order in which they sell; `all`: in all areas of the town",
    ),
    "buy": Usage(form="buy ITEM [QUANTITY]", least=1, most=2, does="buy, from whoever is next to sell"),
    "sell": Usage(form="sell ITEM QUANTITY PRICE", least=3, most=3, does="deposit goods, at a price for each"),
    "purchases": Usage(form="purchases", least=0, most=0, does="what you bought here"),
    "earnings": Usage(form="earnings", least=0, most=0, does="what you sold, and what it brought you"),
    "trader": Usage(form="trader", least=0, most=0, does="who is in office"),
    "pending": Usage(form="pending", least=0, most=0, does="what you asked for and have not heard of: look again"),
    "again": Usage(form="again", least=0, most=0, does="ask for all of that again, with the ids it had"),
    "forget": Usage(form="forget", least=0, most=0, does="let go of all of that"),
    "help": Usage(form="help", least=0, most=0, does="this list"),
    "quit": Usage(form="quit", least=0, most=0, does="leave; so does Ctrl-D"),
}
"""In the order in which `help` lists them."""

EVERYWHERE = "all"
"""What to say after `search` to look in all areas."""

LEAVE = "quit"
"""What to say to leave, at a prompt or in a pipe."""

_LONGEST_SHOWN = 60
"""So many characters of a word are repeated where it is refused."""

_ALIASES = {"exit": "quit", "q": "quit", "?": "help", "ls": "look", "deposit": "sell"}


def parse(line: str) -> Command | None:
    """Returns the command in a line, None for an empty one or a comment (`# …`). SettingsError, which says what to
    say instead, for what is none."""
    if not is_text(line):
        raise SettingsError(f"{escaped(line.strip())} is not UTF-8: say it in that")
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        raise SettingsError(f"a quotation mark is left open ({error})") from error
    return command_of(words) if words else None


def command_in(words: list[str]) -> Command:
    """Returns the command in words that are said for themselves, not at a prompt or in a pipe. SettingsError also for
    what makes sense only there."""
    command = command_of(words)
    if command.name == LEAVE:
        raise SettingsError(f"{words[0]} ends a prompt or a pipe, and there is none: leave it out, or try help")
    return command


def command_of(words: list[str]) -> Command:
    """Returns the command in these words, of which there is at least one. SettingsError likewise."""
    said, rest = words[0].lower(), tuple(words[1:])
    name = _ALIASES.get(said, said)
    usage = COMMANDS.get(name)
    if usage is None:
        near = difflib.get_close_matches(said, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else "try help"
        raise SettingsError(f"there is no command {words[0] or repr(words[0])}: {hint}")
    if not usage.least <= len(rest) <= usage.most:
        raise SettingsError(f"say: {usage.form}")
    return Command(name=name, words=rest)


def search_in(words: tuple[str, ...]) -> tuple[str | None, bool]:
    """Returns which item a search is for, None for all, and whether in all areas. SettingsError for other words."""
    is_everywhere = words[-1:] == (EVERYWHERE,)
    items = words[:-1] if is_everywhere else words
    if len(items) > 1:
        raise SettingsError(f"say: {COMMANDS['search'].form}")
    return (items[0] if items else None), is_everywhere


def quantity_in(word: str) -> int:
    """Returns the whole number in a word; SettingsError if there is none."""
    number = whole_number(word)
    if number is None:
        said = word if len(word) <= _LONGEST_SHOWN else f"{word[:_LONGEST_SHOWN]}..."
        raise SettingsError(f"{said} is no quantity: a whole number, from 1 to {MAX_QUANTITY}")
    return number
