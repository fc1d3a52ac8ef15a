"""The counter, with a real town: by hand at a terminal, from a pipe, as a library; through a failover and a kill."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pytest

from peers.cli.main import invoke
from peers.customer import CircuitOpen, Customer, NoAnswer
from peers.customer.breaker import CircuitBreaker, CircuitState
from peers.errors import BadRequest
from tests.helpers.bare_python import run_bare
from tests.helpers.waiting import DEADLINE_S, wait_until
from tests.system.helpers.town import BAZAAR, Town, running_town

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[2]
PROGRAMS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    options = ("--no-trade", "--set", "market.resign_after_sales=0")
    with running_town(tmp_path_factory.mktemp("shop"), 5, *options) as town:
        assert shop(town, "sell", "fish", "1000", "7.20", "--name", "olga").returncode == 0
        yield town
        # The journals of all who shopped here are held against the books.
        assert town.stop() == 0, town.output()[-4000:]


def shop(town: Town, *arguments: str, says: str = "") -> subprocess.CompletedProcess[str]:
    command = [*BAZAAR, "shop", "--dir", str(town.directory), *arguments]
    return subprocess.run(command, input=says, capture_output=True, text=True, timeout=60, check=False)


def nameserver(town: Town) -> tuple[str, int]:
    where = town.status()["nameserver"]
    return where["host"], where["port"]


def sold_to(town: Town, buyer: str) -> list[dict[str, Any]]:
    """The sales to a customer, as the log has them; books are made from it."""
    return list(town.books.requests.find({"buyer": buyer, "status": "sold"}))


# -- from a pipe -------------------------------------------------------------------------------------------------


def test_commands_from_a_pipe(town: Town) -> None:
    says = (
        "look\nsearch fish\nsearch fish all\nbuy fish 2\nbuy boar\nbyu fish\nbuy dodo\npurchases\n"
        "earnings\ntrader\nquit\nbuy fish\n"
    )
    done = shop(town, "--name", "anna", says=says)
    assert done.returncode == 2, done.stderr
    assert done.stderr == ""
    assert re.search(r"^fish +\d+ +7\.20 +olga$", done.stdout, re.MULTILINE)
    assert len(re.findall(r"^fish +7\.20 +\d+ +olga$", done.stdout, re.MULTILINE)) == 2
    assert "you bought 2 fish from olga at 7.20, 14.40 in all" in done.stdout
    assert "no boar for you: nobody has enough of it" in done.stdout
    assert "there is no command byu: did you mean buy?" in done.stdout
    assert "item: must be one of fish, salt, boar, not 'dodo'" in done.stdout
    assert "14.40 spent" in done.stdout
    assert "you have sold nothing yet" in done.stdout
    assert "is in office (term" in done.stdout
    assert len(sold_to(town, "anna")) == 1  # What comes after `quit` is not carried out.


def test_what_cannot_be_read_from_a_pipe_is_said_and_the_rest_is_served(town: Town, tmp_path: Path) -> None:
    command = [*BAZAAR, "shop", "--dir", str(town.directory), "--name", "gus", "--json"]
    done = subprocess.run(
        command, input=b"buy fi\xffsh\nbuy fish\nsearch \xc3\n", capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 2, done.stderr
    bad, bought, cut = (json.loads(line) for line in done.stdout.splitlines())
    assert (bad["code"], bad["error"]) == (2, r"buy fi\xffsh is not UTF-8: say it in that")
    assert bought["outcome"]["status"] == "sold"
    assert (cut["code"], cut["error"]) == (2, r"search \xc3 is not UTF-8: say it in that")
    with (tmp_path / "file").open("wb") as for_writing_only:
        done = subprocess.run(command, stdin=for_writing_only, capture_output=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert "the standard input cannot be read (Bad file descriptor)" in json.loads(done.stdout)["error"]
    assert subprocess.run(["sh", "-c", '"$@" <&-', "sh", *command], timeout=60, check=False).returncode == 0


def test_it_buys_no_more_when_nobody_reads_the_answers_any_more(town: Town) -> None:
    """Its lines never end. It may not see at once that the reader has gone, but it does."""
    command = [*BAZAAR, "shop", "--dir", str(town.directory), "--name", "jack"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as visit:
        assert visit.stdin is not None
        assert visit.stdout is not None
        assert visit.stderr is not None
        visit.stdin.write(b"buy fish\n")
        visit.stdin.flush()
        assert visit.stdout.readline().startswith(b"you bought 1 fish")
        visit.stdout.close()
        with suppress(BrokenPipeError):
            for _ in range(100_000):
                visit.stdin.write(b"buy fish\n")
        assert b"nobody reads the answers any more" in visit.stderr.read()
        assert visit.wait(DEADLINE_S) == 0
        with suppress(BrokenPipeError):
            visit.stdin.close()
    assert len(sold_to(town, "jack")) <= 3


def test_one_command_for_programs(town: Town) -> None:
    host, port = nameserver(town)
    done = shop(town, "buy", "fish", "--json", "--name", "ben", "--nameserver", f"{host}:{port}")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    said = json.loads(line)
    assert (said["command"], said["code"], said["outcome"]["seller"]) == ("buy", 0, "olga")
    earned = json.loads(shop(town, "earnings", "--json", "--name", "olga").stdout)["earnings"]
    assert float(earned["earned"]) == pytest.approx(float(earned["paid"]) * 0.8)


def test_what_cannot_be_is_said_in_a_line(town: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, says in (
        (("--dir", str(tmp_path)), "no town runs in"),
        (("--dir", str(town.directory), "--nameserver", "nonsense"), "is not host:port"),
        (("--dir", str(town.directory), "--name", "buyer0"), "the name of a peer"),
        (("xyzzy", "--dir", str(town.directory)), "there is no command xyzzy"),
        (("--area", "north", "--dir", str(town.directory)), "the town has one post, and no area north"),
        (("--stress", "0", "--dir", str(town.directory)), "from 1 to"),
    ):
        assert invoke(["shop", *arguments]) == 2
        said = capsys.readouterr().err
        assert says in said
        assert said.count("\n") == 1


def test_who_speaks_tls_to_a_town_that_does_not_is_told_so(town: Town, tmp_path: Path) -> None:
    """Certificates of another town lie in the directory: that is how it is known what to speak."""
    host, port = nameserver(town)
    at = ("--nameserver", f"{host}:{port}", "--dir", str(tmp_path))
    assert shop(town, "trader", *at).returncode == 0
    file = str(tmp_path / "anna.pem")
    for command in (("certs",), ("invite", "--client", "anna", "--out", file)):
        assert subprocess.run([*BAZAAR, *command, "--dir", str(tmp_path)], timeout=60, check=False).returncode == 0
    mute = shop(town, "trader", *at)
    assert mute.returncode == 2
    assert f"TLS was spoken, for {tmp_path / 'tls'} has certificates: if that town has none" in mute.stderr
    for where in (at, ()):
        client = shop(town, "trader", *where, "--client", file)
        assert client.returncode == 2
        assert (
            "TLS was spoken, by the file of --client: if that town has no certificates, leave it out" in client.stderr
        )
    nobody = shop(town, "trader", "--nameserver", "127.0.0.1:9", "--dir", str(tmp_path))
    assert nobody.returncode == 2
    assert "TLS" not in nobody.stderr


def test_bought_is_said_though_the_disk_has_no_room_to_note_it(town: Town, tmp_path: Path) -> None:
    """What is asked goes into the last block of the disk, and what is told does not."""
    host, port = nameserver(town)
    at = ("--nameserver", f"{host}:{port}", "--dir", str(tmp_path), "--name", "faye")  # Without a journal there.
    record = tmp_path / "customers" / "faye.jsonl"
    assert shop(town, "buy", "fish", *at).returncode == 0
    header, asked, told = record.read_bytes().splitlines(keepends=True)
    room = len(header) + len(told) + len(asked) + 20
    assert room < len(header) + 2 * len(told)

    def fill_the_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    command = [*BAZAAR, "shop", *at, "buy", "fish", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, preexec_fn=fill_the_disk)
    assert done.returncode == 0, done.stderr
    assert "you bought 3 fish from olga" in done.stdout
    assert "what you were told is not noted yet, so the next visit looks for it again" in done.stderr
    # A disk that has room again: it is looked for, found, and noted.
    again = shop(town, "purchases", *at)
    assert again.returncode == 0, again.stderr
    assert "not heard: you bought 3 fish from olga" in again.stderr
    assert "28.80 spent" in again.stdout
    assert len(sold_to(town, "faye")) == 2


# -- killed between asking and hearing ---------------------------------------------------------------------------


@contextmanager
def visiting(town: Town, name: str, said: IO[str]) -> Iterator[subprocess.Popen[str]]:
    """A shop that reads from a pipe which stays open, and has spoken with the trader already."""
    command = [*BAZAAR, "shop", "--name", name, "--dir", str(town.directory)]
    visit = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=said, stderr=said, text=True, bufsize=1)
    try:
        tell(visit, "trader")
        wait_until(lambda: "in office" in Path(said.name).read_text(), what="the trader's answer")
        yield visit
    finally:
        visit.kill()
        visit.wait()
        if visit.stdin is not None:
            visit.stdin.close()


def tell(visit: subprocess.Popen[str], line: str) -> None:
    assert visit.stdin is not None
    visit.stdin.write(line + "\n")
    visit.stdin.flush()


def test_killed_between_asking_and_hearing_it_buys_once(town: Town, tmp_path: Path) -> None:
    name = "cleo"
    record = town.directory / "customers" / f"{name}.jsonl"
    trader = town.wait_for_trader()
    with (tmp_path / "said").open("w") as said, visiting(town, name, said) as visit:
        frozen = town.signal(trader, signal.SIGSTOP)
        try:
            tell(visit, "buy fish 2")
            wait_until(lambda: b'"asked"' in record.read_bytes(), what="that it is written down")
            town.wait_for_trader(other_than=trader)
            visit.kill()
            visit.wait()
        finally:
            os.kill(frozen, signal.SIGCONT)
    assert b'"settled"' not in record.read_bytes()
    second = shop(town, "--name", name, says="buy fish 2\npurchases\n")
    assert "you had asked to buy 2 fish at" in second.stderr + second.stdout
    # Whether or not the first visit's request was served after all, to say the same again was to ask for it again.
    # Whatever is in the books, the customer knows of.
    told = shop(town, "purchases", "--json", "--name", name)
    assert told.returncode == 0, told.stderr
    known = {each["request_id"] for each in json.loads(told.stdout)["purchases"]}

    def is_recorded() -> bool:
        return {each["_id"] for each in sold_to(town, name)} == known

    wait_until(is_recorded, what="the books to have what the customer knows of")
    assert len(known) == 1
    assert "asked again, with the same id" in second.stdout
    assert all(request_id in str(record.read_bytes()) for request_id in known)


# -- at a terminal -----------------------------------------------------------------------------------------------


class Terminal:
    """A shop at a terminal of its own."""

    def __init__(self, town: Town, *arguments: str) -> None:
        self.pid, self._end = pty.fork()
        if self.pid == 0:  # pragma: no cover
            environment = {**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "COLUMNS": "120"}
            command = [*BAZAAR, "shop", *arguments, "--dir", str(town.directory)]
            os.execve(sys.executable, command, environment)
        self._shown = b""
        self._seen = 0
        self._code: int | None = None

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._shown.decode(errors="replace"))

    def types(self, what: str | bytes) -> None:
        os.write(self._end, what.encode() if isinstance(what, str) else what)

    def shows(self, words: str) -> None:
        """Waits until it has shown `words` after those it was asked for before."""
        deadline_s = time.monotonic() + DEADLINE_S
        while (found := self.text.find(words, self._seen)) < 0:
            assert time.monotonic() < deadline_s, f"no {words!r} in {self.text[self._seen :]}"
            self._read()
        self._seen = found + len(words)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._end], [], [], 0.1)
        try:
            read = os.read(self._end, 65536) if ready else b""
        except OSError:  # The other end is closed.
            return False
        self._shown += read
        return bool(read) or not ready

    def leaves(self) -> int:
        """Presses Ctrl-D until the visit has ended, as a person would: what is typed between two prompts the kernel
        interprets, and a Ctrl-D is gone then. Returns the exit code."""
        pressed_s = time.monotonic()

        def press() -> None:
            nonlocal pressed_s
            if time.monotonic() >= pressed_s:
                self._press_ctrl_d()
                pressed_s = time.monotonic() + 1

        return self.ends(press)

    def ends(self, meanwhile: Callable[[], None] = lambda: None) -> int:
        """Waits until the visit has ended; returns the exit code."""
        began_s = time.monotonic()
        while self._code is None:
            assert time.monotonic() < began_s + DEADLINE_S, self.text
            meanwhile()
            self._read()
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if ended else None
        return self._code

    def _press_ctrl_d(self) -> None:
        with suppress(OSError):  # It may just have ended.
            self.types("\x04")

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_how: object) -> None:
        if self._code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._end)


def test_a_failover_at_the_prompt(town: Town) -> None:
    with Terminal(town, "--name", "dora") as terminal:
        terminal.shows("dora>")
        terminal.types("buy fish\r")
        terminal.shows("you bought 1 fish from olga")
        terminal.shows("dora>")
        terminal.types(b"buy fi\xffsh\r")
        terminal.shows(r"buy fi\xffsh is not UTF-8: say it in that")
        terminal.shows("dora>")
        trader = town.wait_for_trader()
        os.kill(town.pid_of(trader), signal.SIGKILL)
        terminal.types("buy fish 3\r")
        terminal.shows(f"the trader {trader} is gone; asking again, with the same id …")
        terminal.shows("has taken office (term")
        terminal.shows("you bought 3 fish from olga")
        terminal.shows("dora>")
        terminal.types("nonsense\x03")  # Ctrl-C ends the line, not the visit.
        terminal.shows("dora>")
        terminal.types("purchases\r")
        terminal.shows("28.80 spent")
        terminal.shows("dora>")
        terminal.types("\x1b[A")  # The last command again, from the history.
        terminal.shows("purchases")
        terminal.types("\x03")
        terminal.shows("dora>")
        assert terminal.leaves() == 0
    history = town.directory / "customers" / "dora.history"
    assert "buy fish 3" in history.read_text()
    assert history.stat().st_mode & 0o777 == 0o600


@contextmanager
def asking_in_vain(town: Town, terminal: Terminal, name: str) -> Iterator[None]:
    """Within, this customer waits for a trader that is frozen to sell it a fish; that it asked is written down."""
    frozen = town.signal(town.wait_for_trader(), signal.SIGSTOP)
    try:
        terminal.types("buy fish\r")
        record = town.directory / "customers" / f"{name}.jsonl"
        wait_until(lambda: b'"asked"' in record.read_bytes(), what="that it is written down")
        yield
    finally:
        os.kill(frozen, signal.SIGCONT)


def test_ctrl_c_stops_waiting_and_keeps_the_request(town: Town) -> None:
    with Terminal(town, "--name", "erik") as terminal:
        terminal.shows("erik>")
        with asking_in_vain(town, terminal, "erik"):
            terminal.types("\x03")
            terminal.shows("It is kept: `pending` looks for what became of it")
            terminal.shows("erik>")
            assert terminal.leaves() == 3
    done = shop(town, "again", "--name", "erik")
    assert done.returncode == 0, done.stderr
    assert len(sold_to(town, "erik")) <= 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_it_ends_at_its_prompt_when_it_is_told_to(town: Town, number: signal.Signals) -> None:
    with Terminal(town, "--name", "fred") as terminal:
        terminal.shows("fred>")
        terminal.types("nonse")
        terminal.shows("nonse")
        os.kill(terminal.pid, number)
        assert terminal.ends() == 130


def test_what_is_asked_for_when_it_is_told_to_end_is_kept(town: Town) -> None:
    with Terminal(town, "--name", "gina") as terminal:
        terminal.shows("gina>")
        with asking_in_vain(town, terminal, "gina"):
            os.kill(terminal.pid, signal.SIGTERM)
            assert terminal.ends() == 130
    done = shop(town, "again", "--name", "gina")
    assert done.returncode == 0, done.stderr
    assert len(sold_to(town, "gina")) <= 1


# -- many, and the library ---------------------------------------------------------------------------------------


def test_many_customers_each_of_whom_comes_when_it_is_due(town: Town) -> None:
    """The closed loop is run in a town with two posts: `test_areas.py`."""
    done = shop(town, "--stress", "4", "--duration", "1", "--json", "--rate", "100")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["loop"] == "open"
    assert figures["areas"] == {}
    assert figures["errors"] == {}
    assert figures["answered"] == figures["sold"] + figures["unavailable"] > 0
    assert figures["p50_ms"] <= figures["p90_ms"] <= figures["p99_ms"] <= figures["p999_ms"] <= figures["max_ms"]


def test_the_programs_of_the_readme(town: Town, tmp_path: Path) -> None:
    host, port = nameserver(town)
    library, bare = (each.replace("127.0.0.1", host).replace("41607", str(port)) for each in PROGRAMS)
    assert len([line for line in library.splitlines() if line]) <= 10
    for _ in range(2):  # Its id is the same the second time, and so is what it is told.
        command = [sys.executable, "-c", library]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert "'status': 'sold'" in done.stdout
        assert "Earnings(sales=" in done.stdout
    assert len(sold_to(town, "bert")) == 1
    assert "'status': 'sold'" in run_bare(tmp_path, bare)


def test_an_id_that_was_answered_is_told_again_to_who_has_lost_all_record_of_it(town: Town) -> None:
    """Nor is anybody blamed for the time that it then asks with: the audit reads the journals of both lives."""

    def life() -> Customer:
        return Customer(*nameserver(town), name="hugo", directory=town.directory)

    with life() as hugo:
        deposit = hugo.deposit("salt", 3, "1.50", deposit_id="hugo-d")
        outcome = hugo.buy("fish", 2, request_id="hugo-1")
        assert shop(town, "buy", "fish", "--name", "iris").returncode == 0
    with life() as hugo:
        assert hugo.buy("fish", 2, request_id="hugo-1") == outcome
        again = hugo.deposit("salt", 3, "1.50", deposit_id="hugo-d")
        assert {**again, "place": deposit["place"]} == deposit
        with pytest.raises(BadRequest, match="was used before with other contents"):
            hugo.buy("fish", 3, request_id="hugo-1")
    assert len(sold_to(town, "hugo")) == 1


def test_nobody_there_opens_the_circuit_which_says_when_it_tries_again() -> None:
    breaker = CircuitBreaker(failures=3, silence_s=0.2, open_s=5.0)
    with Customer("127.0.0.1", 9, breaker=breaker, timeout_s=0.2) as customer:
        with pytest.raises(NoAnswer, match="no name server answers"):
            customer.buy("fish", within_s=1.0)
        assert breaker.state is CircuitState.OPEN
        with pytest.raises(CircuitOpen, match="nothing was sent") as refused:
            customer.buy("fish")
        assert 0 < refused.value.retry_in_s <= 5.0
