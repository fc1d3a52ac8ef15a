"""When a trader has sold enough and makes way for another, and how long it takes no part in elections then."""

from __future__ import annotations

from random import Random


def sales_to_go(sales: int, resign_after_sales: int, *, at_most: int) -> int:
    """Returns how many more sales a trader makes before it resigns, `at_most` at a time; 0 or less means none.

    `resign_after_sales` is the setting; 0 means that it never resigns because of its sales.
    """
    return min(resign_after_sales - sales, at_most) if resign_after_sales else at_most


def is_resignation_due(sales: int, resign_after_sales: int) -> bool:
    """Whether a trader that has made so many sales resigns; never where `resign_after_sales` is 0."""
    return 0 < resign_after_sales <= sales


def elections_to_sit_out(rng: Random, barred_elections: int, return_probability: float, *, at_most: int) -> int:
    """Returns how many elections one who resigns now takes no part in, `at_most` so many.

    These are `barred_elections`, and then one more for as long as chance has it, with 1 - `return_probability`. The
    lot is drawn at once, so that all can be told how long it will be. 0 elections stay 0.
    """
    elections = barred_elections
    while 0 < elections < at_most and return_probability < 1 and rng.random() >= return_probability:
        elections += 1
    return elections


def barred_until(term: int, barred_elections: int) -> int:
    """Returns the first term after whose end one who resigned in `term` may stand for election again.

    The election after `term` itself is the first of the `barred_elections` that it sits out.
    """
    return term + barred_elections
