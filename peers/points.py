"""The points at which a peer of a chaos town can be made to die, or one of its threads to stop for a while, and how a
peer ends that is given no memory.

They are named here because who plans and draws a chaos run has nothing to do with a peer's process.
"""

from __future__ import annotations

from typing import Literal

Point = Literal[
    "before the entry is sent",
    "while it is written",
    "after the answer",
    "before callers are told",
    "making the books",
    "taking office",
    "in the core",
]

NO_MEMORY = 71
"""The exit code of a peer that the machine gave no more memory, or no more threads."""
