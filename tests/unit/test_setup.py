"""What the first start installs: a mongod's library only where one may run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest

from peers.town.machines.invitation import Invitation, write_invitation

SYSTEM = Path(__file__).parents[2] / "setup" / "system.sh"


def runs_mongod(*words: str, **environment: str) -> bool:
    done = subprocess.run(
        ["bash", "-c", '. "$0"; runs_mongod "$@"', str(SYSTEM), *words],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode == 0


@pytest.mark.parametrize(
    ("words", "runs"),
    [
        ("localhost 6", True),
        ("localhost 6 --replicas 3 --dir /tmp/x", True),
        ("localhost 6 --mongo mongodb://a", False),
        ("localhost 6 --mongo=mongodb://a", False),
        ("localhost 6 --nameserver a:1", False),
        ("localhost 6 --invite /nowhere/invitation.json", False),
    ],
)
def test_a_town_with_books_of_its_own_runs_one(words: str, runs: bool) -> None:
    assert runs_mongod(*words.split()) is runs


def test_who_names_books_elsewhere_does_not() -> None:
    assert not runs_mongod("localhost", "6", BAZAAR_MONGO="mongodb://a")


@pytest.mark.parametrize("option", ["--invite {}", "--invite={}"])
@pytest.mark.parametrize("replicas", [1, 3])
def test_whoever_is_invited_to_books_in_several_members_brings_one(
    tmp_path: Path, option: str, replicas: int
) -> None:
    path = tmp_path / "an invitation.json"
    texts = dict.fromkeys(("address", "authority", "member", "books"), "x")
    invitation = Invitation(
        form=1, town=(), expires_at_s=0, authority_key=None, books_files={}, replicas=replicas, **texts
    )
    write_invitation(invitation, path)
    words = [word.format(path) for word in option.split()]
    assert runs_mongod("10.0.0.2", "4", *words) is (replicas > 1)
    path.write_bytes(msgspec.json.encode(invitation))
    assert runs_mongod("10.0.0.2", "4", *words) is (replicas > 1)
