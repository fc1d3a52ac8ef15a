"""Invitations: whole, for one machine and for a time, for their owner only, and what a machine makes of one."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

from peers.errors import SettingsError, TownError
from peers.rpc.security.certificates import client_in, ensure_certificates, validity_of
from peers.rpc.security.identity import Identity
from peers.rpc.security.tls import TlsFiles
from peers.town.database.replication import begin_replication, read_replication, write_replication
from peers.town.files.directory import Directory, TownState
from peers.town.machines import invitation as invitations
from peers.town.machines.invitation import (
    Invitation,
    accept,
    how_to_invite,
    invitation_from_environment,
    make_invitation,
    read_invitation,
    write_client_file,
    write_invitation,
)

HERE, THERE = "198.51.100.10", "198.51.100.11"
NOW_S = 1_800_000_000.0
PASSWORD = "not-for-everybody"


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Directory:
    """The directory of a town on HERE, as it is while that runs."""
    directory = Directory(tmp_path / "town")
    directory.make()
    files = TlsFiles(directory.tls)
    ensure_certificates(files, [HERE])
    uri = f"mongodb://bazaar:{PASSWORD}@{HERE}:9091/?tls=true&tlsCAFile={files.authority}"
    state = state_of(f"{uri}&tlsCertificateKeyFile={files.member}")
    monkeypatch.setattr(directory, "running_town", lambda: state)
    return directory


def state_of(uri: str, **changes: object) -> TownState:
    usual: dict[str, object] = {"phase": "open", "pid": 1, "host": HERE, "n": 4, "seed": 1, "tls": True}
    usual |= {"nameserver_host": HERE, "nameserver_port": 9090, "mongo_uri": uri, "database": "bazaar"}
    return TownState(**{**usual, **changes})  # type: ignore[arg-type]


def invited(town: Directory, *, may_invite: bool = True) -> Invitation:
    return make_invitation(town, THERE, hours=2, may_invite=may_invite, now_s=NOW_S)


def test_a_file_that_only_its_owner_can_read_and_that_is_read_again(town: Directory, tmp_path: Path) -> None:
    made = invited(town)
    path = tmp_path / "invitation.json"
    write_invitation(made, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_invitation(str(path)) == made
    assert made.town == (f"{HERE}:9090",)


def test_a_clients_file_is_whole_and_for_its_owner_only(town: Directory, tmp_path: Path) -> None:
    path = tmp_path / "anna.pem"
    assert write_client_file(town, "anna", path) == "client-anna"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert client_in(path) == Identity("client", "anna")
    assert path.read_bytes().endswith(TlsFiles(town.tls).authority.read_bytes())
    with pytest.raises(TownError, match="is not a client's"):
        client_in(TlsFiles(town.tls).member)


@pytest.mark.parametrize("name", ["", "anna-maria", "anna/1", "ä", "a" * 58])
def test_a_client_has_a_name_that_ends_where_an_id_goes_on(town: Directory, tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="1 to 57 of A-Z"):
        write_client_file(town, name, tmp_path / "x.pem")
    assert not (tmp_path / "x.pem").exists()


def test_who_may_not_invite_lets_no_client_in(town: Directory, tmp_path: Path) -> None:
    TlsFiles(town.tls).authority_key.unlink()
    with pytest.raises(TownError, match="can let nobody in"):
        write_client_file(town, "anna", tmp_path / "anna.pem")
    with pytest.raises(TownError, match="no town that asks for certificates"):
        write_client_file(Directory(tmp_path / "plain"), "anna", tmp_path / "anna.pem")


def test_a_machine_that_accepts_is_a_member_and_reaches_the_books(town: Directory, tmp_path: Path) -> None:
    guest = Directory(tmp_path / "guest")
    books = accept(invited(town), guest, now_s=NOW_S)
    files = TlsFiles(guest.tls)
    assert validity_of(files).is_of_authority
    assert files.authority.read_bytes() == TlsFiles(town.tls).authority.read_bytes()
    assert files.member.read_bytes() != TlsFiles(town.tls).member.read_bytes()
    names = x509.load_pem_x509_certificate(files.member.read_bytes()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert THERE in [str(address) for address in names.value.get_values_for_type(x509.IPAddress)]
    assert f"bazaar:{PASSWORD}@{HERE}:9091" in books
    assert str(town.path) not in books
    for path in (files.member, files.authority_key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_who_joins_books_in_several_members_knows_how_many_and_their_key(town: Directory, tmp_path: Path) -> None:
    plain = invited(town)
    assert (plain.replicas, plain.books_key) == (1, None)
    begin_replication(town.mongo, 3)
    (town.tls / "mongod.key").write_text("ab" * 96)
    guest = Directory(tmp_path / "guest")
    made = invited(town)
    known = None
    for _ in range(2):  # Who comes back accepts again, and forgets nothing.
        accept(made, guest, now_s=NOW_S)
        key = guest.tls / "mongod.key"
        assert key.read_text() == "ab" * 96
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        known = read_replication(guest.mongo)
        assert known is not None
        assert known.wanted == 3
        write_replication(guest.mongo, msgspec.structs.replace(known, own=("198.51.100.11:9091",)))
    assert known == read_replication(guest.mongo)


def test_who_is_not_given_the_right_cannot_invite(
    town: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = Directory(tmp_path / "guest")
    books = accept(invited(town, may_invite=False), guest, now_s=NOW_S)
    monkeypatch.setattr(guest, "running_town", lambda: state_of(books, host=THERE))
    with pytest.raises(TownError, match="this machine can let nobody in"):
        invited(guest)


def test_who_is_given_the_right_invites_the_next(
    town: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest, third = Directory(tmp_path / "guest"), Directory(tmp_path / "third")
    books = accept(invited(town), guest, now_s=NOW_S)
    monkeypatch.setattr(guest, "running_town", lambda: state_of(books, host=THERE))
    accept(invited(guest), third, now_s=NOW_S)
    assert validity_of(TlsFiles(third.tls)).is_of_authority


def test_it_expires_but_not_for_whom_it_has_let_in(town: Directory, tmp_path: Path) -> None:
    made = invited(town)
    late = NOW_S + 2 * 3600 + 1
    with pytest.raises(TownError, match=f"expired .*bazaar invite {THERE}"):
        accept(made, Directory(tmp_path / "late"), now_s=late)
    guest = Directory(tmp_path / "guest")
    accept(made, guest, now_s=NOW_S)
    accept(made, guest, now_s=late)


def test_a_directory_of_another_town_is_left_alone(town: Directory, tmp_path: Path) -> None:
    guest = Directory(tmp_path / "guest")
    ensure_certificates(TlsFiles(guest.tls))
    before = TlsFiles(guest.tls).member.read_bytes()
    with pytest.raises(TownError, match="belongs to another town"):
        accept(invited(town), guest, now_s=NOW_S)
    assert TlsFiles(guest.tls).member.read_bytes() == before


def test_files_that_the_address_of_the_books_names_travel_along(
    town: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = tmp_path / "elsewhere.pem"
    authority.write_text("an authority of somebody else")
    state = state_of(f"mongodb://db.example:27017/?tls=true&tlsCAFile={authority}")
    monkeypatch.setattr(town, "running_town", lambda: state)
    monkeypatch.setattr(invitations, "look_up", lambda host: HERE if host == "db.example" else host)
    guest = Directory(tmp_path / "guest")
    books = accept(invited(town), guest, now_s=NOW_S)
    assert (guest.tls / "books-ca.pem").read_text() == "an authority of somebody else"
    assert "books-ca.pem" in books


def test_behind_nat_the_others_are_told_what_they_can_call(town: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    state = state_of(f"mongodb://bazaar:{PASSWORD}@{HERE}:9091/?tls=true", advertised="203.0.113.7")
    monkeypatch.setattr(town, "running_town", lambda: state)
    made = invited(town)
    assert made.town == ("203.0.113.7:9090",)
    assert "@203.0.113.7:9091/" in made.books
    assert any("203.0.113.7 <n> --invite" in line for line in how_to_invite(state))


@pytest.mark.parametrize(
    ("uri", "changes", "says"),
    [
        ("mongodb://127.0.0.1:1/", {"tls": False, "host": "127.0.0.1"}, "this machine alone"),
        ("mongodb://127.0.0.1:1/", {}, "no other machine can reach them"),
        ("mongodb://bazaar:***@198.51.100.10:1/", {}, "may not be read"),
    ],
)
def test_a_town_that_nobody_could_join_says_so(
    town: Directory, monkeypatch: pytest.MonkeyPatch, uri: str, changes: dict[str, object], says: str
) -> None:
    state = state_of(uri, **changes)
    monkeypatch.setattr(town, "running_town", lambda: state)
    with pytest.raises(TownError, match=says):
        invited(town)
    assert not list(how_to_invite(state))


def test_what_is_no_invitation_is_refused_without_showing_it(tmp_path: Path) -> None:
    path = tmp_path / "torn"
    path.write_text('{"form": 1, "member": "secret')
    with pytest.raises(SettingsError, match="no invitation") as refused:
        read_invitation(str(path))
    assert "secret" not in str(refused.value)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_invitation(str(tmp_path / "missing"))


def test_one_of_another_version_is_refused(town: Directory, tmp_path: Path) -> None:
    path = tmp_path / "newer"
    write_invitation(msgspec.structs.replace(invited(town), form=2), path)
    with pytest.raises(SettingsError, match="another version"):
        read_invitation(str(path))


def test_the_environment_holds_one_or_names_its_file(
    town: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = invited(town)
    path = tmp_path / "invitation.json"
    write_invitation(made, path)
    assert invitation_from_environment() is None
    for held in (f"@{path}", path.read_text()):
        monkeypatch.setenv(invitations.ENVIRONMENT, held)
        assert invitation_from_environment() == made
