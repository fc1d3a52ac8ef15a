"""What people type, as it is meant; and what they are told where it means nothing."""

from __future__ import annotations

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from peers.core.bounds import NO_RANK
from peers.core.names import rank_of
from peers.customer.answers import Trader, TraderFaulted, TraderFound, TraderLost, Waiting
from peers.errors import SettingsError
from peers.shop import sentences
from peers.shop.commands import COMMANDS, Command, parse, quantity_in, search_in
from peers.shop.finding import check_area, customer_name
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


def test_bytes_that_are_no_utf_8_are_no_command() -> None:
    with pytest.raises(SettingsError, match=r"^buy fi\\xff\\xfesh is not UTF-8"):
        parse("buy fi\udcff\udcfesh\n")
    with pytest.raises(SettingsError, match=r"^buy \\ud800 is not UTF-8"):
        parse("buy \ud800\n")


@pytest.mark.parametrize("word", ["", "two", "1.5", "-1", "²", "9" * 5000])
def test_a_quantity_is_a_whole_number(word: str) -> None:
    with pytest.raises(SettingsError, match="no quantity") as refused:
        quantity_in(word)
    assert len(str(refused.value)) < 200
    assert quantity_in("12") == quantity_in("0" * 5000 + "12") == 12


def test_a_search_is_of_the_own_area_or_of_all() -> None:
    assert search_in(()) == (None, False)
    assert search_in(("fish",)) == ("fish", False)
    assert search_in(("fish", "all")) == ("fish", True)
    assert search_in(("all",)) == (None, True)
    with pytest.raises(SettingsError, match=r"say: search \[ITEM\] \[all\]"):
        search_in(("fish", "everywhere"))


def test_an_area_is_one_of_the_town_or_refused() -> None:
    check_area(None, [""])
    check_area(None, ["north", "south"])
    check_area("south", ["north", "south"])
    with pytest.raises(SettingsError, match="has no area east: it has north, south"):
        check_area("east", ["north", "south"])
    with pytest.raises(SettingsError, match="has one post, and no area north: leave out --area"):
        check_area("north", [""])


def test_who_has_not_said_where_is_told_where_and_what_else_there_is() -> None:
    assert sentences.first_of(["north"]) == "you trade in north"
    assert sentences.first_of(["north", "south"]) == "you trade in north; south is there too (--area NAME)"
    assert "east, south are there too" in sentences.first_of(["north", "east", "south"])
    in_north = Trader(name="seller4", term=3, uri="PYRO:x", area="north")
    assert sentences.in_office(in_north) == "seller4 is in office in north (term 3)"
    assert sentences.in_office(Trader(name="seller4", term=3, uri="PYRO:x")) == "seller4 is in office (term 3)"


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
    assert completed("search ") == ["boar", "fish", "salt", "all"]
    assert completed("search fish ") == ["all"]
    assert completed("search fish all ") == completed("search all ") == []
    assert completed("trader f") == []


def test_nobody_goes_by_the_name_of_a_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert customer_name("anna") == "anna"
    with pytest.raises(SettingsError, match="name of a peer"):
        customer_name("buyer3")
    for name in ("../anna", "an na", "a" * 65, "änna", "an\udcffna"):
        with pytest.raises(SettingsError, match="must be 1 to 64"):
            customer_name(name)
    for login in ("buyer3", "J Doe@home", "", "x" * 200):
        monkeypatch.setattr("getpass.getuser", lambda login=login: login)
        name = customer_name(None)
        assert name
        assert len(name) <= 64
        assert rank_of(name) == NO_RANK


def test_what_is_for_sale_has_a_line_for_each_item() -> None:
    rows = [
        {"item": "fish", "price": "7.20", "remaining": 5, "seller": "seller3"},
        {"item": "fish", "price": "5.00", "remaining": 2, "seller": "olga"},
    ]
    assert sentences.look(rows) == [
        "item  units  from  sellers",
        "fish  7      5.00  seller3, olga",
    ]
    assert sentences.look([])[0] == "nothing is for sale just now"


def test_a_search_in_all_areas_has_a_column_of_them_and_names_who_did_not_answer() -> None:
    def row(area: str) -> dict[str, object]:
        return {"item": "fish", "price": "7.20", "remaining": 5, "seller": "seller3", "area": area}

    found = {
        "offers": [row("north"), row("south")],
        "areas": ["north", "south"],
        "missing": [{"area": "east", "why": "no trader is in office there"}],
    }
    assert sentences.search_areas(found, "fish") == [
        "area   item  price  units  seller",
        "north  fish  7.20   5      seller3",
        "south  fish  7.20   5      seller3",
        "east did not answer: no trader is in office there",
    ]
    nothing = sentences.search_areas({**found, "offers": []}, "fish")
    assert nothing[0] == "nobody who answers offers fish just now"
    one = {"offers": [row("")], "areas": [""], "missing": []}
    assert sentences.search_areas(one, "fish") == sentences.search([row("")], "fish")


def test_a_failover_is_told_in_a_word() -> None:
    lost, found = TraderLost(trader="seller5", why="reset"), TraderFound(trader="seller4", term=3, after="seller5")
    assert sentences.news(lost) == "the trader seller5 is gone; asking again, with the same id …"
    assert sentences.news(found) == "seller4 has taken office (term 3)"
    assert "an election is on" in sentences.news(Waiting(why="an election is on"))
    assert "seller4 failed" in sentences.news(TraderFaulted(trader="seller4"))
    assert sentences.news(TraderFound(trader="seller4", term=3, after="")) == ""
