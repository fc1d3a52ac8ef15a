"""Towns of two areas over one stock, whose peers trade by themselves: what they were promised and told, by their
journals."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

from db.audit.journals import journal_files, read_journal
from db.audit.rows import JournalEntry
from db.queries import Queries
from plots.measure.apparatus.steady_clock import steady_clock
from plots.measure.apparatus.towns import TradingTown, wait_for
from plots.measure.experiments.workshop import Workshop
from plots.results.experiments.caches import NEVER, REQUESTS, TOWNS, CachesPlan, Request, TownRun
from plots.results.rows import write_rows

_NORTH = "north"
_WARM_UP = 20  # Decisions that open connections, and are not recorded.
_THINK_S = 0.01
"""What a buyer thinks between an answer and the next purchase. No option: it leaves the machine time for the rest."""


def measure(plan: CachesPlan, shop: Workshop) -> None:
    """Measures all policies at all ratios, one town after the other."""
    requests: list[Request] = []
    towns: list[TownRun] = []
    for ratio in plan.ratios:
        for policy in plan.policies:  # The policies one after another, so that a drifting machine hits all alike.
            title = plan.title(policy, ratio)
            with shop.step(title):
                dies = ratio == plan.ratios[-1]
                found, town = _measure(plan, shop, policy, ratio, dies=dies)
                requests += found
                towns.append(town)
    write_rows(shop.out / REQUESTS, Request, requests)
    write_rows(shop.out / TOWNS, TownRun, towns)


def _measure(
    plan: CachesPlan, shop: Workshop, policy: str, ratio: float, *, dies: bool
) -> tuple[list[Request], TownRun]:
    sellers = round(plan.buyers * ratio)
    options = (
        *("--market", "warehouse", "--roles", f"buyers={plan.buyers},sellers={sellers}", "--resign-after", "0"),
        *("--set", f"market.cache={policy}", "--set", f"market.think_s={_THINK_S}"),
    )
    place = shop.out / f"town-{policy}-{ratio:g}"
    town = TradingTown(place, plan.buyers + sellers, shop.seed, options)
    died_s = NEVER
    with town:
        wait_for(lambda: town.look(Queries.post).seq >= _WARM_UP, "the market is warm")
        with steady_clock():
            began_ms, first = time.time_ns() // 1_000_000, town.look(Queries.post).seq
            _rest(shop, plan.run_s)
            last = town.look(Queries.post).seq
            if dies:
                killed_s = time.time_ns() / 1e9 - began_ms / 1000
                died_s = killed_s if _kill_trader(town) else NEVER
                _rest(shop, plan.run_s)
            ended_ms = time.time_ns() // 1_000_000
        found = list(_requests(town, began_ms, ended_ms, policy, ratio))
        counted = town.look(lambda books: books.count_foretold(first, last))
    shop.note_audit(plan.title(policy, ratio), town.audit_code)
    shop.discard(place, town.audit_code)
    refused = sum(number for (foretold, _), number in counted.items() if foretold == "refused")
    foretold = sum(number for (said, _), number in counted.items() if said)
    return found, TownRun(
        policy=policy,
        ratio=ratio,
        steady_s=plan.run_s if dies else (ended_ms - began_ms) / 1000,
        died_s=died_s,
        decided=sum(counted.values()),
        foretold=foretold,
        refused=refused,
    )


def _rest(shop: Workshop, seconds: float) -> None:
    """Lets the market be for a while."""
    for tenth in range(10):
        time.sleep(seconds / 10)
        shop.done((tenth + 1) / 10)


def _kill_trader(town: TradingTown) -> bool:
    """Kills the trader of one area. False where the other's stands in for it, so that there is nobody to kill."""
    trader = town.look(Queries.post).of(_NORTH).trader
    pids = {peer.name: peer.pid for peer in town.directory.area(_NORTH).read_peers()}
    if trader not in pids:
        return False
    os.kill(pids[trader], signal.SIGKILL)
    return True


def _requests(town: TradingTown, began_ms: int, ended_ms: int, policy: str, ratio: float) -> Iterator[Request]:
    """What peers asked within that time and were told, by their journals."""
    for path in journal_files(town.directory.path):
        asked: dict[str, int] = {}
        promised: dict[str, int] = {}
        for entry in read_journal(path):
            if not isinstance(entry, JournalEntry):
                continue
            if entry.kind in ("asked", "promised") and entry.request is not None:
                times = asked if entry.kind == "asked" else promised
                times.setdefault(entry.request["request_id"], entry.at_ms)
            elif entry.kind == "told" and entry.outcome is not None:
                request_id = entry.outcome["request_id"]
                asked_ms = asked.pop(request_id, None)
                if asked_ms is None or not began_ms <= asked_ms <= ended_ms:
                    continue
                promised_ms = promised.pop(request_id, None)
                yield Request(
                    policy=policy,
                    ratio=ratio,
                    asked_s=(asked_ms - began_ms) / 1000,
                    promised_ms=NEVER if promised_ms is None else float(promised_ms - asked_ms),
                    told_ms=float(entry.at_ms - asked_ms),
                    sold=entry.outcome["status"] == "sold",
                )
