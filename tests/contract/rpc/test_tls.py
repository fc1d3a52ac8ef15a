"""Who may speak to a town that others can reach: those with a certificate of its own authority, and nobody else."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import verification

from peers.errors import TownError
from peers.rpc.security import certificates
from peers.rpc.security.certificates import check_called, ensure_certificates, validity_of
from peers.rpc.security.tls import HANDSHAKE_S, TlsFiles

HOST = "127.0.0.2"
ECHO = [sys.executable, "-m", "tests.contract.rpc.tls_echo"]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    files = TlsFiles(tmp_path_factory.mktemp("town"))
    assert ensure_certificates(files, [HOST, "nameserver"])
    return files


@pytest.fixture(scope="module")
def port(town: TlsFiles) -> Iterator[int]:
    with serving(HOST, town) as port:
        yield port


@contextmanager
def serving(host: str, files: TlsFiles) -> Iterator[int]:
    """An echo that listens at `host` and shows the certificate in `files`; gives its port."""
    server = subprocess.Popen(
        [*ECHO, "serve", host, str(files.directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with server:
        assert server.stdout is not None
        assert server.stdin is not None
        yield int(server.stdout.readline())
        server.stdin.close()
        assert server.wait(10) == 0


def called(port: int, directory: Path | None, how: str = "call", host: str = HOST) -> str:
    argument = "-" if directory is None else str(directory)
    done = subprocess.run(
        [*ECHO, how, host, str(port), argument], capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout.strip()


def test_a_member_is_answered(town: TlsFiles, port: int) -> None:
    assert called(port, town.directory) == "answered fish"


def test_a_line_is_answered_whole_and_in_time(town: TlsFiles, port: int) -> None:
    assert called(port, town.directory, "line") == "whole fish"


def test_who_has_no_certificate_is_refused(port: int) -> None:
    assert called(port, None).startswith("refused")


def test_who_speaks_tls_but_shows_no_certificate_is_refused(town: TlsFiles, port: int) -> None:
    context = ssl.create_default_context(cafile=str(town.authority))
    context.check_hostname = False
    with (
        socket.create_connection((HOST, port), timeout=5) as plain,
        pytest.raises(OSError, match=r"(?i)certificate required"),
        context.wrap_socket(plain) as secured,
    ):
        secured.recv(1)


def test_a_member_of_another_town_is_refused(port: int, tmp_path: Path) -> None:
    ensure_certificates(TlsFiles(tmp_path), [HOST])
    assert called(port, tmp_path).startswith("refused")


def test_a_machine_that_is_called_otherwise_is_not_taken_for_the_one_that_was_meant(
    town: TlsFiles, tmp_path: Path
) -> None:
    other = TlsFiles(tmp_path)
    for name in (town.authority.name, town.authority_key.name):
        shutil.copy(town.directory / name, tmp_path / name)
    ensure_certificates(other, ["127.0.0.3"])
    with serving(HOST, other) as port:
        assert "mismatch" in called(port, town.directory)
    with serving("127.0.0.3", other) as port:
        assert called(port, town.directory, host="127.0.0.3") == "answered fish"


def test_a_certificate_of_an_older_version_is_refused_and_told_what_to_do(town: TlsFiles, tmp_path: Path) -> None:
    old = TlsFiles(tmp_path)
    shutil.copy(town.authority, old.authority)
    authority = x509.load_pem_x509_certificate(town.authority.read_bytes())
    key = serialization.load_pem_private_key(town.authority_key.read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    member = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "trading post member")])
    builder = x509.CertificateBuilder(issuer_name=authority.subject, subject_name=member)
    now = datetime.datetime.now(datetime.UTC)
    builder = builder.public_key(key.public_key()).serial_number(7)
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    old.member.write_bytes(town.authority_key.read_bytes() + certificate)
    with serving(HOST, town) as port:
        assert "have the machine invited again" in called(port, old.directory)


def test_a_certificate_that_will_soon_expire_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = TlsFiles(tmp_path)
    ensure_certificates(files)
    first = validity_of(files)
    (tmp_path / "member.pem").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(certificates, "_IS_MACOS", True)
        patch.setattr(certificates, "_MACOS_DAYS", 20)
        ensure_certificates(files)
    assert validity_of(files).ends < first.ends
    assert ensure_certificates(files)
    assert validity_of(files).ends >= first.ends
    assert not ensure_certificates(files)


@pytest.mark.parametrize("year", [1970, 2024, 2060, 2999])
def test_a_clock_that_is_off_by_years_keeps_nobody_out(town: TlsFiles, year: int) -> None:
    authority, member = (x509.load_pem_x509_certificate(path.read_bytes()) for path in (town.authority, town.member))
    at = datetime.datetime(year, 1, 2, tzinfo=datetime.UTC)
    verifier = verification.PolicyBuilder().store(verification.Store([authority])).time(at)
    host = x509.IPAddress(ipaddress.ip_address(HOST))
    assert verifier.build_server_verifier(host).verify(member, []) == [member, authority]


def test_a_machine_makes_its_certificate_anew_when_it_is_called_otherwise(tmp_path: Path) -> None:
    files = TlsFiles(tmp_path)
    ensure_certificates(files, ["192.0.2.10"])
    before = validity_of(files).identity
    assert before is not None
    with pytest.raises(TownError, match=r"is for .*192\.0\.2\.10.*bazaar invite post\.example --out FILE"):
        check_called(files, "post.example")
    assert ensure_certificates(files, ["post.example"])
    check_called(files, "post.example")
    after = validity_of(files).identity
    assert after is not None
    assert (after.name, after.is_called("192.0.2.10")) == (before.name, False)
    assert ensure_certificates(files, ["192.0.2.10"], keeps_hosts=True)
    check_called(files, "post.example")
    # One that holds no key of the authority keeps what it was given.
    files.authority_key.unlink()
    assert not ensure_certificates(files, ["198.51.100.1"])


def test_a_silent_caller_keeps_nobody_waiting(town: TlsFiles, port: int) -> None:
    with socket.create_connection((HOST, port), timeout=HANDSHAKE_S + 5) as silent:
        began = time.monotonic()
        assert called(port, town.directory) == "answered fish"
        # The silent caller itself is sent away.
        assert silent.recv(1) == b""
        assert time.monotonic() - began < HANDSHAKE_S + 5


def test_keys_are_for_their_owner_only(town: TlsFiles) -> None:
    for path in (town.member, town.authority_key):
        assert path.stat().st_mode & 0o077 == 0, path


def test_what_is_there_is_kept(town: TlsFiles) -> None:
    before = town.member.read_bytes()
    assert not ensure_certificates(town)
    assert town.member.read_bytes() == before


def test_a_lost_member_file_is_made_again_by_the_same_authority(tmp_path: Path) -> None:
    files = TlsFiles(tmp_path / "tls")
    key = tmp_path / "elsewhere" / "ca.key"
    ensure_certificates(files, authority_key=key)
    authority = files.authority.read_bytes()
    files.member.unlink()
    with pytest.raises(TownError, match=r"member\.pem is missing"):
        ensure_certificates(files)
    assert ensure_certificates(files, ["mongo"], authority_key=key)
    assert files.authority.read_bytes() == authority
    certificate = x509.load_pem_x509_certificate(files.member.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "mongo"} <= set(names.get_values_for_type(x509.DNSName))
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))


def test_missing_files_are_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TownError, match="bazaar invite"):
        TlsFiles(tmp_path).check()
