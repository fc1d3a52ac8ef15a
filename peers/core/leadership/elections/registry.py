"""The election algorithms by name. One that is added here can be chosen, and is tested, as the others are.

Its name has to be added to those that `Settings.election` takes, too.
"""

from __future__ import annotations

from peers.core.leadership.elections.bully import Bully
from peers.core.leadership.elections.echo import Echo
from peers.core.leadership.elections.lease import Lease
from peers.core.leadership.elections.ring import Ring
from peers.core.messages import ElectionMessage

ALGORITHMS = {algorithm.name: algorithm for algorithm in (Bully, Ring, Echo, Lease)}
"""What there is to choose from."""

ELECTION_MESSAGES: tuple[type[ElectionMessage], ...] = tuple(
    message for algorithm in ALGORITHMS.values() for message in algorithm.messages
)
"""What the peers of any algorithm say. All of it can be read and is routed; a town speaks one algorithm's."""
