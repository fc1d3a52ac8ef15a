"""What was given on the command line: nobody is to take the answer to one question for that to another."""

from __future__ import annotations

from typing import Any

import typer

from peers.errors import SettingsError

_NOT_GIVEN = ("DEFAULT", "DEFAULT_MAP")


def only_with(context: typer.Context, mode: str, *looked_at: str) -> None:
    """Raises SettingsError if anything was given that `mode` does not look at; `looked_at` are the names of the
    parameters that it does."""
    others = (each.name for each in context.command.params if each.name is not None)
    never_with(context, mode, *(name for name in others if name not in looked_at))


def never_with(context: typer.Context, mode: str, *passed_over: str) -> None:
    """Raises SettingsError if any of these parameters was given, which `mode` does not look at."""
    given = [
        _spelled(each) for each in context.command.params if each.name in passed_over and _is_given(context, each)
    ]
    if given:
        raise SettingsError(f"{mode} takes no {', '.join(given)}: leave that out")


def _is_given(context: typer.Context, parameter: Any) -> bool:
    source = context.get_parameter_source(parameter.name)
    # Of words that may be many, there may be none.
    return source is not None and source.name not in _NOT_GIVEN and context.params.get(parameter.name) not in ((), [])


def _spelled(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    return str(max(parameter.opts, key=len))
