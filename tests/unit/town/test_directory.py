"""The town's directory: whose it is, and its state files."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from db.audit.journals import journal_files
from nameserver.journal_names import is_terminal
from peers.core.names import rank_of
from peers.errors import TownError
from peers.town.files.directory import Directory, TownState
from peers.town.files.peer_states import PeerState, live_graph
from peers.town.files.terminal_name import kept_name


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    made = Directory(tmp_path / "town")
    made.make()
    return made


def peer(name: str, *neighbours: str, ended: str | None = None) -> PeerState:
    rank = rank_of(name)
    role = "buyer" if name.startswith("buyer") else "seller"
    return PeerState(
        name=name,
        rank=rank,
        role=role,  # type: ignore[arg-type]
        pid=100 + rank,
        uri="PYRO:x@127.0.0.1:1",
        neighbours=neighbours,
        town_pid=1,
        ended=ended,
    )


def test_one_town_a_directory(directory: Directory) -> None:
    assert not directory.in_use()
    assert directory.claim()
    other = Directory(directory.path)
    assert other.in_use()
    assert not other.claim()
    other.let_go()
    directory.let_go()
    assert not other.in_use()
    assert other.claim()
    other.let_go()


def test_a_directory_that_never_was_is_not_in_use(tmp_path: Path) -> None:
    assert not Directory(tmp_path / "nothing").in_use()


def test_what_cannot_be_written_to_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TownError, match="cannot be written to") as caught:
        Directory(tmp_path / "file" / "town").make()
    assert "--dir" in str(caught.value)


def test_state_files_come_back_as_they_were(directory: Directory) -> None:
    assert directory.read_town() is None
    state = TownState(phase="open", pid=1, host="127.0.0.1", n=2, seed=3, trader="buyer1", term=4)
    directory.write_town(state)
    assert directory.read_town() == state
    peers = [peer("buyer10", "seller2"), peer("seller2", "buyer10")]
    for each in peers:
        directory.write_peer(each)
    assert directory.read_peers() == [peers[1], peers[0]]
    assert not list(directory.path.rglob(".town.json*")), "no piece of a file is left"
    directory.forget_peers(["buyer10"])
    assert directory.read_peers() == [peers[1]]
    directory.forget_peers()
    assert directory.read_peers() == []


def test_what_a_killed_town_left_is_not_a_running_town(directory: Directory) -> None:
    mine = TownState(phase="open", pid=os.getpid(), host="127.0.0.1", n=2, seed=3)
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    directory.write_town(mine)
    assert directory.running_town() is None, "nobody holds the lock"
    assert directory.claim()
    reader = Directory(directory.path)
    assert reader.running_town() == mine
    directory.write_town(msgspec.structs.replace(mine, pid=int(gone.stdout)))
    assert reader.running_town() is None
    directory.let_go()


# The first two are what a loss of power leaves, the next is of another version, and the rest was never ours.
@pytest.mark.parametrize("content", [b"", b'{"phase": "op', b'{"phase": "open"}', b'["a"]', b"\0\0\0\0", b"\xff\xfe"])
def test_what_cannot_be_understood_counts_as_missing_and_is_said_once(tmp_path: Path, content: bytes) -> None:
    warnings: list[str] = []
    directory = Directory(tmp_path, warn=warnings.append)
    directory.make()
    for name in ("town.json", "network.json", "peers/buyer0.json"):
        (tmp_path / name).write_bytes(content)
    for _ in range(3):
        assert directory.read_town() is None
        assert directory.read_network() is None
        assert directory.read_peers() == []
    assert len(warnings) == 3
    for name, warning in zip(("town.json", "network.json", "buyer0.json"), warnings, strict=True):
        assert name in warning
        assert "counts as missing" in warning
    state = TownState(phase="open", pid=1, host="127.0.0.1", n=2, seed=3)
    directory.write_town(state)
    assert directory.read_town() == state


def test_what_may_not_be_read_is_an_error_and_not_missing(directory: Directory) -> None:
    (directory.path / "town.json").mkdir()
    with pytest.raises(TownError, match=r"town\.json cannot be read"):
        directory.read_town()


def test_a_directory_that_was_removed_is_noticed_also_behind_another_in_its_place(directory: Directory) -> None:
    assert directory.claim()
    guest = Directory(directory.path)
    assert not guest.claim()
    for each in (directory, guest):
        each.check()
    shutil.rmtree(directory.path)
    other = Directory(directory.path)
    for make in (lambda: None, other.make, other.claim):
        make()
        for each in (directory, guest):
            with pytest.raises(TownError, match="was removed"):
                each.check()
    other.check()
    for each in (directory, guest, other):
        each.let_go()


def test_what_fails_because_the_directory_was_removed_says_so(directory: Directory) -> None:
    assert directory.claim()
    with pytest.raises(KeyError), directory.checked():
        raise KeyError
    with pytest.raises(PermissionError), directory.checked():
        raise PermissionError
    shutil.rmtree(directory.path)
    with pytest.raises(TownError, match="was removed"), directory.checked():
        directory.write_network({})
    directory.let_go()


def test_emptying_the_books_leaves_everything_else(directory: Directory) -> None:
    (directory.mongo / "data").mkdir(parents=True)
    (directory.journals / "buyer0.jsonl").write_text("{}\n")
    (directory.logs / "buyer0.log").write_text("hello")
    directory.tls.mkdir()
    for name in ("ca.pem", "mongod.password"):
        (directory.tls / name).write_text("secret")
    assert directory.has_journals()
    directory.empty_books()
    assert [path.name for path in directory.tls.iterdir()] == ["ca.pem"], "the new books have another password"
    assert not directory.mongo.exists()
    assert not directory.has_journals()
    assert directory.journals.is_dir()
    assert (directory.logs / "buyer0.log").read_text() == "hello"


@pytest.mark.parametrize("steps", range(5))
def test_emptying_that_is_cut_short_leaves_no_journals_without_their_books(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    (directory.mongo / "data").mkdir(parents=True)
    (directory.journals / "buyer0.jsonl").write_text("{}\n")
    north = directory.area("north")
    north.make()
    (north.journals / "seller1.jsonl").write_text("{}\n")
    rename, renamed = Path.rename, itertools.count()

    def cut_short(self: Path, target: Path) -> Path:
        if next(renamed) == steps:
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patched, contextlib.suppress(KeyboardInterrupt):
        patched.setattr(Path, "rename", cut_short)
        directory.empty_books()
    assert (directory.mongo / "data").is_dir() or not directory.has_journals()
    directory.make()
    directory.empty_books()
    assert not directory.mongo.exists()
    assert not directory.has_journals()
    assert [path.name for path in directory.path.glob(".*")] == []


def test_live_graph_is_of_the_living() -> None:
    states = [
        peer("buyer0", "seller1", "buyer2"),
        peer("seller1", "buyer0", ended="killed by SIGKILL"),
        peer("buyer2", "buyer10"),
        peer("buyer10"),
    ]
    # An edge counts when either end names it, and only between peers that run.
    assert live_graph(states) == {"buyer0": ["buyer2"], "buyer2": ["buyer0", "buyer10"], "buyer10": ["buyer2"]}


def test_network_is_an_adjacency_list_by_name(directory: Directory) -> None:
    directory.write_network({"buyer0": ["seller1"], "seller1": ["buyer0"]})
    assert json.loads(directory.network_json.read_text()) == {"buyer0": ["seller1"], "seller1": ["buyer0"]}
    assert directory.read_network() == {"buyer0": ["seller1"], "seller1": ["buyer0"]}


def test_a_graph_that_cannot_be_written_or_read_ends_nothing_and_is_said_once(tmp_path: Path) -> None:
    said: list[str] = []
    directory = Directory(tmp_path / "town", said.append)
    directory.make()
    directory.claim()
    directory.network_json.mkdir()
    try:
        for _ in range(2):
            directory.write_network({})
            assert directory.read_network() is None
        directory.retry_writing()
        assert len(said) == 2, "once that it cannot be written, once that it cannot be read"
        assert all(str(directory.network_json) in line for line in said)
        directory.network_json.rmdir()
        directory.retry_writing()
        assert directory.read_network() == {}
        assert "can be written again" in said[-1]
        directory.retry_writing()
        assert len(said) == 3
    finally:
        directory.let_go()


def test_what_cannot_be_written_is_written_later_as_it_is_then(tmp_path: Path) -> None:
    said: list[str] = []
    directory = Directory(tmp_path / "town", said.append)
    directory.make()
    directory.claim()
    place = directory.path / "peers"
    place.rmdir()
    place.write_text("in the way")
    try:
        directory.write_peer(peer("buyer0", "seller1"))
        directory.write_peer(peer("seller1"))
        directory.write_peer(peer("buyer0", ended="killed by SIGKILL"))
        place.unlink()
        place.mkdir()
        assert directory.read_peers() == []
        directory.retry_writing()
        assert [(each.name, each.ended) for each in directory.read_peers()] == [
            ("buyer0", "killed by SIGKILL"),
            ("seller1", None),
        ]
    finally:
        directory.let_go()
    assert len(said) == 2


def test_a_folder_of_derived_files_that_is_removed_is_made_anew_but_not_the_town_itself(
    directory: Directory, tmp_path: Path
) -> None:
    assert directory.claim()
    area = directory.area("north")
    area.make()
    shutil.rmtree(directory.path / "areas")
    shutil.rmtree(directory.path / "peers")
    assert directory.peers_changed_ns() is None
    assert directory.areas() == [directory]
    for each in directory, area:
        each.write_peer(peer("buyer1"))
        each.write_network({"buyer1": []})
        assert each.read_peers() == [peer("buyer1")]
        assert each.read_network() == {"buyer1": []}
        assert each.peers_changed_ns() is not None
    directory.path.rename(tmp_path / "elsewhere")
    with pytest.raises(TownError, match="was removed while it was in use"):
        area.write_peer(peer("buyer1"))
    assert not directory.path.exists()
    directory.let_go()


def test_a_file_that_cannot_be_removed_is_said_once_and_the_others_are(tmp_path: Path) -> None:
    said: list[str] = []
    directory = Directory(tmp_path / "town", said.append)
    directory.make()
    names = ["buyer1", "buyer2", "seller3", "seller4"]
    for name in names:
        directory.write_peer(peer(name))
    for name in names[:2]:
        stays = tmp_path / "town" / "peers" / f"{name}.json"
        stays.unlink()
        stays.mkdir()  # What is no file cannot be unlinked.
    directory.forget_peers()
    assert len(said) == 1, said
    assert "cannot be removed" in said[0]
    assert "nor can 1 more" in said[0]
    assert not list((tmp_path / "town" / "peers").glob("seller*"))


def test_an_area_has_a_folder_of_the_same_shape_within(directory: Directory) -> None:
    town = directory
    assert town.areas() == [town], "a town with one post is its own only area"
    assert town.area("") is town
    for name in ("south", "north", "east"):
        town.area(name).make()
    state = TownState(phase="open", pid=1, host="127.0.0.1", n=2, seed=3, areas=("north", "south"))
    town.write_town(state)
    assert [area.area_name for area in town.areas()] == ["north", "south", "east"], (
        "as the town has them, then others"
    )
    south = town.area("south")
    south.write_peer(peer("seller1"))
    assert [peer.name for peer in south.read_peers()] == ["seller1"]
    assert town.read_peers() == []
    assert south.tls == town.tls
    assert town.claim()
    assert south.in_use(), "the lock is the town's"
    town.let_go()
    (south.journals / "seller1.jsonl").write_text("{}\n")
    assert town.has_journals()
    assert [path.name for path in journal_files(town.path)] == ["seller1.jsonl"]
    assert journal_files(town.area("north").path) == []
    town.empty_books()
    assert town.areas() == [town]


def test_all_who_ask_at_once_what_a_terminal_is_called_hear_the_same(tmp_path: Path) -> None:
    for number in range(50):
        directory = Directory(tmp_path / str(number))
        directory.make()
        with ThreadPoolExecutor(8) as pool:
            names = set(pool.map(Directory.terminal, [directory] * 8))
        assert names == {Directory(directory.path).terminal()}
        assert [path.name for path in directory.path.glob(".*")] == []


@pytest.mark.parametrize("torn", [b"", b"2e0c0af692ce", b"\x00" * 32, b"\xff" * 32])
def test_a_name_that_was_torn_is_made_anew_and_then_kept(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "terminal"
    path.write_bytes(torn)
    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(Directory.terminal, [Directory(tmp_path) for _ in range(8)]))
    assert len(names) == 1
    assert is_terminal(path.read_text())
    assert names == {path.read_text()}


@pytest.mark.parametrize("lost", ["terminal", "journals/.terminal"])
@pytest.mark.parametrize("torn", [None, b""])
def test_a_name_that_was_lost_is_found_again(directory: Directory, lost: str, torn: bytes | None) -> None:
    name, path = directory.terminal(), directory.path / lost
    if torn is None:
        path.unlink()
    else:
        path.write_bytes(torn)
    assert kept_name(directory.path) == name
    assert Directory(directory.path).terminal() == name
    assert path.read_text() == name


def test_a_terminal_whose_name_cannot_be_kept_is_called_the_same_by_all_its_parts(tmp_path: Path) -> None:
    directory = Directory(tmp_path / "missing")
    assert is_terminal(directory.terminal())
    assert directory.terminal() == directory.terminal()
    assert not directory.path.exists()
