"""What people type, as it is meant; and what they are told where it means nothing."""

from __future__ import annotations

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from peers.core.names import NO_RANK, rank_of
from peers.customer.answers import TraderFound, TraderLost, Waiting
from peers.errors import SettingsError
from peers.shop import sentences
from peers.shop.commands import COMMANDS, Command, parse, quantity_in
from peers.shop.finding import customer_name
from peers.shop.prompt import WordCompleter


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("look", Command(name="look")),
        ("  BUY fish 2 ", Command(name="buy", words=("fish", "2"))),
        ("sell salt 5 7.20 # dear", Command(name="sell", words=("salt", "5", "7.20"))),
        ("exit", Command(name="quit")),
        ("?", Command(name="help")),
        ("", None),
        ("# a comment", None),
    ],
)
def test_a_line_is_read_as_it_is_meant(line: str, command: Command | None) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("byu fish", "did you mean buy"),
        ("xyzzy", "try help"),
        ("buy", r"say: buy ITEM \[QUANTITY\]"),
        ("sell fish 5", "say: sell ITEM QUANTITY PRICE"),
        ("look around you", "say: look"),
        ("buy 'fish", "quotation mark"),
    ],
)
def test_what_is_no_command_is_answered_with_what_to_say(line: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        parse(line)


@pytest.mark.parametrize("word", ["", "two", "1.5", "-1", "²"])
def test_a_quantity_is_a_whole_number(word: str) -> None:
    with pytest.raises(SettingsError, match="no quantity"):
        quantity_in(word)


def completed(text: str) -> list[str]:
    document = Document(text)
    found = WordCompleter(lambda: ["boar", "fish", "salt"]).get_completions(document, CompleteEvent())
    return [completion.text for completion in found]


def test_commands_are_completed_and_then_items() -> None:
    assert completed("") == list(COMMANDS)
    assert completed("bu") == ["buy"]
    assert completed("buy ") == ["boar", "fish", "salt"]
    assert completed("search s") == ["salt"]
    assert completed("buy fish ") == []
    assert completed("trader f") == []


def test_nobody_goes_by_the_name_of_a_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert customer_name("anna") == "anna"
    with pytest.raises(SettingsError, match="name of a peer"):
        customer_name("buyer3")
    for login in ("buyer3", "J Doe@home", "", "x" * 200):
        monkeypatch.setattr("getpass.getuser", lambda login=login: login)
        name = customer_name(None)
        assert name
        assert len(name) <= 64
        assert rank_of(name) == NO_RANK


def test_a_failover_is_told_in_a_word() -> None:
    lost, found = TraderLost(trader="seller5", why="reset"), TraderFound(trader="seller4", term=3, after="seller5")
    assert sentences.news(lost) == "the trader seller5 is gone; asking again, with the same id …"
    assert sentences.news(found) == "seller4 has taken office (term 3)"
    assert "an election is on" in sentences.news(Waiting(why="an election is on"))
    assert sentences.news(TraderFound(trader="seller4", term=3, after="")) == ""
