"""What a machine's certificate is to name."""

from __future__ import annotations

import pytest

from peers.town.machines import addresses
from peers.town.machines.addresses import names_of_machine


@pytest.mark.parametrize(
    ("host", "advertised", "names"),
    [
        ("192.0.2.10", None, ["192.0.2.10"]),
        ("10.0.0.5", "203.0.113.7", ["203.0.113.7", "10.0.0.5"]),
        ("10.0.0.5", "post.example", ["post.example", "10.0.0.5"]),
        ("127.0.0.1", None, ["127.0.0.1"]),
        ("0.0.0.0", "a1b2c3", ["a1b2c3", "172.18.0.4", "fd00::4"]),
    ],
)
def test_what_others_call_it_comes_first_and_all_that_it_listens_at_is_there(
    host: str, advertised: str | None, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"127.0.0.1", "::1", "172.18.0.4", "fd00::4", "fe80::1", "02:42:ac:12:00:04"}
    monkeypatch.setattr(addresses, "_own_addresses", lambda: own)
    assert names_of_machine(host, advertised) == names
