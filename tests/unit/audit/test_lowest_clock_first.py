"""`lowest_clock_first` accuses only where it is certain: what numbers, terms and times prove, and what not."""

from __future__ import annotations

from datetime import timedelta

from tests.helpers.bookkeeping import Clerk, sort_key
from tests.helpers.planting import judge, swap_seqs


def test_a_request_still_queued_counts_as_passed_over() -> None:
    clerk = Clerk()
    low, high = clerk.ask("buyer0", "fish", 1, 5), clerk.ask("buyer1", "fish", 1, 9)
    clerk.decide()
    for field in ("seq", "term", "trader", "decided_at", "reason"):
        del clerk.requests[low][field]
    clerk.requests[low]["status"] = "queued"
    clerk.requests[high]["seq"] = clerk.post["seq"] = 1
    verdict = judge(clerk, calm=False)
    assert verdict.violated == ("lowest_clock_first",)
    (violation,) = verdict.violations
    assert violation.documents == (high, low)
    assert "is still queued" in violation.what


def test_what_comes_in_while_a_batch_is_being_committed_is_no_fault() -> None:
    clerk = Clerk()
    clerk.ask("buyer0", "fish", 1, 50)
    clerk.decide()
    lower = clerk.ask("buyer1", "fish", 1, 1)  # It comes in the millisecond in which the batch was formed, or later.
    clerk.wait()
    clerk.decide()
    assert clerk.requests[lower]["seq"] == 2
    assert judge(clerk).holds


def overtaken_by_time() -> Clerk:
    """Two wait; the one that came first, with the higher order, is decided first. Only times tell."""
    clerk = Clerk()
    first = clerk.ask("buyer0", "fish", 1, 50)
    clerk.wait()
    second = clerk.ask("buyer1", "fish", 1, 1)
    clerk.wait()
    clerk.decide()
    swap_seqs(first, second)(clerk)
    return clerk


def test_times_of_one_term_tell_who_was_waiting() -> None:
    assert judge(overtaken_by_time()).violated == ("lowest_clock_first",)


def test_a_clock_that_was_set_back_proves_nothing() -> None:
    clerk = overtaken_by_time()
    clerk.wait(-10_000)
    clerk.ask("buyer0", "fish", 1, 60)
    clerk.decide()
    verdict = judge(clerk)
    assert verdict.holds, str(verdict)
    assert "the times of term 1 run backwards" in verdict.of("lowest_clock_first").notes[0]


def test_times_of_two_terms_are_not_compared() -> None:
    """The successor's clock is ahead by an hour; it takes a low request in after it decided a high one."""
    clerk = Clerk()
    clerk.wait(3_600_000)
    clerk.elect("merchant9")
    clerk.ask("buyer0", "fish", 1, 50)
    clerk.decide()
    low = clerk.ask("buyer1", "fish", 1, 1)
    clerk.wait()
    clerk.elect("merchant8")
    clerk.decide()
    clerk.requests[low]["queued_at"] -= timedelta(hours=1)
    assert judge(clerk).holds


def test_vector_clocks_are_ordered_by_their_sum() -> None:
    clerk = Clerk()
    clerk.ask("buyer1", "fish", 1, 0, vector={"buyer0": 3, "buyer1": 4})
    clerk.ask("buyer0", "fish", 1, 0, vector={"buyer0": 5, "buyer1": 1})
    clerk.wait()
    clerk.decide()
    assert judge(clerk).holds
    swap_seqs(*clerk.requests)(clerk)
    assert judge(clerk).violated == ("lowest_clock_first",)


def test_a_seller_in_office_or_buying_itself_is_passed_over_rightly() -> None:
    clerk = Clerk("buyer5")
    for seller, time in (("merchant8", 1), ("merchant9", 2), ("seller3", 3)):
        clerk.deposit(seller, "fish", 5, "1.00", time)
    clerk.elect("merchant8")
    sold = clerk.ask("merchant9", "fish", 1, 9)
    clerk.decide()
    assert clerk.requests[sold]["seller"] == "seller3"
    assert judge(clerk).holds


def test_a_deposit_sold_from_before_was_certainly_on_the_shelf() -> None:
    """Within one term only that tells."""
    clerk = Clerk()
    low = clerk.deposit("seller3", "fish", 5, "1.00", 1)
    high = clerk.deposit("seller4", "fish", 5, "1.00", 2)
    for time in (5, 6):
        clerk.ask("buyer0", "fish", 1, time)
        clerk.decide()
    _, second = clerk.requests.values()
    second |= {"deposit": high, "seller": "seller4"}
    clerk.deposits[low]["remaining"] = clerk.deposits[high]["remaining"] = 4
    verdict = judge(clerk)
    assert verdict.violated == ("lowest_clock_first",)
    assert verdict.violations[0].documents == (second["_id"], low)


def test_a_wrong_term_in_a_sale_accuses_nobody_else() -> None:
    """Taken at its word, it would be later than a lower request and lower goods that came after it."""
    clerk = Clerk()
    clerk.deposit("seller3", "fish", 5, "1.00", 40)
    sale = clerk.ask("buyer0", "fish", 1, 50)
    clerk.decide()
    clerk.wait()
    clerk.deposit("seller4", "fish", 5, "1.00", 1)
    clerk.ask("buyer1", "fish", 1, 2)
    clerk.decide()
    clerk.elect("merchant9")
    clerk.requests[sale] |= {"term": 2, "trader": "merchant9"}
    assert judge(clerk).violated == ("one_trader_a_term",)


def test_two_requests_with_one_order_are_named() -> None:
    clerk = Clerk()
    clerk.requests = {
        request_id: {**document, "_id": request_id, "buyer": buyer, "order": sort_key(7, buyer, request_id)}
        for request_id, buyer in (("c", "a.b"), ("b.c", "a"))
        for document in [clerk.requests[clerk.ask(buyer, "fish", 1, 7)]]
    }
    verdict = judge(clerk, calm=False)
    assert verdict.violated == ("lowest_clock_first",)
    assert set(verdict.violations[0].documents) == {"c", "b.c"}
    assert "both have the order" in verdict.violations[0].what


def test_goods_that_came_later_in_the_term_were_not_passed_over() -> None:
    clerk = Clerk()
    clerk.deposit("seller3", "fish", 5, "1.00", 40)
    clerk.ask("buyer0", "fish", 1, 50)
    clerk.decide()
    clerk.deposit("seller4", "fish", 5, "1.00", 1)
    clerk.ask("buyer0", "fish", 1, 51)
    clerk.decide()
    assert judge(clerk).holds
