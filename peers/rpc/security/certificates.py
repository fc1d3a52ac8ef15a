"""Makes a town's own certificate authority, and the certificates by which its machines and clients are known."""

from __future__ import annotations

import datetime
import ipaddress
import re
import secrets
import socket
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from peers.errors import SettingsError, TownError
from peers.files import PRIVATE, write_whole
from peers.rpc.security.identity import CLIENT_NAME, MAX_NAME_LENGTH, Identity, identity_named
from peers.rpc.security.tls import TlsFiles

_ALWAYS = (
    datetime.datetime(1970, 1, 1, 0, 0, 1, tzinfo=datetime.UTC),
    datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC),
)
"""From when until when a certificate holds: the clock of no machine, wrong as it may be, keeps it out of its town.
The end is the one that means that there is none (RFC 5280, 4.1.2.5). MongoDB cannot read a date of 0."""

_IS_MACOS = sys.platform == "darwin"
_MACOS_DAYS = 825
"""macOS takes no certificate that holds for longer."""

_RENEWED_BEFORE = datetime.timedelta(days=30)
_USUAL_HOSTS = ("localhost", "127.0.0.1", "::1")


def ensure_certificates(
    files: TlsFiles, hosts: Sequence[str] = (), *, authority_key: Path | None = None, keeps_hosts: bool = False
) -> bool:
    """Makes what is missing, and the machine's certificate anew where it does not name all of `hosts`, as which
    others know it, or will soon expire; returns False where nothing had to be made. A machine without the authority's
    key keeps the certificate that it was given. `keeps_hosts`: what the certificate names it shall go on naming.

    The authority's key goes to `authority_key`, or beside the rest; the authority's certificate is then there too.

    TownError if there is no authority of ours to sign by.
    """
    key_path = authority_key or files.authority_key
    known = _named_in(files)
    if files.authority.exists() and files.member.exists():
        is_right = known is not None and all(map(known.is_called, hosts)) and not _runs_out(files)
        if is_right or not key_path.exists():
            return False
    try:
        for directory in (files.directory, key_path.parent):
            directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        authority, key = _authority(files, key_path)
        kept = sorted(known.hosts) if known is not None and keeps_hosts else ()
        machine = known or new_machine(hosts)
        named = (socket.gethostname(), *hosts, *kept)
        write_whole(files.member, _issued(authority, key, machine, named), mode=PRIVATE)
        beside = key_path.with_name(files.authority.name)
        if not beside.exists():
            write_whole(beside, files.authority.read_bytes())
    except OSError as error:
        why = error.strerror or error
        raise TownError(
            f"certificates cannot be written to {files.directory} ({why}): choose another --dir"
        ) from error
    return True


def _runs_out(files: TlsFiles) -> bool:
    return validity_of(files).ends - datetime.datetime.now(datetime.UTC) < _RENEWED_BEFORE


def check_called(files: TlsFiles, host: str) -> None:
    """Raises TownError if the certificate in `files` does not say that its machine is called `host`, with what to do:
    whoever calls it there would take it for somebody else."""
    machine = _named_in(files)
    if machine is not None and machine.is_called(host):
        return
    names = () if machine is None else sorted(machine.hosts - {*_USUAL_HOSTS})
    says = f"is for {', '.join(names)}" if machine is not None else "names no machine"
    raise TownError(
        f"the certificate in {files.directory} {says}, and this machine is to be called {host}: run on a machine of "
        f"the town that may invite: bazaar invite {host} --out FILE, and here: bash run.sh <address of that machine> "
        "<n> --invite FILE"
    )


def _named_in(files: TlsFiles) -> Identity | None:
    """Whom the member's certificate names, None if it is not there, names no machine, or is not of this authority."""
    try:
        found = validity_of(files)
    except TownError:
        return None
    is_machine = found.identity is not None and found.identity.kind == "machine"
    return found.identity if is_machine and found.is_of_authority else None


def issue_member(files: TlsFiles, hosts: Iterable[str]) -> bytes:
    """Returns key and certificate for one more member, which others may reach at `hosts`, signed by the authority in
    `files`; TownError if its key is not there, or not to be read."""
    authority, key = _authority_to_invite_by(files)
    return _issued(authority, key, new_machine(hosts), hosts)


def issue_client(files: TlsFiles, name: str) -> bytes:
    """Returns what a client of that name needs, in one file: its key, its certificate, and the authority's.

    TownError if the authority's key is not there, or not to be read; SettingsError for a name that will not do."""
    if not CLIENT_NAME.fullmatch(name):
        raise SettingsError(f"--client {name}: a client's name is 1 to {MAX_NAME_LENGTH} of A-Z a-z 0-9 _")
    authority, key = _authority_to_invite_by(files)
    return _issued(authority, key, Identity("client", name), ()) + authority.public_bytes(serialization.Encoding.PEM)


def client_in(path: Path) -> Identity:
    """Returns whom the certificate in a client's file names; TownError if there is none in it."""
    try:
        identity = _identity_in(x509.load_pem_x509_certificate(path.read_bytes()))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no certificate is in it"
        raise TownError(f"{path} cannot be used ({why}): bring what `bazaar invite --client` wrote") from error
    if identity is None or identity.kind != "client":
        raise TownError(f"{path} is not a client's: have one made: bazaar invite --client NAME --out FILE")
    return identity


def _authority_to_invite_by(files: TlsFiles) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    if not files.authority_key.exists():
        raise TownError(
            f"{files.authority_key} is not here, so this machine can let nobody in: make the invitation on the "
            "first machine of the town, or on one whose own invitation gave it the right to invite"
        )
    try:
        return _authority(files, files.authority_key)
    except (OSError, ValueError) as error:
        raise TownError(f"the authority in {files.directory} cannot be used ({error})") from error


def new_machine(hosts: Iterable[str]) -> Identity:
    """Returns a name for a machine that is called at `hosts`, which no other has: addresses are used again."""
    where = next(iter(hosts), None) or socket.gethostname()
    readable = re.sub(r"[^A-Za-z0-9_.:-]", "-", where)[: MAX_NAME_LENGTH - 17]
    return Identity("machine", f"{readable}-{secrets.token_hex(8)}")


class Validity(msgspec.Struct, frozen=True):
    """From when until when a certificate holds, whether the authority beside it has signed it, and whom it names."""

    begins: datetime.datetime
    ends: datetime.datetime
    is_of_authority: bool
    identity: Identity | None


def validity_of(files: TlsFiles) -> Validity:
    """Returns what the member's certificate says; TownError if it, or the authority's, cannot be read."""
    try:
        member = x509.load_pem_x509_certificate(files.member.read_bytes())
        authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    except (OSError, ValueError) as error:
        raise TownError(f"the certificates in {files.directory} cannot be read ({error})") from error
    try:
        member.verify_directly_issued_by(authority)
        is_of_authority = True
    except (InvalidSignature, TypeError, ValueError):
        is_of_authority = False
    return Validity(member.not_valid_before_utc, member.not_valid_after_utc, is_of_authority, _identity_in(member))


def _identity_in(certificate: x509.Certificate) -> Identity | None:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    hosts = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    return identity_named(names.get_values_for_type(x509.UniformResourceIdentifier), hosts)


def _authority(files: TlsFiles, key_path: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Returns the certificate and the key of the authority that is there, or of a new one."""
    if files.authority.exists() and key_path.exists():
        key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TownError(f"{key_path} is not a key made by this program")
        return x509.load_pem_x509_certificate(files.authority.read_bytes()), key
    if files.authority.exists():
        # A new authority would shut out everybody who holds a certificate of this one.
        raise TownError(
            f"{files.member} is missing, and so is the authority's key {key_path}: have this machine invited (bazaar "
            f"invite <address of this one> --out FILE on another), or remove {files.authority} to start a new town"
        )
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("trading post authority")
    usage = _usage(signs_certificates=True)
    certificate = (
        _builder(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    write_whole(key_path, _key_bytes(key), mode=PRIVATE)
    write_whole(files.authority, certificate.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def _issued(
    authority: x509.Certificate, authority_key: ec.EllipticCurvePrivateKey, holder: Identity, hosts: Iterable[str]
) -> bytes:
    """A new key and its certificate, in one file as MongoDB and Pyro5 want them."""
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(holder.uri)]
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if holder.kind == "machine":
        # A machine serves some and calls others, so its certificate must do for both.
        purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
        names += [_general_name(host) for host in dict.fromkeys((*_USUAL_HOSTS, *hosts))]
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    certificate = (
        _builder(_name(f"trading post {holder.kind}"), authority.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(issuer_id, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return _key_bytes(key) + certificate.public_bytes(serialization.Encoding.PEM)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    begins, ends = _lifetime()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _lifetime() -> tuple[datetime.datetime, datetime.datetime]:
    if not _IS_MACOS:
        return _ALWAYS
    now = datetime.datetime.now(datetime.UTC)
    # The clocks of machines differ, so it is valid from an hour ago.
    begins = now - datetime.timedelta(hours=1)
    return begins, begins + datetime.timedelta(days=_MACOS_DAYS)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError as error:
        raise TownError(
            f"{host!r} is no name that a certificate can hold ({error}): give the address itself"
        ) from error


def _key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
