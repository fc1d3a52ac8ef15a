"""Public functions say which errors they raise: each that a body raises is named in the docstring of its function.

It is a rule of ours, for linters know errors only in sections of their own, and we say them in the sentence that says
when. An error that is raised and caught in the same function, and one that is raised again, need not be said.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path
    for folder in ("db", "nameserver", "peers", "plots")
    for path in (ROOT / folder).rglob("*.py")
    if path.parent.name != "commands"  # Theirs is the help that people read; what they raise ends in exit code 2.
)

OF_PROGRAMMERS = {"AssertionError", "NotImplementedError", "TypeError"}
"""Raised where a caller has broken the types; a checker of types says so before."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def unsaid(source: str) -> list[str]:
    """Returns `function: error` for whatever a public function raises and does not say."""
    return [
        f"{function.name}: {error}"
        for function in _public(ast.parse(source).body)
        for error in sorted(_raised(function))
        if error not in OF_PROGRAMMERS and error not in (ast.get_docstring(function) or "")
    ]


def _public(body: list[ast.stmt]) -> Iterator[Function]:
    for node in body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _public(node.body)


def _raised(function: Function) -> set[str]:
    caught = {
        name
        for node in ast.walk(function)
        if isinstance(node, ast.ExceptHandler) and node.type is not None
        for name in _names(node.type)
    }
    raised = {
        name
        for node in _own(function)
        if isinstance(node, ast.Raise) and node.exc is not None
        for name in _names(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
        if name[0].isupper()
    }
    return raised - caught


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """What stands in a function itself, not in one that is defined in it."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, Function | ast.Lambda | ast.ClassDef):
            yield from _own(child)


def _names(node: ast.expr) -> set[str]:
    if isinstance(node, ast.Tuple):
        return set().union(*map(_names, node.elts))
    if isinstance(node, ast.Attribute):
        return {node.attr}
    return {node.id} if isinstance(node, ast.Name) else set()


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_functions_say_what_they_raise(module: Path) -> None:
    assert unsaid(module.read_text()) == []


def test_an_error_that_is_not_said_would_be_seen() -> None:
    assert unsaid('def read(path):\n    """Reads."""\n    raise TownError("gone")') == ["read: TownError"]
    assert unsaid('def read(path):\n    """Reads; TownError if it is gone."""\n    raise TownError("gone")') == []
