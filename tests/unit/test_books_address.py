"""Addresses of books: where they come from, and that nothing secret of them is shown."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from db.address import check_reachable, database_of
from peers.books_address import ENVIRONMENT, address_from_environment, address_given, has_secret, without_secrets
from peers.errors import LedgerError, SettingsError
from peers.town.files.directory import Directory, TownState

SECRET = "s3cret"
WITH_PASSWORD = f"mongodb://clerk:{SECRET}@127.0.0.1:1,127.0.0.1:2/shop?replicaSet=a"
SHOWN = "mongodb://clerk:***@127.0.0.1:1,127.0.0.1:2/shop?replicaSet=a"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (WITH_PASSWORD, SHOWN),
        (f"mongodb+srv://clerk:{SECRET}@books.example/", "mongodb+srv://clerk:***@books.example/"),
        (f"mongodb://clerk:{SECRET}/a@b:c@h/", "mongodb://clerk:***@h/"),
        (f"mongodb://:{SECRET}@h/", "mongodb://:***@h/"),
        (
            f"mongodb://h/?tls=true&tlsCertificateKeyFilePassword={SECRET}&w=1",
            "mongodb://h/?tls=true&tlsCertificateKeyFilePassword=***&w=1",
        ),
        (f"mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:{SECRET}", None),
        (f"mongodb://h/?PROXYPASSWORD={SECRET}", None),
    ],
)
def test_what_is_secret_is_hidden_wherever_the_address_stands(address: str, shown: str | None) -> None:
    assert has_secret(address)
    hidden = without_secrets(address)
    if shown is not None:
        assert hidden == shown
    assert not has_secret(hidden)
    for text in ("the books at {} cannot be read", "'{}'", '"{}": {} peer@127.0.0.1', "{}\n{}"):
        said = without_secrets(text.format(address, address))
        assert SECRET not in said
        assert said == text.format(hidden, hidden)


@pytest.mark.parametrize(
    "text",
    ["mongodb://127.0.0.1:1/?a=b", "mongodb://clerk@h/", "PYRO:buyer0@127.0.0.1:1", "no mongodb: me:you@there"],
)
def test_what_is_not_secret_is_shown(text: str) -> None:
    assert without_secrets(text) == text


@pytest.mark.parametrize(
    "address",
    [
        f"http://clerk:{SECRET}@h/",
        f"clerk:{SECRET}@h",
        f"mongodb://clerk:{SECRET}",
        f"mongodb://clerk:{SECRET}/7@h/",
        f"mongodb://clerk:{SECRET}@@h/",
        f"mongodb://clerk:{SECRET} {SECRET}@h/",
        f"mongodb://clerk:{SECRET}'{SECRET}@h/",
        f"mongodb://clerk:{SECRET}%@h/",
        f"mongodb://clerk:{SECRET}@h:port/",
    ],
)
def test_what_is_no_address_is_refused_without_a_word_of_the_password(address: str) -> None:
    for ask in (database_of, check_reachable):
        with pytest.raises(LedgerError, match="--mongo") as refused:
            ask(address)
        assert SECRET not in str(refused.value)


def test_an_error_of_the_place_is_still_told() -> None:
    with pytest.raises(LedgerError, match="Port contains non-digit"):
        database_of(f"mongodb://clerk:{SECRET}@h:port/")
    with pytest.raises(LedgerError, match="%40"):
        database_of(f"mongodb://clerk:{SECRET}@@h/")


def test_an_address_comes_from_an_option_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "address"
    file.write_text(f"{WITH_PASSWORD}\n")
    assert address_given(None) is None
    assert address_given(SHOWN) == SHOWN
    assert address_given(f"@{file}") == WITH_PASSWORD
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    assert address_from_environment() is None
    for value, address in (("", None), (WITH_PASSWORD, WITH_PASSWORD), (f"@{file}", WITH_PASSWORD)):
        monkeypatch.setenv(ENVIRONMENT, value)
        assert address_from_environment() == address


@pytest.mark.parametrize("content", [None, b"", b"two words", b"\xff\xfe"])
def test_a_file_that_holds_no_address_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "address"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=str(file)):
        address_given(f"@{file}")


def test_state_files_keep_a_password_for_their_owner_only(tmp_path: Path) -> None:
    directory = Directory(tmp_path)
    directory.make()
    state = TownState(phase="open", pid=1, host="127.0.0.1", n=2, seed=3, mongo_uri=WITH_PASSWORD)
    directory.write_town(state)
    assert directory.read_town() == state
    assert json.loads((tmp_path / "town.json").read_text())["mongo_uri"] == SHOWN
    keeping = [path for path in tmp_path.rglob("*") if path.is_file() and SECRET in path.read_text()]
    assert [stat.S_IMODE(path.stat().st_mode) for path in keeping] == [0o600]
    keeping[0].write_text(f"mongodb://clerk:{SECRET}@of.other.books/")
    again = Directory(tmp_path).read_town()
    assert again is not None
    assert again.mongo_uri == SHOWN
    Directory(tmp_path).write_town(msgspec.structs.replace(state, mongo_uri="mongodb://127.0.0.1:1/"))
    assert not keeping[0].exists()


def test_logs_hide_it(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from peers.runtime.logs import open_log\n"
        "open_log(Path(sys.argv[1]), 'buyer0').error('lost ' + sys.argv[2], traceback=f'at {sys.argv[2]}\\n', term=1)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path), WITH_PASSWORD], timeout=60, check=True)
    logged = (tmp_path / "logs" / "buyer0.log").read_text()
    assert SECRET not in logged
    assert logged.count(SHOWN) == 2
