"""What a certificate's alternative names say of its holder."""

from __future__ import annotations

import pytest
from Pyro5.errors import SecurityError

from peers.rpc.security.identity import MAX_NAME_LENGTH, Identity, identity_in, identity_of

MACHINE = ("URI", "bazaar://machine/192.0.2.10-0a1b")


def certificate(*names: tuple[str, str]) -> dict[str, object]:
    """As `ssl.SSLSocket.getpeercert` gives it."""
    return {"subject": ((("commonName", "anything"),),), "subjectAltName": names}


def test_a_machine_is_called_by_its_names_and_addresses_in_any_spelling() -> None:
    names = (MACHINE, ("DNS", "Post.example"), ("IP Address", "192.0.2.10"), ("IP Address", "FD00:0:0:0:0:0:0:1"))
    found = identity_in(certificate(*names))
    assert (found.kind, found.name) == ("machine", "192.0.2.10-0a1b")
    for host in ("post.EXAMPLE", "192.0.2.10", "fd00::1", "[fd00::1]"):
        assert found.is_called(host), host
    assert not found.is_called("192.0.2.1")
    assert not found.is_called("example")


def test_a_client_is_called_by_nobody() -> None:
    found = identity_in(certificate(("URI", "bazaar://client/anna"), ("DNS", "town.example")))
    assert found == Identity("client", "anna")
    assert found.uri == "bazaar://client/anna"


@pytest.mark.parametrize(
    "names",
    [
        (("DNS", "localhost"),),
        (("URI", "https://example.org/anna"),),
        (("URI", "bazaar://client/"),),
        (("URI", "bazaar://trader/anna"),),
        (("URI", "bazaar://client/an na"),),
        (("URI", "bazaar://client/anna/../bert"),),
        (("URI", "bazaar://client/anna\n"),),
        (("URI", "bazaar://client/" + "a" * (MAX_NAME_LENGTH + 1)),),
        (("URI", "bazaar://client/anna"), MACHINE),
    ],
)
def test_a_certificate_that_names_nobody_or_two_is_refused(names: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(SecurityError, match="have the machine invited again"):
        identity_in(certificate(*names))


def test_a_connection_without_tls_has_no_identity() -> None:
    assert identity_of(object()) is None
