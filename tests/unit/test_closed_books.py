"""Which databases a town uses without further ado, and which only where it is told that it may."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.address import check_closed
from peers.errors import SettingsError

HERE = "198.51.100.7"  # of a network for documentation: nobody's

CLOSED = [
    "mongodb://127.0.0.1:27017/?replicaSet=rs0",
    "mongodb://127.8.8.8/",
    "mongodb://localhost/",
    "mongodb://[::1]:27017/",
    "mongodb://%2Ftmp%2Fmongodb-27017.sock/",
    f"mongodb://anna:secret@{HERE}/?tls=true",
    f"mongodb://anna:secret@{HERE}/?ssl=true&replicaSet=rs0",
    f"mongodb://{HERE}/?tls=true&authMechanism=MONGODB-X509",
]
OPEN = [
    (f"mongodb://{HERE}/", "without TLS and a password"),
    (f"mongodb://127.0.0.1,{HERE}:27018/", "without TLS and a password"),
    (f"mongodb://{HERE}/?tls=true", "without a password"),
    (f"mongodb://anna:secret@{HERE}/", "without TLS"),
    (f"mongodb://anna:secret@{HERE}/?tls=true&tlsInsecure=true", "without TLS"),
    (f"mongodb://anna:secret@{HERE}/?tls=true&tlsAllowInvalidCertificates=true", "without TLS"),
    ("mongodb://nobody-knows-this-name.invalid/", "without TLS and a password"),
]


@pytest.mark.parametrize("uri", CLOSED)
@pytest.mark.parametrize("insecure", [True, False])
def test_what_is_closed_is_used_and_not_spoken_of(uri: str, insecure: bool) -> None:
    assert check_closed(uri, insecure=insecure) is None


@pytest.mark.parametrize(("uri", "lacks"), OPEN)
def test_what_is_open_is_used_only_where_that_is_asked_for(uri: str, lacks: str) -> None:
    with pytest.raises(SettingsError, match="--insecure") as refused:
        check_closed(uri, insecure=False)
    assert lacks in str(refused.value)
    said = check_closed(uri, insecure=True)
    assert said is not None
    assert lacks in said
    assert "secret" not in str(refused.value) + said
    assert "\n" not in said


def test_certificates_that_are_named_are_not_needed_to_tell(tmp_path: Path) -> None:
    named = tmp_path / "ca.pem"
    named.touch()
    assert check_closed(f"mongodb://a:b@{HERE}/?tls=true&tlsCAFile={named}", insecure=False) is None
