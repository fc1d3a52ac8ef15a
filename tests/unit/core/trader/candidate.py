"""A peer that bids for the post; the test decides what the ledger does, and when."""

from __future__ import annotations

from random import Random

from db.ledger.memory import MemoryLedger
from peers.core.commands import Perform, Publish, SetTimer
from peers.core.context import Context
from peers.core.inputs import Now
from peers.core.leadership.reasons import VacancyReason
from peers.core.ledger.port import Append, Load, Operation, Result
from peers.core.reports import CutOff, LedgerBack, LedgerTrouble
from peers.core.trader.taking_office import Lost, TakingOffice, Won
from tests.unit.core.words import T0_MS, peer, rules

SUSPECT_S = rules().timing.suspect_s


class Candidate:
    """merchant9 bids for the term after `after_term`; the test decides what the ledger does, and when."""

    def __init__(
        self, ledger: MemoryLedger, after_term: int = 1, reason: VacancyReason = VacancyReason.CRASHED
    ) -> None:
        self.ledger = ledger
        self.ctx = Context(peer(9, "merchant"), rules(), Random(1))
        self.ctx.now = Now(mono_s=0.0, wall_ms=T0_MS)
        self.bid = TakingOffice(self.ctx, after_term, reason)
        self.ended: Won | Lost | None = None
        self.reports: list[LedgerTrouble | LedgerBack] = []
        self.timer = self.is_cut_off = False
        self.waits_s = 0.0
        self.asked: list[Operation] = []
        self._take_commands()

    def _take_commands(self) -> None:
        for command in self.ctx.take_commands():
            if isinstance(command, Publish) and isinstance(command.report, CutOff):
                self.is_cut_off = True
            elif isinstance(command, Publish) and isinstance(command.report, LedgerTrouble | LedgerBack):
                self.reports.append(command.report)
            elif isinstance(command, SetTimer):
                assert command.timer == "ledger"
                assert self.is_cut_off <= (command.after_s == SUSPECT_S)
                self.timer, self.waits_s = True, command.after_s
            else:
                assert isinstance(command, Perform), command
                self.asked.append(command.operation)

    def hears(self, operation: Operation, result: Result) -> None:
        ended = self.bid.on_ledger(operation, result)
        if ended is not None:
            assert self.ended is None
            self.ended = ended
        self._take_commands()

    def performs(self, result: Result | None = None) -> Operation:
        """The ledger does what was asked last; or it does not, and `result` is what is heard."""
        operation = self.asked[-1]
        self.hears(operation, self.ledger.perform(operation) if result is None else result)
        return operation

    def reads(self, result: Result | None = None) -> None:
        assert isinstance(self.asked[-1], Load)
        self.performs(result)

    def writes(self, result: Result | None = None) -> Append:
        operation = self.asked[-1]
        assert isinstance(operation, Append)
        self.performs(result)
        return operation

    def tries_again(self) -> None:
        assert self.timer
        self.timer = False
        self.bid.on_timer()
        self._take_commands()

    @property
    def won(self) -> Won:
        assert isinstance(self.ended, Won), self.ended
        return self.ended

    @property
    def lost_to(self) -> tuple[int, str | None]:
        """Term and trader of the post as it is instead."""
        assert isinstance(self.ended, Lost), self.ended
        return self.ended.post.term, self.ended.post.trader
