"""What a customer has bought is what it has bought in this town, whatever else its record knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from peers.core.calls import ReversalsReply
from peers.customer import Customer
from peers.customer.record import AskedFor, AskedRecord, record_in
from peers.rpc import wire
from peers.rpc.forms.public_form import Document


class Visiting(Customer):
    """A customer of a town in which nothing was taken back; `asked` says in which areas it was asked for that."""

    def __init__(self, record: AskedRecord, town: str) -> None:
        super().__init__("127.0.0.1", 9, name="anna", record=record, town=town)
        self.asked: list[str | None] = []

    def ask(self, method: str, *arguments: Any, within_s: float | None = None, area: str | None = None) -> Any:
        del within_s
        assert method == "reversals"
        self.asked.append(area)
        return wire.pack(ReversalsReply(reversals=(), upto=arguments[1]))


def bought(record: AskedRecord, number: int, *, town: str, area: str = "") -> Document:
    request_id = f"anna-{number}"
    argument = {"request_id": request_id, "buyer": "anna", "item": "fish", "quantity": 1, "clock": {"lamport": 1}}
    record.asked(AskedFor(method="buy", argument=argument, at_ms=1, town=town, area=area))
    outcome = {**argument, "status": "sold", "seq": number}
    record.settled(request_id, outcome)
    return outcome


def test_what_was_bought_in_another_town_is_not_shown_here(tmp_path: Path) -> None:
    with record_in(tmp_path, "anna") as record:
        bought(record, 1, town="before --fresh", area="north")
        early = bought(record, 2, town="")  # So earlier versions noted it: where that was, nobody knows.
        here = bought(record, 3, town="here")
        with Visiting(record, "here") as anna:
            assert anna.purchases() == [early, here]
            assert anna.asked == [""]
        with Visiting(record, "elsewhere") as anna:
            assert anna.purchases() == [early]
    with record_in(tmp_path, "anna") as record:  # Nothing is lost of what is not shown.
        assert len(record.told) == 3
