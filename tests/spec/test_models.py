"""The specification of the fence holds in all that small bounds allow, and each of its rules is worth its place."""

from __future__ import annotations

import pytest

from tests.spec.models import MODELS, RULES, SHORT, Broken
from tests.spec.tlc import missing, run_tlc

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def check(name: str) -> None:
    model = MODELS[name]
    run = run_tlc("Small", model.config())
    assert run.violated is None, run.output
    assert "Model checking completed. No error has been found." in run.output
    seen = {told[1] for told in run.told if told[0] == "seen"}
    assert seen == set(model.sights), "what was to be tried did not happen"
    print(f"{name}: {run.states:,} states")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SHORT)
def test_nothing_breaks_the_fence(name: str) -> None:
    check(name)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", [name for name in MODELS if name not in SHORT])
def test_nor_in_wider_bounds(name: str) -> None:
    check(name)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("broken", RULES, ids=lambda broken: broken.rule)
def test_a_broken_rule_is_found(broken: Broken) -> None:
    run = run_tlc("Small", broken.model.config(broken.rule), brief=True)
    assert run.violated in broken.found_by, run.output[-3000:]
