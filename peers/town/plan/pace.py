"""How fast the peers of a town go: many that share few processors send heartbeats less often, and wait for longer.

Heartbeats alone, at the usual pace, take the time of two processors where 300 peers share them. Then all are late,
whoever is late is taken for gone, and each loss and each election makes more work.
"""

from __future__ import annotations

from peers.core.settings import Settings

# No setting: who sets the timings decides for himself. Measured: 300 peers on two processors lose nobody at a third
# of the usual pace.
PEERS_A_PROCESSOR = 50

# All that grows with it; how elections deal with a crowd is up to them.
_WAITS = (
    "heartbeat_interval_s",
    "suspect_s",
    "clock_gap_s",
    "retry_s",
    "retry_max_s",
    "call_timeout_s",
    "ledger_patience_s",
)


def slowdown(peers: int, processors: float) -> float:
    """Returns how many times slower than usual so many peers go on so many processors; 1 where they have room."""
    return max(1.0, peers / (PEERS_A_PROCESSOR * processors))


def timings(slower: float) -> dict[str, object]:
    """Returns the timings, as values of settings, of peers that go so many times slower than usual."""
    usual = Settings().timing
    return {name: round(getattr(usual, name) * slower, 3) for name in _WAITS}


def pace_line(peers: int, slower: Settings) -> str:
    """Returns what to tell people of so many peers that go slower than usual."""
    timing = slower.timing
    return (
        f"{peers} peers are many for these processors: heartbeats are {timing.heartbeat_interval_s:g} s apart, and "
        f"who has been silent for {timing.suspect_s:g} s counts as gone (any --set timing.… keeps the usual pace)"
    )
