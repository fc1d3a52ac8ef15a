"""All settings as rows: for `bazaar settings`, and for the table that the documentation shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

import msgspec
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from peers.core.settings import Settings
from peers.town.plan.presets import Preset, find_preset, preset_names

_SIGNS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))


class SettingRow(msgspec.Struct, frozen=True, kw_only=True):
    """One setting: `name` as `--set` takes it, its value, what values it may have (with the unit), what it does."""

    name: str
    value: str
    allowed: str
    sentence: str


def setting_rows(settings: Settings) -> list[SettingRow]:
    """Returns a row for each setting, with the values of `settings`, in the order in which they are declared."""
    return list(_rows(settings, ""))


def print_settings(rows: list[SettingRow], preset: Preset | None) -> None:
    """Shows these rows, which are all settings, or those that a market sets."""
    out = Console(highlight=False)
    if preset is not None:
        out.print(f"[bold]{preset.name}[/bold]: {preset.about}; besides what is usual it has")
    for row in rows:
        out.print(f"[bold]{row.name}[/bold] = {escape(row.value)}  [dim]{row.allowed}[/dim]")
        out.print(Padding(escape(row.sentence), (0, 0, 0, 4)))
    if preset is None:
        out.print("\nMarkets, each a set of these (`bazaar run <host> <n> --market NAME`, `bazaar settings NAME`):")
        for name in preset_names():
            out.print(f"[bold]{name}[/bold]  {find_preset(name).about}")


def markdown_table(rows: list[SettingRow]) -> str:
    """Returns the rows as a table in Markdown."""
    lines = ["| setting | default | may be | what it does |", "| --- | --- | --- | --- |"]
    lines += [f"| `{row.name}` | {row.value} | {row.allowed} | {row.sentence} |" for row in rows]
    return "\n".join(lines) + "\n"


def _rows(group: BaseModel, prefix: str) -> Iterator[SettingRow]:
    for name, field in type(group).model_fields.items():
        value = getattr(group, name)
        if isinstance(value, BaseModel):
            yield from _rows(value, f"{prefix}{name}.")
        else:
            yield SettingRow(
                name=f"{prefix}{name}",
                value=_shown(value),
                allowed=_allowed(name, field),
                sentence=" ".join((field.description or "").split()),
            )


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _allowed(name: str, field: FieldInfo) -> str:
    if field.annotation is bool:
        return "true, false"
    choices = get_args(field.annotation)
    if choices and all(isinstance(choice, str) for choice in choices):
        return ", ".join(choices)
    if get_origin(field.annotation) is tuple:
        return "names, with commas"
    found = [(sign, getattr(each, bound, None)) for each in field.metadata for bound, sign in _SIGNS]
    bounds = [f"{sign} {limit:,.10g}" for sign, limit in found if limit is not None]
    unit = " s" if name.endswith("_s") else ""
    return ", ".join(f"{bound}{unit}" for bound in bounds)
