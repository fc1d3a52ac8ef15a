"""What a town's card says to machines of its own version and of others."""

from __future__ import annotations

import json

import pytest

from peers.core.settings import Settings
from peers.errors import TownError
from peers.town.machines.card import settings_in
from peers.version import program_version


def test_the_settings_of_a_town_come_back_from_its_card() -> None:
    assert settings_in({"settings": Settings().model_dump_json()}) == Settings()


def test_a_town_of_another_version_is_not_joined_and_both_versions_are_said() -> None:
    settings = json.loads(Settings().model_dump_json())
    settings["market"]["haggling"] = True
    with pytest.raises(TownError, match="the same version of this program on all machines") as refused:
        settings_in({"settings": json.dumps(settings), "version": "9.9"})
    assert f"it runs version 9.9, this is {program_version()}" in str(refused.value)
    for illegible in "", "{", "[]":
        with pytest.raises(TownError, match="it runs version unknown"):
            settings_in({"settings": illegible})
