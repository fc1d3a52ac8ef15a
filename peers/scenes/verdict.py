"""What was seen of a scene, and what came of playing it."""

from __future__ import annotations

import msgspec

from peers.errors import BazaarError


class NotSeen(BazaarError):
    """Something that a scene waits for did not come about in time."""


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """Something the row says, what was seen of it, and what should have been."""

    claim: str
    saw: object
    wanted: object

    @property
    def holds(self) -> bool:
        return self.saw == self.wanted

    def sentence(self) -> str:
        """One line for the audience."""
        words = "seen" if self.holds else "NOT SEEN"
        if isinstance(self.saw, bool):  # The claim says it all.
            return f"  {words}: {self.claim}"
        wanted = "" if self.holds else f", where it should be {_shown(self.wanted)}"
        return f"  {words}: {self.claim}: {_shown(self.saw)}{wanted}"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_shown(each)}" for key, each in value.items()) or "nothing"
    return (", ".join(map(_shown, value)) or "nothing") if isinstance(value, list | tuple | set) else str(value)


class SceneVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a scene. `trouble` says why it came to no end, `audit` is the exit code of the audit after it,
    None if it came to none, and `violated` names the invariants that do not hold."""

    scene: str
    facts: tuple[Fact, ...]
    trouble: str = ""
    audit: int | None = None
    violated: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """Returns 0 if all was seen and the books hold, 1 if an invariant is violated, 2 if it could not be shown."""
        if self.audit == 1:
            return 1
        seen = bool(self.facts) and not self.trouble and all(fact.holds for fact in self.facts)
        return 0 if seen and self.audit == 0 else 2

    def seen(self) -> dict[str, object]:
        """Returns what was seen, by claim."""
        return {fact.claim: fact.saw for fact in self.facts}
