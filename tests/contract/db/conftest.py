"""A set of three members for the tests that have one of them fall, hang or lag: one a file, a database per test."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator

import pytest

from db.schema.prepare import prepare
from tests.helpers.mongod_set import MongodSet


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongodSet]:
    """Three members."""
    directory = tmp_path_factory.mktemp("several")
    try:
        with MongodSet(directory, 3) as several:
            yield several
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def name(several: MongodSet) -> str:
    """The name of a database of its own, prepared while all members are in their places."""
    several.wait_until_complete()
    name = f"test_{uuid.uuid4().hex[:12]}"
    prepare(several.uri, name, timeout_s=15.0)
    return name
