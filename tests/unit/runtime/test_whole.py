"""A process with `Wholeness` ends as a whole where it gets no memory, and says so by its exit code."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from peers.points import NO_MEMORY
from peers.runtime.whole import wants_memory

_BEGIN = """
import _thread, os, sys, threading, time
from peers.runtime.whole import Wholeness

def on_fault(error):
    print(repr(error), flush=True)
    os._exit(71)

Wholeness(on_fault)
"""


def outcome(program: str) -> subprocess.CompletedProcess[str]:
    """Runs it in a process of its own, which would live for a minute."""
    whole = _BEGIN + textwrap.dedent(program) + "\ntime.sleep(60)\n"
    return subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, timeout=40, check=False)


def test_a_thread_that_ends_for_want_of_memory_ends_the_process() -> None:
    done = outcome(
        """
        def starve():
            raise MemoryError("no more")
        threading.Thread(target=starve).start()
        """
    )
    assert (done.returncode, done.stdout) == (NO_MEMORY, "MemoryError('no more')\n")


def test_a_process_that_is_hardly_given_anything_more_ends_or_goes_on_whole() -> None:
    """The limits are real: threads are started until the kernel gives no stack for one."""
    done = outcome(
        """
        import resource
        has = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (has + (64 << 20), -1))
        def start_more():
            while True:
                threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        threading.Thread(target=start_more).start()
        """
    )
    assert done.returncode == 71, done.stdout + done.stderr
    assert "start new thread" in done.stdout or "MemoryError" in done.stdout


def test_a_thread_that_never_begins_is_missed() -> None:
    """Its starter waits for it for ever, so somebody else has to see that."""
    done = outcome(
        """
        threading.Thread._bootstrap = lambda thread: None  # As where its first piece of memory is refused.
        threading.Thread(target=print).start()
        """
    )
    assert (done.returncode, "never began" in done.stdout) == (NO_MEMORY, True)


@pytest.mark.parametrize(
    ("error", "wants"),
    [
        (MemoryError(), True),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("can't start new thread"), True),
        (RuntimeError("something else"), False),
        (OSError(28, "No space left on device"), False),
        (None, False),
    ],
)
def test_what_is_raised_for_want_of_memory(error: BaseException | None, wants: bool) -> None:
    assert wants_memory(error) is wants


def test_a_consequence_of_it_counts_too() -> None:
    consequence = ValueError("half made")
    consequence.__context__ = MemoryError()
    assert wants_memory(consequence)
