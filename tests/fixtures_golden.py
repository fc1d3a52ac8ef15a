"""Golden files: what a test says is compared with what a person has read; `--rewrite-golden` writes them anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"

Golden = Callable[[str, Iterable[str]], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-golden", action="store_true", help="write tests/golden anew instead of comparing")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compares lines with a golden file, or writes it."""

    def compare(name: str, lines: Iterable[str]) -> None:
        path = GOLDEN / f"{name}.txt"
        text = "".join(f"{line}\n" for line in lines)
        if request.config.getoption("--rewrite-golden"):
            path.write_text(text)
        assert path.exists(), f"{path} is missing; run pytest --rewrite-golden, and read it"
        assert text == path.read_text(), f"{path} differs; if it should, run pytest --rewrite-golden, and read it"

    return compare
