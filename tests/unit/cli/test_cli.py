"""The command line: help, exit codes, and errors in one line without a traceback."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from peers.cli.main import invoke


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Runs a command that must be refused; returns the one line it says."""
    assert invoke(list(arguments)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("bazaar: ")
    assert said.err.count("\n") == 1
    return said.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run"], "bazaar run <host> <n>"),
        (["run", "localhost"], "number of peers is missing"),
        (["run", "localhost", "six"], "'six' is not a number"),
        (["run", "localhost", "1"], "2 peers or more"),
        (["run", "localhost", "0"], "cannot be started"),
        (["run", "localhost", "9999999"], "cannot be started"),
        (["run", "localhost", "-3"], "-3"),
        (["run", "no-such-host.invalid", "6"], "not a host that can be found"),
        (["run", "198.51.100.77", "6"], "not an address of this machine"),
        (["run", "localhost", "6", "--purchases", "none"], "--purchases"),
        (["run", "localhost", "6", "--duration", "-1"], "--duration"),
        (["run", "localhost", "6", "--set", "market.stock=x"], "market.stock"),
        (["run", "localhost", "6", "--mongo", "http://x"], "--mongo"),
        (["run", "localhost", "6", "--nameserver", "x"], "expected host:port"),
        (["run", "localhost", "6", "more"], "more"),
        (["run", "localhost", "6", "--peer-ports", f"1-{'9' * 5000}"], "--peer-ports"),
        (["run", "localhost", "6", "--roles", f"buyers={'9' * 18}"], "--roles"),
        (["run", "localhost", "6", "--nameserver", f"localhost:{'9' * 5000}"], "expected host:port"),
        (["simulate", "--seeds", f"1-{'9' * 5000}"], "--seeds"),
        (["simulate", "--seeds", f"1-{'9' * 19}"], "--seeds"),
        (["run", "localhost", "6", "--no-such-option"], "--no-such-option"),
        (["no-such-command"], "no-such-command"),
        (["status"], "no town runs in"),
        (["audit"], "no town has been in"),
        (["invite", "--out", "x"], "or --client NAME"),
        (["invite", "192.0.2.11", "--client", "anna", "--out", "x"], "takes no ADDRESS"),
        (["shop", "look", "--client", "no-such.pem"], "cannot be used"),
        (["shop", "look", "--client", "x.pem", "--name", "anna"], "leave it out"),
        (["shop", "quit"], "quit ends a prompt or a pipe"),
        (["shop", "EXIT"], "EXIT ends a prompt or a pipe"),
        (["shop", "q", "now"], "say: quit"),
        (["shop", ""], "no command ''"),
        (["shop", "# a comment"], "no command # a comment"),
        (["shop", "look", "--name", "../anna"], "--name: must be 1 to 64 of"),
    ],
)
def test_errors_of_the_user_are_one_line(
    arguments: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert says in refusal(capsys, *arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["shop", "buy", "fi\udcffsh"],
        ["shop", "look", "--name", "fi\udcffsh"],
        ["shop", "look", "--area", "fi\udcffsh"],
        ["run", "localhost", "6", "--mongo", "mongodb://fi\udcffsh"],
        ["run", "localhost", "6", "--dir", "fi\udcffsh"],
        ["audit", "--dir=fi\udcffsh"],
        ["fi\udcffsh"],
    ],
)
def test_bytes_that_are_no_utf_8_are_refused_in_whatever_is_said(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """So Python has a byte 0xff in arguments."""
    monkeypatch.chdir(tmp_path)
    said = refusal(capsys, *arguments)
    assert r"fi\xffsh is not UTF-8" in said
    assert "no town" not in said


@pytest.mark.parametrize("name", ["BAZAAR_MONGO", "BAZAAR_INVITE"])
def test_bytes_that_are_no_utf_8_are_refused_in_our_environment(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The value is not shown: it may have a password in it."""
    monkeypatch.setenv(name, "mongodb://me:secret@\udcff")
    said = refusal(capsys, "run", "localhost", "6", "--dir", str(tmp_path / "town"))
    assert f"{name} in the environment is not UTF-8" in said
    assert "secret" not in said
    assert not (tmp_path / "town").exists()


def test_a_directory_below_one_whose_name_is_no_utf_8_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "fi\udcffsh").mkdir()
    monkeypatch.chdir(tmp_path / "fi\udcffsh")
    assert r"fi\xffsh/.bazaar is not UTF-8; choose another" in refusal(capsys, "run", "localhost", "6")


@pytest.mark.parametrize("command", [["scene", "lamport-1"], ["demo", "failover"]])
def test_a_directory_that_a_scene_cannot_have_is_an_error_of_the_user(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for where in (tmp_path / "file", tmp_path / "file" / "town", tmp_path / ("t" * 300)):
        assert invoke([*command, "--dir", str(where)]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"bazaar: {where} cannot be used (")
        assert said.endswith("): choose another --dir\n")
    (tmp_path / "fi\udcffsh").mkdir()
    monkeypatch.chdir(tmp_path / "fi\udcffsh")
    assert r"fi\xffsh/town is not UTF-8; choose another" in refusal(capsys, *command, "--dir", "town")


def test_a_directory_that_cannot_be_made(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    where = tmp_path / "file" / "town"
    assert str(where) in refusal(capsys, "run", "localhost", "6", "--dir", str(where))


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_the_commands(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(arguments) == 0
    said = capsys.readouterr().out
    for command in ("run", "status", "audit"):
        assert command in said


@pytest.mark.parametrize("command", ["run", "status", "audit", "scene"])
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke([command, "--help"]) == 0
    said = capsys.readouterr().out
    assert "Examples" in said
    assert f"bazaar {command}" in said


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from peers.cli.main import invoke; invoke(['--help']); "
        "heavy = {'pymongo', 'Pyro5', 'networkx', 'matplotlib', 'numpy', 'pydantic'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [["bench", "--quick"], ["experiment", "sequential"], ["chaos", "--quick"]])
@pytest.mark.parametrize("missing", ["plots", "matplotlib"])
def test_what_an_installation_leaves_out_is_said_with_what_to_do(
    arguments: list[str],
    missing: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, missing, None)
    said = refusal(capsys, *arguments)
    assert f"({missing} missing)" in said
    assert (
        f"checkout of the project, where `bash run.sh --help` installs all of it: .venv/bin/bazaar {arguments[0]}"
        in said
    )
    assert list(tmp_path.iterdir()) == []


_HELD_IMPORT = """
import sys, time
from peers.cli.__main__ import main

class Hold:
    def find_spec(self, name, path, target=None):
        if name == "peers.cli.main":
            print("importing", flush=True)
            time.sleep(60)

sys.meta_path.insert(0, Hold())
main()
"""


def test_a_ctrl_c_while_the_program_is_still_imported_is_neither_a_traceback_nor_a_verdict() -> None:
    held = [sys.executable, "-c", _HELD_IMPORT, "settings"]
    with subprocess.Popen(held, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "importing\n"
        started.send_signal(signal.SIGINT)
        _, said = started.communicate(timeout=60)
    assert (started.returncode, said) == (130, "")


@pytest.mark.parametrize("why", [errno.ENOSPC, errno.EROFS, errno.EMFILE])
def test_what_the_machine_refuses_is_no_fault_of_the_program(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, why: int
) -> None:
    def refused() -> int:
        raise OSError(why, os.strerror(why), "some/file")

    monkeypatch.setattr("peers.cli.commands.settings.command", refused)
    assert invoke(["settings"]) == 2
    assert f"some/file: {os.strerror(why)}" in capsys.readouterr().err


_LONG_END = """
import signal, time
from peers.cli import main

def invoke(arguments):
    try:
        print("at work", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("ending", flush=True)
        input()
        print("ended", flush=True)
    return 130

signal.signal(signal.SIGHUP, signal.SIG_DFL)
main.invoke = invoke
main.main([])
"""


def test_a_second_hang_up_does_not_interrupt_what_a_command_does_at_its_end() -> None:
    """The shell hangs up its jobs when a window is closed, and then the kernel hangs up the terminal."""
    long = [sys.executable, "-c", _LONG_END]
    with subprocess.Popen(long, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        assert started.stdout is not None
        for said in (b"at work\n", b"ending\n"):
            assert started.stdout.readline() == said
            started.send_signal(signal.SIGHUP)
        rest, complaints = started.communicate(b"\n", timeout=60)
    assert (started.returncode, rest, complaints) == (130, b"ended\n", b"")
