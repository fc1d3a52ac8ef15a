"""What the doctor says of certificates, clocks, ports and versions; of whole towns, see the system tests."""

from __future__ import annotations

import datetime
import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nameserver.client import Registered
from peers.errors import LedgerError
from peers.rpc.security.certificates import Validity, ensure_certificates, validity_of
from peers.rpc.security.identity import Identity
from peers.rpc.security.tls import TlsFiles
from peers.town.files.directory import Directory, TownState
from peers.town.machines import doctor as doctors
from peers.town.machines.doctor import Diagnosis, Doctor, Finding

BOOKS = "mongodb://127.0.0.1:{port}/?directConnection=true"


class Names:
    """A name server that lists nobody and says what it is told to."""

    def __init__(self, card: dict[str, str]) -> None:
        self._card = card

    def __call__(self, *_place: object) -> Names:
        return self

    def __enter__(self) -> Names:
        return self

    def __exit__(self, *_exc: object) -> None: ...

    def card(self) -> dict[str, str]:
        return self._card

    def peers(self) -> list[Registered]:
        return []


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Directory:
    monkeypatch.setattr(doctors, "secure", lambda _files: None)  # It would be for the whole process.
    found = Directory(tmp_path)
    found.make()
    return found


@pytest.fixture
def port() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def state(port: int) -> TownState:
    return TownState(
        phase="open",
        pid=1,
        host="127.0.0.1",
        n=4,
        seed=1,
        nameserver_host="127.0.0.1",
        nameserver_port=port,
        mongo_uri=BOOKS.format(port=port),
        database="bazaar",
    )


def of(diagnosis: Diagnosis, what: str) -> Finding:
    return next(finding for finding in diagnosis.findings if finding.what.startswith(what))


def looked(directory: Directory, monkeypatch: pytest.MonkeyPatch, port: int, **card: str) -> Diagnosis:
    monkeypatch.setattr(doctors, "NameServerClient", Names({"settings": "{}", **card}))
    directory.write_town(state(port))
    return Doctor(directory, None).look()


def test_nothing_known_is_not_well_and_not_wrong(directory: Directory) -> None:
    diagnosis = Doctor(directory, None).look()
    assert diagnosis.exit_code == 2
    assert "bazaar doctor <host>" in of(diagnosis, "town").advice


def test_a_clock_that_differs_is_told_with_the_way_it_does(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    for skew_s, says in ((0.1, "differs"), (90, "s behind"), (-90, "s ahead of")):
        monkeypatch.setattr(doctors, "clock_of", lambda *_, s=skew_s: datetime.datetime.now().timestamp() + s)
        diagnosis = looked(directory, monkeypatch, port)
        assert says in of(diagnosis, "clock").seen
        assert diagnosis.exit_code == (0 if abs(skew_s) < 2 else 1)


def test_another_version_is_told(directory: Directory, monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setattr(doctors, "clock_of", lambda *_: datetime.datetime.now().timestamp())
    diagnosis = looked(directory, monkeypatch, port, version="99.9")
    assert "99.9" in of(diagnosis, "version").seen
    assert diagnosis.exit_code == 1


def test_a_closed_port_and_a_database_that_is_away_are_told(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        diagnosis = looked(directory, monkeypatch, reserved.getsockname()[1])
    for what in "name server", "database":
        assert "nobody listens" in of(diagnosis, what).seen
        assert of(diagnosis, what).advice
    assert diagnosis.exit_code == 1


def test_a_database_that_refuses_is_told_with_its_reason(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    def refused(*_: object) -> float:
        raise LedgerError("user or password are not those of the books")

    monkeypatch.setattr(doctors, "clock_of", refused)
    found = of(looked(directory, monkeypatch, port), "database")
    assert (found.verdict, "user or password" in found.seen) == ("wrong", True)


@pytest.mark.parametrize(
    ("days", "of_authority", "says"),
    [((-9, -1), True, "expired"), ((1, 9), True, "holds from"), ((-1, 9), False, "not signed by the authority here")],
)
def test_certificates_that_will_not_do_are_told(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, days: tuple[int, int], of_authority: bool, says: str
) -> None:
    ensure_certificates(TlsFiles(directory.tls))
    now = datetime.datetime.now(datetime.UTC)
    begins, ends = (now + datetime.timedelta(days=each) for each in days)
    monkeypatch.setattr(
        doctors, "validity_of", lambda _files: Validity(begins, ends, of_authority, Identity("machine", "a"))
    )
    diagnosis = Doctor(directory, None).look()
    assert says in of(diagnosis, "certificate").seen
    assert of(diagnosis, "certificate").advice
    assert diagnosis.exit_code == 1


def test_a_certificate_for_another_address_is_told_with_the_invitation_to_make(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_certificates(TlsFiles(directory.tls), ["198.51.100.9"])
    found = msgspec.structs.replace(state(0), mongo_uri="", advertised="198.51.100.10", tls=True)
    monkeypatch.setattr(directory, "read_town", lambda: found)
    finding = of(Doctor(directory, None).look(), "certificate")
    assert (finding.verdict, "called 198.51.100.10" in finding.seen) == ("wrong", True)
    assert "bazaar invite 198.51.100.10 --out FILE" in finding.advice


def test_a_certificate_of_an_older_version_is_told(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure_certificates(TlsFiles(directory.tls))
    found = msgspec.structs.replace(validity_of(TlsFiles(directory.tls)), identity=None)
    monkeypatch.setattr(doctors, "validity_of", lambda _files: found)
    finding = of(Doctor(directory, None).look(), "certificate")
    assert (finding.verdict, "names no machine" in finding.seen) == ("wrong", True)
    assert "bazaar invite" in finding.advice


def test_a_name_that_means_loopback_is_told(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctors, "look_up", lambda _host: "127.0.1.1")
    finding = of(Doctor(directory, "my-machine").look(), "name my-machine")
    assert (finding.verdict, "loopback" in finding.seen) == ("wrong", True)
