"""Finds commands, runs one, and turns what goes wrong into one line and an exit code.

Exit codes: 0 all is well; 1 an invariant is violated; 2 it could not be done, or could not be told; 70 there is a
fault in the program; 130 it was told to end. That output could not be written changes none of them.
"""

from __future__ import annotations

import errno
import importlib
import os
import pkgutil
import signal
import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from peers.books_address import without_secrets
from peers.cli import commands
from peers.errors import BazaarError, SettingsError, ToldToEnd
from peers.output import forgive_output
from peers.text import escaped, is_text
from peers.traces import keep_trace

FAULT = 70
"""Exit code: there is a fault in the program (EX_SOFTWARE of sysexits.h)."""

_OF_THE_MACHINE = frozenset(
    (
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO),
        *(errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    )
)
"""What the machine refuses is no fault of the program, wherever it comes from."""

_OURS = "BAZAAR_"  # So the names of our variables in the environment begin.

_CONTEXT = {"help_option_names": ["-h", "--help"]}
_EPILOG = """Begin with: bazaar run localhost 6

Exit codes: 0 all is well, 1 an invariant is violated, 2 it could not be done or told (the reason is said), 70 a fault
in the program, 130 it was told to end. Output that cannot be written changes none of them."""


class _Commands(TyperGroup):
    """Imports a command only when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(commands.__path__))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"{commands.__name__}.{cmd_name.replace('-', '_')}")
        single = typer.Typer(add_completion=False, context_settings=_CONTEXT, rich_markup_mode="markdown")
        single.command(cmd_name, cls=TyperCommand, help=module.__doc__)(module.command)
        return typer.main.get_command(single)


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    context_settings=_CONTEXT,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    epilog=_EPILOG,
)


@app.callback()
def bazaar() -> None:
    """The trading post: a marketplace of peers that elect their trader, and survive it."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """The program `bazaar`."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        # These signals end a command as a Ctrl-C does, for it still has processes of its own to end. One that was
        # started to ignore them (by nohup, say) goes on doing so.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _hang_up if number == signal.SIGHUP else _end)
    # A shell has the background jobs of scripts ignore this one, which nobody means: by `kill -INT` they end a town.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    out, err = forgive_output()
    code = invoke(sys.argv[1:] if arguments is None else arguments)
    out.settle()
    if out.failure is not None and not out.is_reader_gone:
        _say(f"not all of the output could be written ({out.failure.strerror or out.failure})")
    err.settle()
    sys.exit(code)


def _end(_number: int, _frame: object) -> NoReturn:
    raise ToldToEnd


def _hang_up(_number: int, _frame: object) -> NoReturn:
    """Ends the command once: the shell and the kernel both hang up when a window is closed, and the second of these
    must not interrupt what the command does at its end."""
    signal.signal(signal.SIGHUP, lambda _number, _frame: None)
    raise ToldToEnd


def invoke(arguments: list[str]) -> int:
    """Runs one command; returns its exit code."""
    try:
        _check_text(arguments)
        group = typer.main.get_command(app)
        # `group.main` is avoided: it turns a broken pipe of any kind into exit code 1.
        with group.make_context("bazaar", arguments or ["--help"]) as context:
            code = group.invoke(context)
    except BazaarError as error:
        return _refuse(str(error))
    except typer.Exit as exit_:
        return exit_.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except OSError as error:
        return _refuse(_said_of(error)) if error.errno in _OF_THE_MACHINE else _confess(error)
    except Exception as error:  # noqa: BLE001 - whatever it was must not look like a verdict, nor like a traceback
        # The errors of a wrong command line come from the click inside typer, which has no public name:
        # `format_message` tells them apart.
        message = getattr(error, "format_message", None)
        return _refuse(message()) if message is not None else _confess(error)
    return code if isinstance(code, int) else 0


def _check_text(arguments: list[str]) -> None:
    """Raises SettingsError for bytes that are no text, in an argument or in a variable of ours."""
    for each in arguments:
        if not is_text(each):
            raise SettingsError(f"{escaped(each)} is not UTF-8: say it in that")
    for name, value in os.environ.items():
        if name.startswith(_OURS) and not is_text(value):
            raise SettingsError(f"{name} in the environment is not UTF-8: say it in that")


def _refuse(message: str) -> int:
    _say(message)
    return 2


def _said_of(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}; mend that, and try again"


def _confess(error: Exception) -> int:
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    _say(f"there is a fault in this program, not in what you did ({what}); {keep_trace(error)}")
    return FAULT


def _say(message: str) -> None:
    print(f"bazaar: {without_secrets(' '.join(message.split()))}", file=sys.stderr)
