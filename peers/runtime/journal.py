"""A peer's journal: `journals/<peer>.jsonl`, what it asked for and what it was told, each on a line of its own.

It is the witness that the audit holds the books against, so a line is handed to the kernel, in one write, before
the peer does anything that follows from it: a peer killed afterwards has still said what it knew.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from db.audit.journals import FOLDER, trim_torn_tail
from peers.core.reports import Answered, Asked, Deposited, Earned, Offered, Report
from peers.rpc.public_form import deposit_dict, earned_dict, offer_dict, outcome_dict, request_dict

JOURNALED = (Asked, Answered, Deposited, Offered, Earned)


class Journal:
    """The journal of `peer` in a town's directory; goes on where an earlier one ended."""

    def __init__(self, directory: Path, peer: str) -> None:
        path = directory / FOLDER / f"{peer}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        trim_torn_tail(path)
        self._peer = peer
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._encode = msgspec.json.Encoder().encode

    def write(self, at_ms: int, kind: str, **payload: Any) -> None:
        """Appends one entry."""
        os.write(self._file, self._encode({"at_ms": at_ms, "peer": self._peer, "kind": kind, **payload}) + b"\n")

    def note(self, report: Report, at_ms: int) -> None:
        """Writes down what a report says, if it is for the journal."""
        if isinstance(report, Asked):
            self.write(at_ms, "asked", request=request_dict(report.request))
        elif isinstance(report, Answered):
            self.write(at_ms, "told", outcome=outcome_dict(report.outcome))
        elif isinstance(report, Earned):
            self.write(at_ms, "earned", sale=earned_dict(report.outcome, report.earned))
        elif isinstance(report, Deposited):
            self.write(at_ms, "deposited", deposit=deposit_dict(report.deposit))
        elif isinstance(report, Offered):
            self.write(at_ms, "offered", offer=offer_dict(report.offer))

    def close(self) -> None:
        os.close(self._file)
