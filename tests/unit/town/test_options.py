"""What a run may be asked for, and how it is refused: in one line that says what to do."""

from __future__ import annotations

import socket

import pytest

from peers.core.settings import Settings
from peers.errors import BazaarError, SettingsError, TownError
from peers.town.machines.addresses import can_be_reached, check_advertised, parse_endpoint, pick_port, resolve_host
from peers.town.machines.arrival import with_ports
from peers.town.plan.options import MAX_PEERS, RunOptions, parse_count, parse_ports, parse_settings, settings_of


def settings(*pairs: str, slow_peer: bool = False, **shortcuts: object) -> Settings:
    named = {key.replace("__", "."): value for key, value in shortcuts.items()}
    return parse_settings(pairs=pairs, shortcuts=named, slow_peer=slow_peer)


def test_count_is_a_number() -> None:
    assert parse_count("6") == 6
    with pytest.raises(SettingsError, match="'six' is not a number of peers"):
        parse_count("six")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"n": 0}, "cannot be started"),
        ({"n": -4}, "cannot be started"),
        ({"n": MAX_PEERS + 1}, f"2 to {MAX_PEERS}"),
        ({"purchases": 0}, "--purchases"),
        ({"duration_s": 0.0}, "--duration"),
        ({"duration_s": float("nan")}, "--duration"),
        ({"nameserver_port": 65536}, "--nameserver-port"),
        ({"replicas": 2}, "one of 1, 3, 5, 7"),
        ({"replicas": 3, "mongo": "mongodb://127.0.0.1:1"}, "--replicas is for books of the town's own"),
        ({"replicas": 3, "invite": "file"}, "--replicas is for who opens the town"),
        ({"fresh": True, "mongo": "mongodb://127.0.0.1:1"}, "--fresh"),
        ({"fresh": True, "nameserver": "127.0.0.1:1"}, "--fresh"),
        ({"ports": (9090, 9096)}, "7 ports are too few for 6 peers, which need 8 .*9090-9097"),
        ({"invite": "file", "fresh": True}, "--invite"),
        ({"invite": "file", "nameserver": "127.0.0.1:1"}, "--invite"),
        ({"invite": "file", "insecure": True}, "--invite"),
    ],
)
def test_what_cannot_be_done_is_refused(changes: dict[str, object], says: str) -> None:
    options = RunOptions(**{"host": "localhost", "n": 6, **changes})  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=says) as caught:
        options.check()
    assert "\n" not in str(caught.value)


def test_one_peer_can_join_but_not_open_a_market() -> None:
    alone = RunOptions(host="localhost", n=1)
    alone.check()
    with pytest.raises(SettingsError, match="2 peers or more"):
        alone.check_first()


def test_settings_by_dotted_names() -> None:
    made = settings(
        "market.stock=20", "timing.heartbeat_interval_s=0.1", "market.commission_rate=0.10", "market.items=fish,salt"
    )
    assert (made.market.stock, made.timing.heartbeat_interval_s) == (20, 0.1)
    assert str(made.market.commission_rate) == "0.10"
    assert made.market.items == ("fish", "salt")


def test_set_outdoes_the_short_options() -> None:
    assert settings(market__think_s=0.5).market.think_s == 0.5
    assert settings("market.think_s=0", market__think_s=0.5).market.think_s == 0
    assert settings(market__think_s=None) == Settings()


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ("market.stock", "expected part.name=value"),
        ("=3", "expected part.name=value"),
        ("market.stock=many", "market.stock"),
        ("market.sock=3", "market.sock"),
        ("clock.x=3", "clock"),
        ("market.stock=0", "market.stock"),
    ],
)
def test_bad_settings_are_named(pair: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        settings(pair)


@pytest.mark.parametrize(
    ("pairs", "names", "reason"),
    [
        (["timing.heartbeat_interval_s=5"], ("suspect_s (1)", "heartbeat_interval_s (5)"), "taken for gone"),
        (["timing.suspect_s=0.1"], ("suspect_s (0.1)", "heartbeat_interval_s (0.25)"), "taken for gone"),
        (["timing.heartbeat_interval_s=0.6"], ("suspect_s (1)", "heartbeat_interval_s (0.6)"), "taken for gone"),
        (["timing.retry_s=2"], ("retry_max_s (1)", "retry_s (2)"), "waits grow"),
        (["timing.retry_max_s=0.05"], ("retry_max_s (0.05)", "retry_s (0.1)"), "waits grow"),
        (
            ["timing.group_commit_delay_s=1", "timing.call_timeout_s=1"],
            ("call_timeout_s (1)", "group_commit_delay_s (1)"),
            "give up",
        ),
        (["market.price_min=20"], ("price_min (20)", "price_max (10)"), "prices are drawn"),
        (["market.items=fish,fish"], ("items",), "once"),
        ([f"market.items={','.join(f'good number {number}' for number in range(101))}"], ("items",), "at most 100"),
        ([f"market.items=fish,{'x' * 65}"], ("items",), "at most 64 characters"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_with_the_reason(
    pairs: list[str], names: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(SettingsError, match=reason) as refused:
        settings(*pairs)
    said = str(refused.value)
    assert all(name in said for name in names), said
    assert "\n" not in said
    assert "Value error" not in said


def test_settings_that_just_agree_are_taken() -> None:
    made = settings(
        "timing.heartbeat_interval_s=0.5",
        "timing.suspect_s=1",
        "timing.retry_s=1",
        "timing.retry_max_s=1",
        "timing.group_commit_delay_s=1",
    )
    assert made.timing.heartbeat_interval_s == 0.5
    # An hour between beats is as good as no beats at all.
    assert settings("timing.heartbeat_interval_s=3600", "timing.suspect_s=3600").timing.suspect_s == 3600


def test_clash_of_value_and_group() -> None:
    with pytest.raises(SettingsError, match="is a value"):
        settings("market=3", "market.stock=3")


def test_only_the_slow_peer_sleeps() -> None:
    made = settings(slow_peer=True)
    assert made.market.slow_after == 30
    assert settings("market.slow_after=7", slow_peer=True).market.slow_after == 7
    slow, quick = settings_of(made, slow=True), settings_of(made, slow=False)
    assert Settings.model_validate(slow).market.slow_after == 30
    assert Settings.model_validate(quick).market.slow_after == 0


def test_localhost_is_loopback() -> None:
    assert resolve_host("localhost") == "127.0.0.1"
    assert resolve_host("127.0.0.1") == "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("no-such-host.invalid", "not a host that can be found"),
        ("", "not a host that can be found"),
        ("a" * 300, "not a host that can be found"),
        ("198.51.100.77", "not an address of this machine"),
        ("0.0.0.0", "no address others can call"),
    ],
)
def test_hosts_that_cannot_be_served(host: str, says: str) -> None:
    with pytest.raises(TownError, match=says) as caught:
        resolve_host(host)
    assert "\n" not in str(caught.value)


def test_an_address_of_this_machine_that_others_can_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peers.town.machines.addresses._own_addresses", lambda: {"198.51.100.77"})
    assert resolve_host("198.51.100.77") == "198.51.100.77"
    assert can_be_reached("198.51.100.77")
    assert not can_be_reached(resolve_host("localhost"))


def test_a_name_with_several_addresses_gives_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_named: found)
    assert resolve_host("localhost") == "127.0.0.1"


def test_a_name_that_means_loopback_is_refused_with_what_to_give_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.1.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_named: found)
    monkeypatch.setattr(
        "peers.town.machines.addresses._own_addresses", lambda: {"127.0.0.1", "fe80::1", "198.51.100.77"}
    )
    with pytest.raises(TownError, match=r"my-machine resolves to 127\.0\.1\.1 here.*198\.51\.100\.77"):
        resolve_host("my-machine")


def test_the_address_of_another_machine_is_refused_with_how_to_join_its_town() -> None:
    with pytest.raises(
        TownError, match=r"bazaar invite .* --out FILE.*bash run\.sh 198\.51\.100\.77 <n> --invite FILE"
    ):
        resolve_host("198.51.100.77")


def test_all_addresses_will_do_where_others_are_told_which() -> None:
    assert resolve_host("0.0.0.0", advertised="198.51.100.77") == "0.0.0.0"
    for bad in ("127.0.0.1", "0.0.0.0"):
        with pytest.raises(TownError, match="--advertise"):
            check_advertised(bad)
    check_advertised("198.51.100.77")


def test_ranges_of_ports() -> None:
    assert parse_ports("9090-9189") == (9090, 9189)
    for bad in ("9090", "9189-9090", "0-9", "9090-70000", "a-b", ""):
        with pytest.raises(SettingsError, match="expected FROM-TO"):
            parse_ports(bad)


def test_the_first_free_port_is_picked_and_the_one_known_to_others_before_it() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        taken = held.getsockname()[1]
        with pytest.raises(TownError, match="--peer-ports"):
            pick_port("127.0.0.1", (taken, taken))
        found = pick_port("127.0.0.1", (taken, min(taken + 50, 65535)))
        assert found > taken
        assert pick_port("127.0.0.1", (taken, found), preferred=found) == found
        assert pick_port("127.0.0.1", (taken, 65535), without=[found]) > found


def test_without_ports_given_others_reach_usual_ones_and_loopback_has_any() -> None:
    outside = RunOptions(host="198.51.100.77", n=200, nameserver_port=9000)
    assert with_ports(outside, 0).ports == (9090, 9291)
    local = with_ports(RunOptions(host="127.0.0.1", n=6), 0)
    assert (local.ports, local.nameserver_port) == (None, 0)


def test_endpoints() -> None:
    assert parse_endpoint("localhost:9090") == ("localhost", 9090)
    assert parse_endpoint("[::1]:9090") == ("::1", 9090)
    for bad in ("localhost", ":9090", "localhost:", "localhost:http", "localhost:70000", "localhost:0"):
        with pytest.raises(BazaarError, match="expected host:port"):
            parse_endpoint(bad)


def test_who_begins_the_first_election_is_one_of_the_peers() -> None:
    RunOptions(host="localhost", n=3, starter=2).check()
    with pytest.raises(SettingsError, match="3 cannot begin the first election: it is from 0 to 2"):
        RunOptions(host="localhost", n=3, starter=3).check()
