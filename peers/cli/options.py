"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DirOption = Annotated[
    Path, typer.Option("--dir", metavar="PATH", help="The town's directory.", show_default=True, file_okay=True)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
