"""Journals asked for over the town's RPC: all of them, once, and nothing else on that machine."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from pymongo import MongoClient

from db.audit.auditing import audit
from db.audit.journals import Extent, journal_files
from db.keepers import Keepers
from db.mongod.process import MongodProcess
from db.terminals import Place
from nameserver.journal_copies import Index, Late, Source, copy_journals, extent_of
from nameserver.journal_names import JOURNALS_OBJECT, LONGEST_LINE, PIECE
from nameserver.process import NameServerProcess
from peers.endpoints import endpoint, try_to_bind
from peers.errors import TownError
from peers.rpc.security.certificates import ensure_certificates, issue_client
from peers.rpc.security.tls import TlsFiles
from peers.town.files.directory import Directory
from peers.town.machines import elsewhere as asking
from peers.town.machines.elsewhere import Elsewhere
from tests.helpers.waiting import wait_until

A_SECOND = 1.0


class Machine:
    """A terminal's directory and the name server beside it. No test may tell it from one on another machine."""

    def __init__(self, place: Path, stack: ExitStack, *, hands_out: bool = True) -> None:
        self.directory = Directory(place)
        self.directory.make()
        self.terminal = self.directory.terminal()
        journals = (place, self.terminal) if hands_out else None
        self.server = NameServerProcess(log=place / "nameserver.log", journals=journals)
        self.server.start()
        stack.callback(self.server.stop)

    @property
    def where(self) -> str:
        return endpoint(self.server.host, self.server.port)

    def write(self, name: str, text: str, area: str = "") -> None:
        directory = self.directory.area(area)
        directory.make()
        with (directory.journals / f"{name}.jsonl").open("a") as journal:
            journal.write(text)

    def source(self, stack: ExitStack) -> Source:
        return stack.enter_context(closing(Source(self.where, 5.0)))


class Counted(Source):
    """Notes how much came with each piece."""

    def __init__(self, nameserver: str, timeout_s: float) -> None:
        super().__init__(nameserver, timeout_s)
        self.came: list[int] = []

    def read(self, terminal: str, area: str, name: str, offset: int) -> bytes:
        piece = super().read(terminal, area, name, offset)
        self.came.append(len(piece))
        return piece


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def machine(tmp_path: Path, stack: ExitStack) -> Machine:
    return Machine(tmp_path / "there", stack)


def texts(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in journal_files(folder)}


def test_whole_lines_come_and_the_next_time_only_what_is_new(
    machine: Machine, tmp_path: Path, stack: ExitStack
) -> None:
    machine.write("buyer0", "one\ntwo\nthr")
    machine.write("seller1", "", "north")
    machine.write("seller1", "x" * (2 * PIECE) + "\n" + "y\n", "north")
    source, here = machine.source(stack), tmp_path / "here"
    index = source.index()
    assert (index.terminal, index.at_rest) == (machine.terminal, False)
    copy_journals(source, machine.terminal, index.folders[machine.terminal], here)
    assert texts(here) == {
        "journals/buyer0.jsonl": "one\ntwo\n",
        "areas/north/journals/seller1.jsonl": "x" * (2 * PIECE) + "\ny\n",
    }

    source = stack.enter_context(closing(Counted(machine.where, 5.0)))
    machine.write("buyer0", "ee\nfour")
    copy_journals(source, machine.terminal, source.index().folders[machine.terminal], here)
    assert texts(here)["journals/buyer0.jsonl"] == "one\ntwo\nthree\n"
    assert source.came == [len("two\nthree\n")], "the last line shows that it is the same journal"
    # A copy that another copying has torn, or that is of another journal, is mended.
    journal = here / "journals" / "buyer0.jsonl"
    for damaged in ("one\ntwo\nth", "one\n2\n", ""):
        journal.write_text(damaged)
        copy_journals(source, machine.terminal, source.index().folders[machine.terminal], here)
        assert journal.read_text() == "one\ntwo\nthree\n"
    assert extent_of(here) == source.index().extent(machine.terminal)


@pytest.mark.parametrize(
    ("area", "name"),
    [
        ("", "../town"),
        ("", "../../etc/passwd"),
        ("..", "x"),
        ("../..", "x"),
        ("north/../..", "x"),
        ("", "/etc/passwd"),
        ("", "a\0b"),
        ("", "nobody"),
        ("", ""),
        ("", "linked"),
        ("", "folder"),
    ],
)
def test_nothing_but_journals_can_be_had(machine: Machine, stack: ExitStack, area: str, name: str) -> None:
    machine.write("buyer0", "one\n")
    secret = machine.directory.path / "secret"
    secret.write_text("secret\n")
    (machine.directory.journals / "linked.jsonl").symlink_to(secret)
    (machine.directory.journals / "folder.jsonl").mkdir()
    source = machine.source(stack)
    with pytest.raises(TownError, match="refuses"):
        source.read(machine.terminal, area, name, 0)
    for terminal in ("..", "../" + machine.terminal, "", "0" * 31, machine.terminal + "\n"):
        with pytest.raises(TownError, match="refuses"):
            source.read(terminal, "", "buyer0", 0)
    for offset in (-1, 2**63, True, "0"):
        with pytest.raises(TownError, match="refuses"):
            source.read(machine.terminal, "", "buyer0", offset)  # type: ignore[arg-type]
    assert [name for _, name, _ in source.index().folders[machine.terminal]] == ["buyer0"]
    assert source.read(machine.terminal, "", "buyer0", 0) == b"one\n", "the name server goes on"


def test_a_line_that_is_too_long_stops_nobody(machine: Machine, tmp_path: Path, stack: ExitStack) -> None:
    machine.write("buyer0", "x" * (LONGEST_LINE + 1) + "\n")
    source = machine.source(stack)
    with pytest.raises(TownError, match="something else than it lists"):
        copy_journals(source, machine.terminal, source.index().folders[machine.terminal], tmp_path / "here")


def test_an_older_version_is_said_to_be_one(tmp_path: Path, stack: ExitStack) -> None:
    older = Machine(tmp_path / "there", stack, hands_out=False)
    with pytest.raises(TownError, match="older version"):
        older.source(stack).index()


def test_what_lies_about_its_journals_is_not_believed(tmp_path: Path, stack: ExitStack) -> None:
    class Lying(Source):
        def _call(self, method: str, *_arguments: object) -> object:
            if method == "index":
                return {"terminal": "a" * 32, "at_rest": True, "folders": {"a" * 32: [["", "../../x", 5]]}}
            return b"no line"

    lying = stack.enter_context(closing(Lying("127.0.0.1:1", 1.0)))
    with pytest.raises(TownError, match="no journals"):
        lying.index()
    with pytest.raises(TownError, match="something else"):
        copy_journals(lying, "a" * 32, [("", "buyer0", 5)], tmp_path / "here")


def test_megabytes_come_at_more_than_one_a_second_and_late_ones_are_left(
    machine: Machine, tmp_path: Path, stack: ExitStack
) -> None:
    megabytes = 16
    for number in range(2):
        machine.write(f"buyer{number}", ("z" * 499 + "\n") * (megabytes * 1000))
    source, here = machine.source(stack), tmp_path / "here"
    journals = source.index().folders[machine.terminal]
    with pytest.raises(Late):
        copy_journals(source, machine.terminal, journals, here, time.monotonic())
    began_s = time.monotonic()
    copy_journals(source, machine.terminal, journals, here)
    assert extent_of(here) == Extent(2, megabytes * 1_000_000)
    print(f"{megabytes / (time.monotonic() - began_s):.0f} MB/s")
    assert time.monotonic() - began_s < megabytes * A_SECOND


# -- who has them, by the books --------------------------------------------------------------------------------------


@pytest.fixture
def database(mongo_client: MongoClient[dict[str, object]]) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield name
    mongo_client.drop_database(name)


class Books:
    """The books' word on who keeps journals."""

    def __init__(self, uri: str, database: str, stack: ExitStack) -> None:
        self.where = (uri, database)
        self.keepers = stack.enter_context(closing(Keepers(uri, database)))

    def begin(self, machine: Machine, host: str, where: str = "", areas: tuple[str, ...] = ("",)) -> None:
        place = Place(host, str(machine.directory.path), where or machine.where)
        self.keepers.begin(machine.terminal, place, areas)


@pytest.fixture
def books(mongod: MongodProcess, database: str, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> Books:
    # All of these machines are this one; they are to be asked as if they were not.
    monkeypatch.setattr(asking, "is_own", lambda _host: False)
    return Books(mongod.uri, database, stack)


def missing(directory: Directory, books: Books, areas: tuple[str, ...] = ()) -> dict[str, str]:
    """By machine, why not all of its journals could be had from the directory."""
    with Elsewhere(directory, *books.where) as elsewhere:
        return {each.machine: each.missing for each in elsewhere.witnesses(areas)}


def test_who_cannot_be_had_is_named_and_a_copy_that_is_whole_is_enough(
    books: Books, tmp_path: Path, stack: ExitStack
) -> None:
    here, there = Machine(tmp_path / "here", stack), Machine(tmp_path / "there", stack)
    older = Machine(tmp_path / "older", stack, hands_out=False)
    gone = Machine(tmp_path / "gone", stack)
    for machine, host in (here, "h"), (there, "t"), (older, "o"):
        books.begin(machine, host)
    books.begin(gone, "g", where=f"127.0.0.1:{try_to_bind('127.0.0.1', 0)}")
    there.write("buyer1", "one\n")
    assert missing(here.directory, books) == {
        "t": "",
        "o": "it has an older version",
        "g": "nobody is there",
    }
    assert texts(here.directory.copies / there.terminal) == {"journals/buyer1.jsonl": "one\n"}

    # It writes one more line, and ends without a word: what was copied is not all.
    there.write("buyer1", "two\n")
    there.server.stop()
    assert missing(here.directory, books)["t"] == "nobody is there"
    # The books say that there was as much as was copied, or more.
    books.keepers.rest(there.terminal, Extent(1, 4))
    assert missing(here.directory, books)["t"] == ""
    books.keepers.rest(there.terminal, Extent(1, 8))
    assert missing(here.directory, books)["t"] == "nobody is there, and not all was copied before"
    # Another that has copied it all hands it on.
    other = Machine(tmp_path / "other", stack)
    books.begin(other, "p")
    copy = other.directory.copies / there.terminal / "journals"
    copy.mkdir(parents=True)
    (copy / "buyer1.jsonl").write_text("one\ntwo\n")
    assert missing(here.directory, books)["t"] == ""
    assert texts(here.directory.copies / there.terminal) == {"journals/buyer1.jsonl": "one\ntwo\n"}
    # It is back, and nobody knows how much it will write.
    books.begin(there, "t")
    other.server.stop()
    assert missing(here.directory, books)["t"] == "nobody is there"


def test_a_terminal_is_asked_for_the_areas_it_has_peers_of(books: Books, tmp_path: Path, stack: ExitStack) -> None:
    here, there = Machine(tmp_path / "here", stack), Machine(tmp_path / "there", stack)
    books.begin(there, "t", areas=("north",))
    books.begin(there, "t", areas=("south",))
    for area in "north", "south":
        there.write("buyer1", f"{area}\n", area)
    with Elsewhere(here.directory, *books.where) as elsewhere:
        for areas in ("north",), ("south",), ("north", "south"), ():
            told = [path.read_text() for each in elsewhere.witnesses(areas) for path in each.paths]
            assert told == [f"{area}\n" for area in areas or ("north", "south")]
        assert not list(elsewhere.witnesses(("east",)))


def test_who_leaves_is_copied_by_who_stays_and_told_so(tmp_path: Path, stack: ExitStack) -> None:
    here, there = Machine(tmp_path / "here", stack), Machine(tmp_path / "there", stack)
    there.write("buyer1", "one\n")
    stays, leaves = here.source(stack), there.source(stack)
    stays.take(there.where)
    wait_until(lambda: leaves.readers() == [here.terminal], "it says that it has them")
    assert texts(here.directory.copies / there.terminal) == {"journals/buyer1.jsonl": "one\n"}
    stays.take(here.where)
    for nonsense in ("", "nowhere", "a:b", 7, None):
        with pytest.raises(TownError, match="refuses"):
            stays.take(nonsense)  # type: ignore[arg-type]
    there.server.stop()
    stays.take(there.where)
    assert stays.index().folders.keys() == {here.terminal, there.terminal}


def test_without_a_directory_of_a_town_nothing_is_left_behind(books: Books, tmp_path: Path, stack: ExitStack) -> None:
    there = Machine(tmp_path / "there", stack)
    books.begin(there, "t")
    there.write("buyer1", "one\n")
    nowhere = Directory(tmp_path / "nowhere")
    with Elsewhere(nowhere, *books.where) as elsewhere:
        (told,) = elsewhere.witnesses()
        assert [path.read_text() for path in told.paths] == ["one\n"]
    assert not nowhere.path.exists()
    assert not told.paths[0].exists()


def test_books_that_are_away_leave_it_open_who_there_is(tmp_path: Path, stack: ExitStack) -> None:
    here = Machine(tmp_path / "here", stack)
    uri = f"mongodb://127.0.0.1:{try_to_bind('127.0.0.1', 0)}/?directConnection=true"
    with Elsewhere(here.directory, uri, "bazaar") as elsewhere:
        (told,) = elsewhere.witnesses()
        assert "the books do not say" in told.missing


def test_a_newer_form_of_the_words_leaves_it_open_what_there_was(
    books: Books, mongod: MongodProcess, tmp_path: Path, stack: ExitStack
) -> None:
    here, there, well = (Machine(tmp_path / name, stack) for name in ("here", "there", "well"))
    books.begin(there, "t")
    books.begin(well, "w")
    there.server.stop()
    with MongoClient[dict[str, object]](mongod.uri) as client:
        words = client[books.where[1]]["keepers"]
        for odd in {"journals": 1, "bytes": 4}, {"journals": 1, "size": "4"}, {"journals": 1, "size": 0.5}, [1], 7:
            words.update_one({"_id": there.terminal}, {"$set": {"at_rest": odd}})
            assert missing(here.directory, books) == {"t": "nobody is there", "w": ""}


class _NoThread:
    def __init__(self, *_arguments: object) -> None:
        raise RuntimeError("can't start new thread")


def test_whatever_goes_wrong_leaves_it_open_what_others_were_told(
    books: Books, tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = Machine(tmp_path / "here", stack), Machine(tmp_path / "there", stack)
    books.begin(there, "t")

    class Broken(Source):
        def index(self) -> Index:
            raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(asking, "Source", Broken)
        assert missing(here.directory, books) == {"t": "OSError: [Errno 24] Too many open files"}
    with monkeypatch.context() as patch:
        patch.setattr(asking, "ThreadPoolExecutor", _NoThread)
        (told,) = missing(here.directory, books).values()
        assert "can't start new thread" in told
    elsewhere = Elsewhere(here.directory, *books.where)
    monkeypatch.setattr(elsewhere._working, "start", _NoThread)
    with elsewhere:
        (only,) = elsewhere.witnesses()
        assert "can't start new thread" in only.missing
        report = audit(*books.where, here.directory.path, witnesses=elsewhere.witnesses())
    assert report.answer == "could not tell"


_AS_CLIENT = """
import sys
from Pyro5.api import Proxy, config
config.SSL = True
config.SSL_CLIENTCERT = config.SSL_CACERTS = sys.argv[1]
with Proxy(sys.argv[2]) as journals:
    for method, arguments in ("index", ()), ("read", ("a" * 32, "", "buyer0", 0)), ("take", ("127.0.0.2:1",)):
        try:
            print(method, journals._pyroInvoke(method, arguments, {}))
        except Exception as error:
            print(method, "refused:", error)
"""
_AS_MACHINE = """
import sys
from pathlib import Path
from nameserver.journal_copies import Source
from peers.errors import TownError
from peers.rpc.security.tls import TlsFiles, secure
secure(TlsFiles(Path(sys.argv[1])))
source = Source(sys.argv[2].rpartition("@")[2], 5.0)
print(source.read("a" * 32, "", "buyer0", 0))
try:
    source.take("127.0.0.9:1")
except TownError as error:
    print(error)
"""


def test_journals_are_for_the_machines_of_the_town_and_a_machine_speaks_for_itself(
    tmp_path: Path, stack: ExitStack
) -> None:
    files = TlsFiles(tmp_path / "tls")
    files.directory.mkdir()
    ensure_certificates(files, ["127.0.0.2"])
    client = tmp_path / "client.pem"
    client.write_bytes(issue_client(files, "anna"))
    (tmp_path / "journals").mkdir()
    (tmp_path / "journals" / "buyer0.jsonl").write_text("one\n")
    server = NameServerProcess("127.0.0.2", tls=files.directory, journals=(tmp_path, "a" * 32))
    server.start()
    stack.callback(server.stop)
    where = f"PYRO:{JOURNALS_OBJECT}@127.0.0.2:{server.port}"

    def said(program: str, shown: Path) -> list[str]:
        words = [sys.executable, "-c", program, str(shown), where]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    for line in said(_AS_CLIENT, client):
        assert "refused: " in line
        assert "not for anna" in line
    read, refused = said(_AS_MACHINE, files.directory)
    assert read == repr(b"one\n")
    assert "leads to another machine" in refused
