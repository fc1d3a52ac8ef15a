"""What all tests may ask for."""

from __future__ import annotations

pytest_plugins = ["tests.fixtures_golden", "tests.fixtures_mongo"]
