"""What is said of write levels and searches, and what is refused: settings and levels that cannot be."""

from __future__ import annotations

import pytest

from peers.core.settings import LedgerSettings, make_settings
from peers.errors import SettingsError
from peers.town.database.replication import check_level, what_is_kept
from peers.town.plan.options import parse_settings
from peers.town.plan.presets import find_preset


def test_a_search_at_the_nearest_member_needs_a_bound() -> None:
    with pytest.raises(SettingsError, match=r"read_preference nearest needs max_staleness_s of 0\.1 or more"):
        make_settings({"ledger": {"read_preference": "nearest", "max_staleness_s": 0}})
    with pytest.raises(SettingsError, match="write_level"):
        make_settings({"ledger": {"write_level": "none"}})
    assert make_settings({"ledger": {"read_preference": "nearest", "max_staleness_s": 2}})


def test_a_level_of_two_needs_two() -> None:
    with pytest.raises(SettingsError, match="write_level two needs two members or more: give --replicas 3"):
        check_level("two", 1)
    check_level("two", 3)
    check_level("one", 1)


def test_the_market_has_three_members_and_searches_near() -> None:
    assert find_preset("replicated").replicas == 3
    assert find_preset("lamport").replicas == 1
    ledger = parse_settings(pairs=(), shortcuts={}, slow_peer=False, market="replicated").ledger
    assert (ledger.write_level, ledger.read_preference) == ("majority", "nearest")
    changed = parse_settings(
        pairs=("ledger.read_preference=primary",), shortcuts={}, slow_peer=False, market="replicated"
    )
    assert changed.ledger.read_preference == "primary"


def test_one_line_says_what_may_be_lost() -> None:
    assert what_is_kept(LedgerSettings(), is_several=False) == ""
    assert "loses none" in what_is_kept(LedgerSettings(), is_several=True)
    for level in ("two", "one"):
        line = what_is_kept(LedgerSettings(write_level=level), is_several=True)
        assert "may lose the last ones" in line
        assert "the audit shows which" in line
    near = LedgerSettings(read_preference="nearest", max_staleness_s=2.5)
    assert "misses nothing older than 2.5 s" in what_is_kept(near, is_several=True)
