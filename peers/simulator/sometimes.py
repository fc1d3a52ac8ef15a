"""What must happen now and then, or else the schedules never came near what they are meant to try.

A long run in which one of these never happened says nothing about it, however green it is; so it counts as failed.
"""

from __future__ import annotations

SOMETIMES = (
    "two peers were in office by their own belief",
    "a deposed trader's commit was refused",
    "a deposed trader's queueing was refused",
    "an unknown commit had happened",
    "an unknown commit had not happened",
    "a write left open happened later",
    "a look-up ended what was left open",
    "a successor ended what was left open",
    "a successor found a queue",
    "a request queued under one trader was decided under another",
    "requests shared a commit",
    "a request found nothing to be had",
    "a deposit was asked for twice",
    "a split graph had to be joined again",
    "a crashed peer came back",
    "a trader crashed in office",
    "a trader left the market",
    "a trader was asked to resign",
    "a sleeper woke in office",
    "a sleeper woke in office, deposed",
    "a peer taken for gone came back",
    "a peer came while the post was vacant",
    "an election had two starters",
    "an election took another attempt",
)

ENOUGH_SEEDS = 1000
"""From so many seeds on, with every kind of fault switched on, each of them must have happened."""
