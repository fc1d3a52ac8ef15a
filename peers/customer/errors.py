"""How a customer's request may end without an answer."""

from __future__ import annotations

from peers.errors import TownError


class NoAnswer(TownError):
    """Nobody answered in time. Nobody knows whether it was done: ask again with the same id, or for its outcome."""

    def __init__(self, method: str, within_s: float, why: object) -> None:
        super().__init__(
            f"no answer to {method} in {within_s:g} s ({why}); whether it was done is not known, so ask again with "
            "the same id"
        )


class NotAsked(NoAnswer):
    """Nobody answered in time when it was to be asked, and nothing was sent: it was certainly not done."""

    def __init__(self, within_s: float, why: object) -> None:
        TownError.__init__(self, f"no trader answered in {within_s:g} s ({why}), so nothing was asked for")


class RefusedLater(NoAnswer):
    """It is refused now, but was sent before and not answered: nobody knows whether that was done."""

    def __init__(self, method: str, why: object) -> None:
        TownError.__init__(
            self,
            f"{method} is refused now ({why}), but was sent before and not answered; whether it was done then is not "
            "known",
        )


class CircuitOpen(TownError):
    """Nothing was sent now, for nobody in the town has answered for a while; of what was sent before with the same id
    it says nothing. `retry_in_s` says when the next try goes through."""

    def __init__(self, where: str, retry_in_s: float) -> None:
        self.retry_in_s = retry_in_s
        super().__init__(
            f"nobody answers in the town at {where}, so nothing was sent; it is tried again in {retry_in_s:.1f} s"
        )
