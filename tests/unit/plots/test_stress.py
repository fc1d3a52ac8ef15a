"""A run of load comes to its end whatever becomes of its customers, and says what became of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from peers.customer import CircuitOpen, Customer, NoAnswer
from peers.errors import BadRequest, TownError
from peers.rpc.forms.public_form import Document
from plots.measure.stress import Figures, Load, Stress
from plots.stress_report import as_text

pytestmark = pytest.mark.timeout(30)

Act = Callable[[], None]


class Visitor(Customer):
    """One of the customers of a run, by its number; `acts` says what becomes of what it does."""

    def __init__(self, name: str, acts: dict[tuple[str, str], Act]) -> None:
        super().__init__("127.0.0.1", 9, name=name, clock="lamport")
        self._who = name
        self._acts = acts

    def ask(self, method: str, *arguments: Any, within_s: float | None = None, area: str | None = None) -> Any:
        del within_s, area
        self._acts.get((self._who, method), lambda: None)()
        if method == "status":
            return {"name": "seller1", "term": 1, "in_office": True, "clock": {"lamport": 1}}
        time.sleep(0.001)
        request: Document = arguments[0]
        return {"status": "sold", "remaining": 1, **request}


class Tried(Stress):
    """A run whose customers are visitors."""

    acts: dict[tuple[str, str], Act]

    def _customer(self, name: str, area: str) -> Customer:
        del area
        return Visitor(name, self.acts)


def fails(error: Exception) -> Act:
    def act() -> None:
        raise error

    return act


def run(acts: dict[tuple[str, str], Act], *, rate: float | None = None, patience_s: float = 1.0) -> Figures:
    load = Load(
        host="h", port=1, customers=3, duration_s=0.2, areas={"": None}, patience_s=patience_s, rate=rate, seed=7
    )
    tried = Tried(load)
    tried.acts = acts
    return tried.run(lambda _at_s: None)


@pytest.mark.parametrize("rate", [None, 100.0])
@pytest.mark.parametrize(
    ("error", "why"),
    [
        (NoAnswer("status", 1.0, "an election is on"), "no answer in time"),
        (CircuitOpen("h:1", 0.5), "circuit open"),
        (TownError("the journal cannot be written"), "TownError"),
        (BadRequest(field="method", why="is for machines"), "BadRequest"),
    ],
)
def test_a_customer_that_cannot_begin_is_counted_and_the_others_go_on(
    error: Exception, why: str, rate: float | None
) -> None:
    figures = run({("1", "status"): fails(error)}, rate=rate)
    assert figures.answered > 0
    assert figures.errors == {f"customers that could not begin ({why})": 1}
    assert f"1 customers that could not begin ({why})" in "\n".join(as_text(figures))


def test_where_none_can_begin_all_are_counted() -> None:
    figures = run({(str(number), "status"): fails(CircuitOpen("h:1", 0.5)) for number in range(3)})
    assert (figures.answered, list(figures.errors.values())) == (0, [3])


def test_what_is_measured_begins_when_the_last_has_begun() -> None:
    figures = run({("1", "status"): lambda: time.sleep(0.5)})
    assert figures.answered > 0
    assert figures.took_s < 0.5


def test_a_machine_that_gives_no_more_threads_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def start_some(thread: threading.Thread) -> None:
        if thread._args[0] == 2:  # type: ignore[attr-defined]
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_some)
    figures = run({})
    assert figures.answered > 0
    assert figures.errors == {"customers that could not begin (this machine gives no more threads)": 1}


@pytest.mark.parametrize("method", ["status", "buy"])
def test_a_fault_of_ours_ends_the_run_where_it_can_be_told(method: str) -> None:
    with pytest.raises(ZeroDivisionError, match="a fault"):
        run({("1", method): fails(ZeroDivisionError("a fault"))}, patience_s=10.0)


def test_a_deposit_that_is_refused_is_counted() -> None:
    """What is sold out is brought by who finds that it is."""

    class SoldOut(Visitor):
        def ask(self, method: str, *arguments: Any, within_s: float | None = None, area: str | None = None) -> Any:
            found = super().ask(method, *arguments, within_s=within_s, area=area)
            return {**found, "status": "unavailable"} if method == "buy" else found

    class Tried(Stress):
        def _customer(self, name: str, area: str) -> Customer:
            del area
            refused = fails(BadRequest(field="seller", why="must not be the trader"))
            return SoldOut(name, {("1", "deposit"): refused})

    figures = Tried(Load(host="h", port=1, customers=2, duration_s=0.3, areas={"": None}, seed=7)).run(lambda _: None)
    assert figures.errors.get("deposit: BadRequest", 0) > 0
    assert list(figures.errors) == ["deposit: BadRequest"]


def test_what_is_due_is_not_sent_for_ever_where_nobody_answers() -> None:
    """Each purchase waits for as long as patience goes, and there are more of them than one may wait for."""

    def silent() -> None:
        time.sleep(0.2)
        raise NoAnswer("buy", 0.2, "an election is on")

    began_s = time.monotonic()
    figures = run({(str(number), "buy"): silent for number in range(3)}, rate=1000.0, patience_s=0.2)
    assert time.monotonic() - began_s < 5.0
    assert set(figures.errors) == {"no answer in time", "not sent in time"}
    assert figures.errors["not sent in time"] > figures.errors["no answer in time"]
