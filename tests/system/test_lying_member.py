"""A member of a town lies to its peers, with its own certificate, while they trade: it speaks for nobody else, kills
nobody, and trade goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.waiting import wait_until
from tests.system.helpers.town import bazaar
from tests.system.test_tls_town import HOST, THERE, bring, opened, run_town

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

LIES_S = 2


def test_a_member_that_lies_speaks_for_nobody_and_stops_nothing(tmp_path: Path) -> None:
    # The first trader stays until there are lies, so that it is not the liar itself that may tell of sales.
    brisk = (
        "--resign-after",
        "0",
        "--think-s",
        "0.02",
        "--set",
        "market.restock_probability=1",
        "--set",
        "market.period_s=1",
    )
    town = run_town(tmp_path, "town", HOST, "4", "--tls", *brisk)
    guest = None
    try:
        state = opened(town)
        bring(town.directory, tmp_path / "guest", "ca.pem", "ca.key")
        where = ("--nameserver", f"{HOST}:{state.nameserver_port}")
        guest = run_town(tmp_path, "guest", THERE, "1", "--tls", *where)
        guest.says("1 peer has joined")

        def peers() -> list[dict[str, object]]:
            status = bazaar("status", "--json", "--dir", town.directory)
            return list(json.loads(status.stdout)["peers"]) if status.returncode == 0 else []

        def all_five() -> list[dict[str, object]]:
            listed = peers()
            return listed if len(listed) == 5 and all(each["alive"] for each in listed) else []

        known = wait_until(all_five, "the guest is known")
        ours = [each for each in known if THERE in str(each["uri"])]
        before = {each["name"]: each["pid"] for each in known}
        program = [sys.executable, "-m", "tests.helpers.lying_member", str(tmp_path / "guest" / "tls"), HOST]
        lied = subprocess.run(
            [*program, str(state.nameserver_port), str(ours[0]["rank"]), str(LIES_S)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert lied.returncode == 0, lied.stderr
        found = json.loads(lied.stdout)
        taken = found.pop("lies taken in")
        print(f"{taken} lies were taken in in {LIES_S} s; {found}")
        assert taken > 10, "it was not refused what a member may say in its own name"
        for what in ("incarnation 2**64-1", "term 2**64-1"):
            assert set(found.pop(what)) == {"BadRequest"}, what
        assert set(found.pop("a link of nobody")) == {"PostClosed"}
        for what, got in found.items():
            assert set(got) == {"NotAllowed"}, (what, got, lied.stderr[-4000:])

        said = len(town.text)
        wait_until(lambda: town.text.count(" bought ", said) > 10, "trade goes on")
        after = wait_until(all_five, "all are there")
        assert {each["name"]: each["pid"] for each in after} == before
        guest.process.terminate()
        # Whose journals there are, the books say, whatever the liar says of its machine.
        assert guest.process.wait(60) == 0, guest.text
        town.process.terminate()
        assert town.process.wait(60) == 0, town.text
    finally:
        for running in (guest, town):
            if running is not None:
                running.kill()
