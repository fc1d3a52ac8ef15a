"""What people are told at the counter: sentences and small tables, all of plain text."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from peers.customer.answers import Earnings, News, Trader, TraderFaulted, TraderFound, TraderLost, Waiting
from peers.customer.record import AskedFor
from peers.shop.commands import COMMANDS

Document = dict[str, Any]


def bought(outcome: Document) -> str:
    """What became of a purchase."""
    goods = f"{outcome['quantity']} {outcome['item']}"
    if outcome["status"] != "sold":
        return (
            f"no {outcome['item']} for you: {outcome.get('reason') or 'it is not to be had'} (you asked for {goods})"
        )
    sale = f"{goods} from {outcome['seller']} at {outcome['price']}"
    number = f"#{outcome['seq']} of {outcome['area']}" if outcome.get("area") else f"#{outcome['seq']}"
    back = outcome.get("taken_back")
    if back is not None:
        return f"you bought {sale} ({number}), and got {back['amount']} back: {back['reason']}"
    return f"you bought {sale}, {outcome['amount']} in all ({number})"


def deposited(deposit: Document) -> str:
    """What became of a deposit, as recorded or as a search shows it."""
    units = deposit.get("quantity", deposit["remaining"])
    return f"{units} {deposit['item']} on offer at {deposit['price']} each, {deposit['remaining']} left to sell"


def answered(asked: AskedFor, answer: Document) -> str:
    """What became of a request."""
    return bought(answer) if asked.method == "buy" else deposited(answer)


def request(asked: AskedFor) -> str:
    """A request, as the object of a sentence."""
    goods = f"{asked.quantity} {asked.item}"
    at = time.strftime("%H:%M:%S", time.localtime(asked.at_ms / 1000))
    verb = "buy" if asked.method == "buy" else "sell"
    price = f" at {asked.argument['price']}" if asked.method == "deposit" else ""
    area = f" in {asked.area}" if asked.area else ""
    return f"to {verb} {goods}{price}{area} at {at}"


def in_office(trader: Trader) -> str:
    """Who is in office, and where that is if the town has several posts."""
    area = f" in {trader.area}" if trader.area else ""
    return f"{trader.name} is in office{area} (term {trader.term})"


def first_of(areas: Iterable[str]) -> str:
    """That a customer who has not said where trades in the first of these areas."""
    first, *others = areas
    there = f"; {', '.join(others)} {'are' if len(others) > 1 else 'is'} there too (--area NAME)" if others else ""
    return f"you trade in {first}{there}"


def look(rows: Iterable[Document]) -> list[str]:
    """What is for sale, a line for each item."""
    by_item: dict[str, list[Document]] = {}
    for row in rows:
        by_item.setdefault(row["item"], []).append(row)
    table = [("item", "units", "from", "sellers")]
    for item, deposits in sorted(by_item.items()):
        units = sum(int(row["remaining"]) for row in deposits)
        sellers = dict.fromkeys(row["seller"] for row in deposits)
        table.append((item, str(units), str(min(Decimal(row["price"]) for row in deposits)), ", ".join(sellers)))
    return _columns(table) if by_item else ["nothing is for sale just now"]


def search(rows: Sequence[Document], item: str | None) -> list[str]:
    """Each deposit, the next to sell first."""
    if not rows:
        return [f"nobody offers {item or 'anything'} just now"]
    table = [("item", "price", "units", "seller")]
    table += [(row["item"], row["price"], str(row["remaining"]), row["seller"]) for row in rows]
    return _columns(table)


def search_areas(found: Document, item: str | None) -> list[str]:
    """Each deposit in each area, the next to sell first; and which areas did not answer."""
    lines = [f"{each['area'] or 'the post'} did not answer: {each['why']}" for each in found["missing"]]
    rows = found["offers"]
    if not rows:
        return [f"nobody who answers offers {item or 'anything'} just now", *lines]
    table = [("area", "item", "price", "units", "seller")]
    table += [(row["area"], row["item"], row["price"], str(row["remaining"]), row["seller"]) for row in rows]
    # In a town with one post, whose name is empty, there is nothing to tell apart.
    return [*_columns(table if any(row["area"] for row in rows) else [cells[1:] for cells in table]), *lines]


def purchases(outcomes: Sequence[Document]) -> list[str]:
    """What was bought, and what it cost."""
    sold = [outcome for outcome in outcomes if outcome["status"] == "sold"]
    if not sold:
        return ["you have bought nothing here yet"]
    spent = sum((Decimal(outcome["amount"]) for outcome in sold if not outcome.get("taken_back")), Decimal(0))
    return [*map(bought, sold), f"{spent:.2f} spent"]


def earnings(found: Earnings) -> list[str]:
    """What was sold, and what it brought."""
    left = ", ".join(f"{units} {item}" for item, units in sorted(found.left.items()))
    lines = [f"still on offer: {left}"] if left else ["you have nothing on offer"]
    if found.taken_back:
        lines.append(f"{found.taken_back} sales were taken back")
    if not found.sales:
        return ["you have sold nothing yet", *lines]
    sold = f"you sold {found.units} units in {found.sales} {'sale' if found.sales == 1 else 'sales'}"
    return [
        f"{sold} and earned {found.earned} of {found.paid}; {found.commission} is the traders' commission",
        *lines,
    ]


def news(told: News) -> str:
    """What happens while somebody waits; empty for what is not worth a word."""
    if isinstance(told, TraderLost) and told.trader:
        return f"the trader {told.trader} is gone; asking again, with the same id …"
    if isinstance(told, TraderLost):
        return "no trader answers; asking again, with the same id …"
    if isinstance(told, TraderFaulted):
        return f"{told.trader or 'the trader'} failed at it; asking again, with the same id …"
    if isinstance(told, TraderFound) and told.after:
        office = "has taken office" if told.after != told.trader else "is there again"
        return f"{told.trader} {office} (term {told.term})"
    if isinstance(told, Waiting):
        return f"the post is closed ({told.why}); asking again, with the same id …"
    return ""


def help_lines() -> list[str]:
    """All commands."""
    return _columns([(usage.form, usage.does) for usage in COMMANDS.values()])


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
