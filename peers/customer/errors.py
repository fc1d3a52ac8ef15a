"""How a customer's request may end without an answer."""

from __future__ import annotations

from peers.errors import PostClosed, TownError

_WITH_AN_ID = ("buy", "deposit")


class NoAnswer(TownError):
    """Nobody answered in time. Nobody knows whether a purchase or a deposit was made: ask again with the same id, or
    for its outcome. `method` is what was asked, and may go on with where."""

    def __init__(self, method: str, within_s: float, why: object) -> None:
        if method.split()[0] in _WITH_AN_ID:
            advice = "whether it was done is not known, so ask again with the same id"
        else:
            advice = "nothing was bought or sold by that, so ask again as you like"
        super().__init__(f"no answer to {method} in {round(within_s, 3):g} s ({_said(why)}); {advice}")


class NotAsked(NoAnswer):
    """Nobody answered in time when it was to be asked, and nothing was sent: it was certainly not done."""

    def __init__(self, within_s: float, why: object) -> None:
        TownError.__init__(self, f"no trader answered in {within_s:g} s ({_said(why)}), so nothing was asked for")


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


def _said(why: object) -> object:
    """What an answer says, without what it advises to whoever is answered: that is over."""
    return f"the post is closed: {why.why}" if isinstance(why, PostClosed) else why
