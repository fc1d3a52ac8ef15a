"""What journals are called when they are asked for, and which there are: for who hands them out, and who copies."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from db.audit.journals import AREAS, SUFFIX, end_of_lines, journal_path
from peers.errors import BadRequest

JOURNALS_OBJECT = "bazaar.journals"
"""The name under which a name server also hands out journals."""

PIECE = 512 * 1024
LONGEST_LINE = 4 * 1024 * 1024
"""No settings: a piece takes the name server a few milliseconds, in which it answers nobody else."""

_TERMINAL = re.compile(r"[0-9a-f]{32}")
_AREA = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9-]{0,31})?")
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def check_names(terminal: object, area: object, name: object) -> None:
    """Raises BadRequest for names that no terminal, area or journal has: what passes is part of no other path."""
    for field, value, allowed in (("terminal", terminal, _TERMINAL), ("area", area, _AREA), ("name", name, _NAME)):
        if not isinstance(value, str) or allowed.fullmatch(value) is None:
            raise BadRequest(field=field, why=f"expected one that the index lists, not {str(value)[:80]!r}")


def listed(folder: Path) -> list[tuple[str, str, int]]:
    """Returns the journals below `folder`, of all areas: area, name, and how many bytes of whole lines. Those that
    cannot be read are left out."""
    found = []
    areas = [each.name for each in sorted((folder / AREAS).glob("*"))]
    for area in ("", *areas):
        for path in sorted(journal_path(folder, area, "").parent.glob(f"*{SUFFIX}")):
            name = path.name.removesuffix(SUFFIX)
            if _AREA.fullmatch(area) and _NAME.fullmatch(name):
                size = _size_of(path)
                if size is not None:
                    found.append((area, name, size))
    return found


def is_terminal(name: str) -> bool:
    """Whether a terminal may be called that."""
    return _TERMINAL.fullmatch(name) is not None


def _size_of(path: Path) -> int | None:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(file, "rb") as journal:
            return end_of_lines(journal) if stat.S_ISREG(os.fstat(file).st_mode) else None
    except OSError:
        return None
