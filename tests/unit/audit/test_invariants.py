"""Each invariant sees what it is there to see, names it and nothing else; sound books pass."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from bson.decimal128 import Decimal128

from db.audit.findings import MOST_LISTED
from db.audit.invariants import INVARIANTS, Evidence, check_books
from tests.helpers.bookkeeping import RATE, small_books, sort_key, to_bson
from tests.helpers.planting import (
    BOAR,
    FIFTH,
    FIRST,
    FISH,
    FOURTH,
    IN_VAIN,
    MORE_FISH,
    SALT,
    SECOND,
    THIRD,
    Plant,
    all_of,
    bought_by,
    deposit,
    drop,
    judge,
    post,
    request,
    sold_by,
    still_queued,
    swap_seqs,
)

FAULTS: list[tuple[str, str, Plant, tuple[str | None, ...], str]] = [
    # Faults that no_oversell finds.
    ("goods gone, nobody sold", "no_oversell", deposit(FISH, remaining=1), (FISH,), "is 9; its sales add up to 8"),
    ("sold, and still there", "no_oversell", deposit(SALT, remaining=4), (SALT,), "is 0; its sales add up to 3"),
    ("less than nothing", "no_oversell", deposit(BOAR, remaining=-1), (BOAR,), "below nothing"),
    (
        "oversold to the letter",
        "no_oversell",
        deposit(SALT, quantity=2, remaining=-1),
        (SALT,),
        "remaining is -1, below nothing",
    ),
    ("more deposited", "no_oversell", deposit(FISH, quantity=20), (FISH,), "is 18; its sales add up to 8"),
    ("no number", "no_oversell", deposit(BOAR, remaining="2"), (BOAR,), "not both whole numbers"),
    ("out of thin air", "no_oversell", lambda c: c.deposits.pop(SALT), (FOURTH,), "deposit seller4.d3, which is not"),
    (
        "other goods than were sold",
        "no_oversell",
        deposit(SALT, item="boar"),
        (FOURTH, SALT),
        "item is salt; its deposit's is boar",
    ),
    ("credited to another", "no_oversell", request(FOURTH, seller="seller7"), (FOURTH, SALT), "seller is seller7"),
    # Faults that decided_once finds.
    ("a number left out", "decided_once", request(IN_VAIN, seq=7), (FIFTH, IN_VAIN), "seq 6 was given to nobody"),
    ("a number twice", "decided_once", request(IN_VAIN, seq=5), (FIFTH, IN_VAIN), "seq 5 was given more than once"),
    ("numbers from 0", "decided_once", request(FIRST, seq=0), (FIRST,), "its seq is 0"),
    ("the post lags", "decided_once", post(seq=5), ("main", IN_VAIN), "seq is 5; the last decision's is 6"),
    ("the post is ahead", "decided_once", post(seq=7), ("main", IN_VAIN), "seq is 7; the last decision's is 6"),
    ("a decision vanished", "decided_once", lambda c: c.requests.pop(IN_VAIN), ("main", FIFTH), "post's seq is 6"),
    ("no outcome known", "decided_once", request(IN_VAIN, status="lost"), (IN_VAIN,), "its status is lost"),
    ("decided by nobody", "decided_once", drop(IN_VAIN, "trader"), (IN_VAIN,), "unavailable without trader"),
    ("both sold and not", "decided_once", request(IN_VAIN, deposit=BOAR), (IN_VAIN,), "unavailable yet has deposit"),
    # Faults that money_conserved finds.
    ("a cent appears", "money_conserved", request(FIRST, earned=Decimal("11.53")), (FIRST,), "make 14.41"),
    ("a cent is lost", "money_conserved", request(FIRST, commission=Decimal("2.87")), (FIRST,), "make 14.39"),
    (
        "charged too much",
        "money_conserved",
        request(FIRST, amount=Decimal("14.50"), commission=Decimal("2.90"), earned=Decimal("11.60")),
        (FIRST,),
        "amount is 14.50; 2 at 7.20 make 14.40",
    ),
    (
        "at another price",
        "money_conserved",
        request(
            FOURTH,
            price=Decimal("1.00"),
            amount=Decimal("3.00"),
            commission=Decimal("0.60"),
            earned=Decimal("2.40"),
        ),
        (FOURTH, SALT),
        "sold at 1.00; its deposit's price is 1.13",
    ),
    ("in floating point", "money_conserved", request(FIRST, amount=14.4), (FIRST,), "no exact amount"),
    (
        "below a cent",
        "money_conserved",
        request(FIRST, commission=Decimal("2.875"), earned=Decimal("11.525")),
        (FIRST,),
        "commission is 2.875, no amount to the cent",
    ),
    (
        "another commission than agreed",
        "money_conserved",
        request(FIRST, commission=Decimal("1.44"), earned=Decimal("12.96")),
        (FIRST,),
        "0.2 of 14.40 is 2.88",
    ),
    ("paid to take it", "money_conserved", deposit(BOAR, price=Decimal("-1.00")), (BOAR,), "its price is -1.00"),
    ("an unpriced deposit", "money_conserved", deposit(BOAR, price=99.99), (BOAR,), "no amount to the cent"),
    # Faults that one_trader_a_term finds.
    (
        "two decided",
        "one_trader_a_term",
        request(SECOND, trader="merchant7"),
        (None, SECOND),
        "term 1 has two traders",
    ),
    (
        "the post says another",
        "one_trader_a_term",
        post(trader="merchant7"),
        ("main", "2"),
        "merchant7 and merchant9",
    ),
    (
        "elected was another",
        "one_trader_a_term",
        lambda c: c.elections[0].update(trader="merchant7"),
        ("1", FIRST),
        "term 1 has two traders: merchant7 and merchant8",
    ),
    (
        "elected twice",
        "one_trader_a_term",
        lambda c: c.elections.append({**c.elections[1], "_id": 77}),
        ("2", "77"),
        "both are elections of term 2",
    ),
    (
        "an old trader decides",
        "one_trader_a_term",
        request(IN_VAIN, term=1, trader="merchant8", queued_term=1),
        (FIFTH, IN_VAIN),
        "decided in term 1, after term 2 had begun",
    ),
    ("out of the future", "one_trader_a_term", deposit(BOAR, term=3), (BOAR,), "has come only to term 2"),
    ("accepted later than decided", "one_trader_a_term", request(FIRST, queued_term=2), (FIRST,), "before that"),
    # Faults that lowest_clock_first finds.
    ("first in, first out", "lowest_clock_first", swap_seqs(THIRD, FIFTH), (FIFTH, THIRD), "decided only as seq 5"),
    ("late comer first", "lowest_clock_first", swap_seqs(FIRST, SECOND), (SECOND, FIRST), "with a lower order"),
    ("a forged order", "lowest_clock_first", request(FIRST, order="0"), (FIRST,), "its clock, owner and id make it"),
    (
        "a deposit's forged order",
        "lowest_clock_first",
        deposit(SALT, order=sort_key(1, "seller4", SALT)),
        (SALT,),
        "its clock, owner and id make it",
    ),
    ("no order", "lowest_clock_first", drop(FIRST, "order"), (FIRST,), "it has no order"),
    ("no arrival", "lowest_clock_first", drop(IN_VAIN, "arrival"), (IN_VAIN,), "it has no arrival"),
    (
        "the wrong seller sold",
        "lowest_clock_first",
        all_of(
            request(
                THIRD,
                seller="seller4",
                deposit=MORE_FISH,
                price=Decimal("3.15"),
                amount=Decimal("12.60"),
                commission=Decimal("2.52"),
                earned=Decimal("10.08"),
            ),
            deposit(MORE_FISH, remaining=2),
            deposit(FISH, remaining=6),
        ),
        (THIRD, FISH),
        "although seller3.d1 of seller3, with a lower order",
    ),
    # Faults that trader_neutral finds.
    ("it sold in office", "trader_neutral", sold_by("merchant9"), (FOURTH,), "merchant9 sold while it was trader"),
    ("it bought in office", "trader_neutral", bought_by(FIRST, "merchant8", 5), (FIRST,), "merchant8 bought while"),
    ("from itself", "trader_neutral", bought_by(FOURTH, "seller4", 11), (FOURTH,), "seller4 bought from itself"),
    # The fault that nothing_forgotten finds.
    ("left waiting", "nothing_forgotten", lambda c: still_queued(c, 99), ("buyer0.r11",), "accepted as 7 in term 2"),
]


def test_sound_books_hold() -> None:
    clerk = small_books()
    verdict = judge(clerk, journals=clerk.journals)
    assert verdict.holds, str(verdict)
    assert sorted(finding.state for finding in verdict.findings) == ["holds"] * 10 + ["not checked"] * 2
    assert verdict.counts.sales == 5
    assert verdict.counts.amount == verdict.counts.commission + verdict.counts.earned == Decimal("70.44")


def test_what_cannot_be_judged_is_not_said_to_hold() -> None:
    verdict = judge(small_books(), graph=None)
    assert verdict.holds
    assert verdict.of("graph_sound").state == "not checked"
    assert verdict.of("acknowledged_is_recorded").state == "not checked"


@pytest.mark.parametrize(
    ("invariant", "plant", "documents", "words"),
    [fault[1:] for fault in FAULTS],
    ids=[fault[0].replace(" ", "_") for fault in FAULTS],
)
def test_a_planted_fault_is_named(
    invariant: str, plant: Plant, documents: tuple[str | None, ...], words: str
) -> None:
    clerk = small_books()
    plant(clerk)
    verdict = judge(clerk)
    assert verdict.violated == (invariant,), str(verdict)
    first = verdict.of(invariant).violations[0]
    assert words in first.what
    assert len(first.documents) == len(documents)
    assert all(wanted in (None, named) for named, wanted in zip(first.documents, documents, strict=True))
    alone = INVARIANTS[invariant](
        Evidence(
            requests=list(clerk.requests.values()),
            deposits=list(clerk.deposits.values()),
            posts=clerk.posts,
            elections=clerk.elections,
            commission_rate=RATE,
        )
    )
    assert alone == verdict.of(invariant)


def test_each_invariant_has_planted_faults_of_several_kinds() -> None:
    planted = [fault[1] for fault in FAULTS]
    elsewhere = {
        "acknowledged_is_recorded",
        "books_follow_log",
        "compensated_whole",
        "graph_sound",
        "nothing_forgotten",
        "reads",
    }
    assert all(planted.count(name) >= 3 for name in set(INVARIANTS) - elsewhere)


def test_a_request_recorded_twice_is_named() -> None:
    clerk = small_books()
    twice = [*clerk.requests.values(), {**clerk.requests[IN_VAIN], "seq": 7}]
    verdict = check_books(twice, clerk.deposits.values(), [{**clerk.post, "seq": 7}])
    assert "it is recorded more than once" in verdict.of("decided_once").violations[0].what


def test_a_queued_request_with_a_number_is_named() -> None:
    clerk = small_books()
    clerk.requests[IN_VAIN]["status"] = "queued"
    verdict = judge(clerk, calm=False)
    assert verdict.violated == ("decided_once",)
    assert verdict.violations[0].what == "it is queued yet has the seq 6"


def test_the_total_says_how_much_money_is_off() -> None:
    clerk = small_books()
    clerk.requests[FIRST]["earned"] += 1
    *_, total = judge(clerk).of("money_conserved").violations
    assert total.documents == ()
    assert "sold for 70.44" in total.what
    assert "71.44 together" in total.what


def test_documents_straight_from_mongodb_are_understood() -> None:
    clerk = small_books()
    stored = {name: to_bson(document) for name, document in clerk.requests.items()}
    for document in stored.values():
        document["queued_at"] = document["queued_at"].replace(tzinfo=None)
    assert isinstance(stored[FIRST]["amount"], Decimal128)
    assert check_books(stored.values(), map(to_bson, clerk.deposits.values()), clerk.posts).holds


@pytest.mark.parametrize(
    "rubbish", [None, "x", -1, 3.5, True, [], {}, {"lamport": "7"}, {"vector": [1]}, float("nan")]
)
def test_rubbish_in_any_field_is_judged_and_not_stumbled_over(rubbish: object) -> None:
    fields = small_books().requests[FIRST].keys() | small_books().deposits[FISH].keys()
    for field in fields:
        clerk = small_books()
        for document in (*clerk.requests.values(), *clerk.deposits.values(), clerk.post, *clerk.elections):
            if field in document and field != "reason":
                document[field] = rubbish
        judge(clerk)


def test_violations_are_capped_and_counted() -> None:
    clerk = small_books()
    for _ in range(50):
        still_queued(clerk, 99)
    finding = judge(clerk).of("nothing_forgotten")
    assert len(finding.violations) == MOST_LISTED
    assert finding.found == 50


# -- the rest ------------------------------------------------------------------------------------------------


def test_while_things_are_not_calm_waiting_is_no_fault() -> None:
    clerk = small_books()
    still_queued(clerk, 99)
    verdict = judge(clerk, calm=False)
    assert verdict.holds
    assert verdict.of("nothing_forgotten").state == "not checked"


@pytest.mark.parametrize(
    ("graph", "documents", "words"),
    [
        ({"a": ["b"], "b": ["a"], "c": ["d"], "d": ["c"]}, ("c", "d"), "no path leads from here to a"),
        ({"a": [], "b": []}, ("b",), "no path"),
        ({"a": ["b"], "b": []}, ("a", "b"), "not the other way round"),
        ({"a": ["a", "b"], "b": ["a"]}, ("a",), "its own neighbour"),
        ({"a": list("bcde"), **{peer: ["a"] for peer in "bcde"}}, ("a",), "4 neighbours, more than 3"),
    ],
)
def test_an_unsound_graph_is_named(graph: dict[str, list[str]], documents: tuple[str, ...], words: str) -> None:
    verdict = judge(small_books(), graph=graph)
    assert verdict.violated == ("graph_sound",)
    assert verdict.violations[0].documents == documents
    assert words in verdict.violations[0].what


@pytest.mark.parametrize("graph", [{}, {"a": []}, {"a": ["b", "gone"], "b": ["a", "gone", "left", "away"]}])
def test_a_sound_graph_holds(graph: dict[str, list[str]]) -> None:
    assert judge(small_books(), graph=graph).holds


def test_names_and_order_are_the_contract_s() -> None:
    contract = (
        "no_oversell decided_once acknowledged_is_recorded money_conserved one_trader_a_term "
        "lowest_clock_first trader_neutral books_follow_log nothing_forgotten graph_sound compensated_whole reads"
    )
    assert list(INVARIANTS) == contract.split()
    assert [finding.invariant for finding in judge(small_books()).findings] == contract.split()
    assert all(one != other for one, other in pairwise(INVARIANTS.values()))
