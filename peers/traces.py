"""Where the trace of a fault of this program is kept, for whoever is to mend it."""

from __future__ import annotations

import os
import tempfile
import traceback

from peers.books_address import without_secrets


def keep_trace(error: BaseException) -> str:
    """Writes down where `error` came from, without passwords; returns words for the user on where that is."""
    trace = "".join(traceback.format_exception(error))
    try:
        handle, path = tempfile.mkstemp(prefix="bazaar-fault-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(without_secrets(trace))
    except OSError as refused:
        return f"what we would want to see of it could not be written either ({refused})"
    return f"please send us {path}"
