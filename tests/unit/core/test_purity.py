"""The core is pure: it reads no clock, draws no luck of its own, touches no network, file, thread or database."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import peers.core

CORE = Path(peers.core.__file__).parent
MODULES = sorted(CORE.rglob("*.py"))

ALLOWED = {
    "__future__", "bisect", "collections", "decimal", "enum", "functools", "heapq", "itertools", "math", "operator",
    "random", "re", "typing", "zlib", "msgspec", "peers", "pydantic",
}  # fmt: skip
"""A module not named here is a question to be asked, not a habit to be kept."""

OF_OURS = ("peers.core", "peers.errors")
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__", "breakpoint"}


def impurities(source: str) -> list[str]:
    """Names whatever makes `source` depend on more than its inputs."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if not _is_allowed(a.name) or a.name.split(".")[0] == "random"]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = {a.name for a in node.names}
            if node.level or not _is_allowed(module) or (module == "random" and names != {"Random"}):
                found.append(f"from {module} import {', '.join(sorted(names))}")
        elif isinstance(node, ast.Call):
            found += _impure_call(node)
    return found


def _is_allowed(module: str) -> bool:
    if module.split(".")[0] == "peers":
        return any(module == ours or module.startswith(f"{ours}.") for ours in OF_OURS)
    return module.split(".")[0] in ALLOWED


def _impure_call(call: ast.Call) -> list[str]:
    if isinstance(call.func, ast.Name):
        if call.func.id in IMPURE_CALLS:
            return [call.func.id]
        if call.func.id == "Random" and not call.args:
            return ["Random() without a seed"]
    return []


def test_there_is_a_core() -> None:
    assert len(MODULES) > 20


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(CORE)))
def test_a_module_of_the_core_is_pure(module: Path) -> None:
    assert impurities(module.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import Pyro5.api", "import pymongo", "import socket", "import threading", "import time", "import asyncio",
        "import os", "import random", "import datetime", "import secrets", "import uuid", "import numpy.random",
        "from random import random", "from random import Random, choice", "from datetime import datetime",
        "from time import monotonic", "from os import path", "from db.ledger.memory import MemoryLedger",
        "import nameserver.client", "from plots import style", "from peers.runtime.links.links import Links",
        "import peers.cli",
        "from peers import host", "from . import graph", "def f():\n    import time", "open('x')", "print('x')",
        "from random import Random\nRandom()",
    ],
)  # fmt: skip
def test_an_impurity_would_be_seen(source: str) -> None:
    assert impurities(source)


def test_what_the_core_needs_is_no_impurity() -> None:
    assert (
        impurities(
            "from random import Random\nfrom peers.core.membership.overlay_graph import build_graph\nRandom(1)"
        )
        == []
    )
