"""Which boot of which machine this is: monotonic times are comparable between its processes, and with no others."""

from __future__ import annotations

import uuid
from functools import cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@cache
def boot() -> str:
    """Returns eight letters that the processes of one boot of one machine have in common. Where the system does not
    tell, they are this process's own, and its times are compared with its own only."""
    try:
        return _BOOT_ID.read_text().strip().replace("-", "")[:8]
    except OSError:
        return uuid.uuid4().hex[:8]
