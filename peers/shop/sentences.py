"""What people are told at the counter: sentences and small tables, all of plain text."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from peers.customer.answers import Earnings, News, TraderFound, TraderLost, Waiting
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
    back = outcome.get("taken_back")
    if back is not None:
        return f"you bought {sale} (#{outcome['seq']}), and got {back['amount']} back: {back['reason']}"
    return f"you bought {sale}, {outcome['amount']} in all (#{outcome['seq']})"


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
    return f"to {verb} {goods}{price} at {at}"


def look(rows: Iterable[Document]) -> list[str]:
    """What is on offer, a line for each item."""
    by_item: dict[str, list[Document]] = {}
    for row in rows:
        by_item.setdefault(row["item"], []).append(row)
    if not by_item:
        return ["nothing is on offer just now"]
    table = [("item", "units", "from", "sellers")]
    for item, deposits in sorted(by_item.items()):
        units = sum(int(row["remaining"]) for row in deposits)
        sellers = dict.fromkeys(row["seller"] for row in deposits)
        table.append((item, str(units), str(min(Decimal(row["price"]) for row in deposits)), ", ".join(sellers)))
    return _columns(table)


def search(rows: Sequence[Document], item: str | None) -> list[str]:
    """Each deposit, the next to sell first."""
    if not rows:
        return [f"nobody offers {item or 'anything'} just now"]
    table = [("item", "price", "units", "seller")]
    return _columns(table + [(row["item"], row["price"], str(row["remaining"]), row["seller"]) for row in rows])


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
