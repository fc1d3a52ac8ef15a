"""What must happen now and then, or else the schedules never came near what they are meant to try.

A long run in which one of these never happened says nothing about it, however green it is; so it counts as failed.
"""

from __future__ import annotations

from peers.core.leadership.state import TRANSITIONS

SOMETIMES = (
    "two peers were in office by their own belief",
    "a deposed trader's entry was refused",
    "a trader gave up office for want of the books",
    "a candidate gave way for want of the books",
    "a candidate left the post to a trader that is at work",
    "a deposed trader's queueing was refused",
    "a candidate found its place taken",
    "a candidate read a stale end",
    "an entry whose answer was lost stood",
    "an entry whose answer was lost did not stand",
    "an entry landed late",
    "a late entry found its place taken",
    "an entry was lost with its primary",
    "a place was taken before a majority had it",
    "a request or deposit of old was asked for again",
    "a successor found a queue",
    "a successor found the books behind",
    "a successor found books newer than they said",
    "books were torn",
    "books were made late, and newer ones stayed",
    "books were made again that were made already",
    "a request queued under one trader was decided under another",
    "requests shared an entry",
    "an entry had no room for all",
    "a request found nothing to be had",
    "a deposit was asked for twice",
    "a sale was taken back",
    "a sale was taken back under a later trader than it was made",
    "a sale was asked to be taken back twice",
    "goods of a sale that was taken back were on offer again",
    "a split graph had to be joined again",
    "a crashed peer came back",
    "a trader crashed in office",
    "a trader left the market",
    "a trader was asked to resign",
    "a sleeper woke in office",
    "a sleeper woke in office, deposed",
    "a peer taken for gone came back",
    "a peer came while the post was vacant",
    "a trader killed itself",
    "a trader that killed itself came back",
    "a trader went back to another role",
    "a customer saw what can be bought",
    "a customer looked up a request that was decided",
    "a customer looked up a request that was undecided",
    "a customer looked up a request that was taken back",
    "an election had two starters",
    "an election took another attempt",
    "a peer lied to its neighbours",
    "a lie about a term was found out in the books",
)

TRANSITIONS_TAKEN = tuple(row.title for row in TRANSITIONS)
"""Rows of the table of leadership. A run names those that it never took; to take some needs thousands of seeds."""

ENOUGH_SEEDS = 1000
"""From so many seeds on, with every kind of fault switched on, each of `SOMETIMES` must have happened."""
