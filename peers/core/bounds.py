"""How large a number, or a list, may be that another peer sends: what comes along a link is checked against these.

They are the types of what travels, so nothing beyond them gets past its decoding. They bound what can be counted on
with: a peer may always add one to what it was told. What is within them may still be a lie, and is judged where it is
used: terms against the books, incarnations against the time of day, clocks against the pace of a market.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

MAX_TIME = 2**53
"""The largest logical time there is, and the largest number that is counted up: exact in every serializer a caller
may use."""

NO_RANK = 999_999
"""The rank of a customer that is no peer; it is above all others, so that peers come first when clocks tie."""

MOST_MEMBERS = 20_000
"""So many members a peer knows at most, of whom a market ever had; who comes when it is full is not heard of."""

MOST_EDGES = 4 * MOST_MEMBERS

MAX_CLOCK_ENTRIES = 1000
"""The most names in one vector clock."""

MAX_URI_LENGTH = 300

MAX_BARRED = 1000
"""The most elections that a peer can sit out."""

MOST_CONTACTS = 8
"""A heartbeat between traders names so many peers of its area at most, for its fellow to tell if it takes over."""

MOST_MESSAGES = 10_000
"""The most messages that come at a time, along one link."""

LONGEST_AWAY_S = 3600.0
"""No way to the books is longer, there and back."""

Count = Annotated[int, Meta(ge=0, le=MAX_TIME)]
"""Terms, incarnations, rounds, places in the log, running numbers, units of goods, times of day in milliseconds."""

Place = Annotated[int, Meta(ge=-1, le=MAX_TIME)]
"""A place in the log, or -1, before the first."""

Checksum = Annotated[int, Meta(ge=0, lt=2**32)]
Elections = Annotated[int, Meta(ge=0, le=MAX_BARRED)]
Rank = Annotated[int, Meta(ge=0, lt=NO_RANK)]
Ranks = Annotated[tuple[Rank, ...], Meta(max_length=MOST_MEMBERS)]

Word = Annotated[str, Meta(max_length=100)]
"""The name of a peer or of an area, an id."""

Address = Annotated[str, Meta(max_length=MAX_URI_LENGTH)]
Away = Annotated[float, Meta(ge=0, le=LONGEST_AWAY_S)]
