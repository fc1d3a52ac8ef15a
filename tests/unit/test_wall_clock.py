"""Who may look at the clock on the wall: a few modules that are named here, each with what it wants it for.

It may be set at any moment, forward or back. So whatever is measured, waited for, put in order or judged goes by the
monotonic clock, and the time of day is only written down and shown, or is what is meant: a certificate is valid until
a date.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(path for folder in ("db", "nameserver", "peers", "plots") for path in (ROOT / folder).rglob("*.py"))

MAY = {
    "peers/process_identity.py": "when a process began, where the kernel keeps that as it was",
    "peers/runtime/hosting/core_runner.py": "gives the core the time of day that it writes down",
    "peers/customer/customer.py": "the time of day in its journal, beside the monotonic one",
    "peers/customer/journals.py": "the same",
    "peers/runtime/faults/wall_clock.py": "a chaos town sets it",
    "peers/rpc/security/certificates.py": "a certificate is valid until a date",
    "peers/town/machines/arrival.py": "an invitation holds until a date",
    "peers/cli/commands/invite.py": "gives an invitation its date",
    "peers/town/machines/doctor.py": "says that a clock is wrong, or that a certificate will end",
    "peers/town/terminals/state_file.py": "shows since when a town has been there",
    "peers/town/terminals/joining.py": "shows since when a terminal has been there",
    "peers/town/processes/peer_processes.py": "shows when a peer ended",
    "peers/town/view/status.py": "shows how long ago that was",
    "peers/town/processes/lives.py": "lives are numbered from the time of day at which the terminal began",
    "peers/town/files/directory.py": "whether a file's date has changed at all",
    "db/clock.py": "what a server says of it, which a doctor compares with ours",
    "db/terminals.py": "the server's own: which terminals left word of late, for people",
    "plots/measure/apparatus/steady_clock.py": "sees that nobody sets it where the following compare it",
    "plots/measure/start.py": "compares it with a file's date, within one start",
    "plots/measure/lag.py": "compares the dates of entries with the time of day, in a run of some minutes",
    "plots/measure/experiments/response.py": "the same",
    "plots/measure/experiments/caches.py": "the same",
    "plots/measure/experiments/sequential.py": "the same",
    "plots/measure/stress.py": "makes ids that no run before had",
    "plots/measure/apparatus/prober.py": "the time of day in its journal",
    "plots/measure/apparatus/customers.py": "when each customer was told, beside the entries' dates",
    "plots/experiments/run.py": "says when a figure was made",
}
"""By module, what for. A module not named here is a question to be asked."""

ALWAYS = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today")}
ALWAYS |= {("date", "today"), ("path", "getmtime"), ("path", "getctime")}
OF_NOW = {("time", "localtime"), ("time", "gmtime"), ("time", "ctime")}
"""These look at the clock only where they are given no time."""
DATES = {"st_mtime", "st_mtime_ns", "st_ctime", "st_ctime_ns", "st_atime", "st_atime_ns", "create_time", "boot_time"}
NAMES = {"time_ns", "utcnow", "getmtime"}
OF_SERVERS = ("$$NOW", "$currentDate", "expireAfterSeconds", "localTime")


def looks(source: str) -> list[str]:
    """Names whatever in `source` looks at the clock on the wall."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if (owner, node.attr) in ALWAYS or node.attr in DATES:
                found.append(f"{owner}.{node.attr}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = getattr(node.func.value, "id", "")
            if (owner, node.func.attr) in OF_NOW and not node.args:
                found.append(f"{owner}.{node.func.attr}()")
        elif isinstance(node, ast.ImportFrom) and node.module in ("time", "os.path"):
            found += [alias.name for alias in node.names if alias.name in NAMES | {"time"}]
        elif isinstance(node, ast.Constant) and node.value in OF_SERVERS:
            found.append(str(node.value))
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_who_is_named_looks_at_the_clock_on_the_wall(module: Path) -> None:
    name = str(module.relative_to(ROOT))
    if name not in MAY:
        assert looks(module.read_text()) == []


def test_whoever_is_named_is_there_and_does() -> None:
    assert [name for name in MAY if not looks((ROOT / name).read_text())] == []


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.time()", "import time\nx = time.time_ns", "from time import time_ns",
        "from time import time",
        "import datetime\ndatetime.datetime.now()", "from datetime import datetime\ndatetime.utcnow()",
        "path.stat().st_mtime", "import os\nos.path.getmtime('x')", "time.localtime()", "{'$set': {'at': '$$NOW'}}",
        "psutil.Process().create_time()", "create_index('at', **{'expireAfterSeconds': 1})",
    ],
)  # fmt: skip
def test_a_look_would_be_seen(source: str) -> None:
    assert looks(source)


def test_the_monotonic_clock_is_free_to_all() -> None:
    assert looks("import time\ntime.monotonic()\ntime.perf_counter()\ntime.gmtime(5)") == []
