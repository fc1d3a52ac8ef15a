"""Finds commands, runs one, and turns what goes wrong into one line and an exit code.

Exit codes: 0 all is well; 1 an invariant is violated; 2 it could not be done, or could not be told; 130 it was told
to end.
"""

from __future__ import annotations

import importlib
import pkgutil
import signal
import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from peers.cli import commands
from peers.errors import BazaarError

_CONTEXT = {"help_option_names": ["-h", "--help"]}
_EPILOG = "Begin with: bazaar run localhost 6"


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
        single.command(cmd_name, cls=TyperCommand)(module.command)
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
        # As a Ctrl-C: whoever is told to end still has processes to end. One told to survive its terminal does.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    sys.exit(invoke(sys.argv[1:] if arguments is None else arguments))


def invoke(arguments: list[str]) -> int:
    """Runs one command; returns its exit code."""
    group = typer.main.get_command(app)
    try:
        code = group.main(args=arguments or ["--help"], prog_name="bazaar", standalone_mode=False)
    except BazaarError as error:
        return _refuse(str(error))
    except typer.Exit as exit_:
        return exit_.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        # Whoever read our output has had enough; Python must not complain about it at its exit.
        sys.stdout = None
        return 0
    except Exception as error:
        # typer carries click inside; its usage errors are known by what they can do.
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        return _refuse(" ".join(message().split()))
    return code if isinstance(code, int) else 0


def _refuse(message: str) -> int:
    print(f"bazaar: {' '.join(message.split())}", file=sys.stderr)
    return 2
