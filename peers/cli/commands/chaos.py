"""Break a town of real processes while customers trade, then judge it.

Every few seconds something happens, drawn from the seed: the trader or others are killed, stopped, slowed, held, cut
off, made to resign; wires delay, lose, reorder, jam and forget; clocks are set; disks fill, fail and slow down;
memory is short; mongod and name server die; members of a set are cut apart; peers join, leave and come back. The
town's timings are drawn from the seed, too. In the end all is healed, and the audit says whether anything was lost,
doubled or invented. Exit code 0: holds; 1: violated; 2: could not tell, as when there was too little traffic.

DIR is left with plan.json, history.jsonl, verdict.txt, verdict.json and figure.png.

Faults: kill (-trader, -peer, -two), stop (-trader, -peer), slow (-trader, -peer), resign, cut (-trader, -peer,
-database, -customers, -nameserver, split), wire (delay, loss, reorder, reset, half-open, slow-wire, jam), crash (-at,
-taking-office), hang (-trader, -peer), clock (set-clock), disk (full-disk, bad-disk, slow-disk, mongod-full-disk,
mongod-bad-disk, mongod-slow-disk), memory (squeeze-trader, squeeze-peer), mongod (kill-mongod, stop-mongod,
step-down, kill-member, stop-member), members (cut-primary, cut-member, cut-members), nameserver, join, come-back,
leave. Members, kill-member and stop-member are for a database of several: `--replicas 3`. Come-back alone never comes
up, for somebody must have gone first.

**Examples**

- `bazaar chaos`
- `bazaar chaos --duration 600 --peers 9 --seed 7 --out /tmp/chaos`
- `bazaar chaos --faults kill,stop --quick`
- `bazaar chaos --faults wire,cut`
- `bazaar chaos --faults disk,memory`
- `bazaar chaos --replicas 3 --faults mongod,members --duration 240`
"""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from peers.cli.given import never_with
from peers.cli.optional_parts import check_there
from peers.cli.options import ClockOption, GraphOption, JsonOption, RunElectionOption, SetOption, changes_of
from peers.errors import BazaarError
from peers.traces import keep_trace

_QUICK_S = 30.0
"""What `--quick` means; `--duration` is the setting."""


def command(
    context: typer.Context,
    duration: Annotated[float, typer.Option(metavar="S", help="Seconds of chaos.")] = 60.0,
    peers: Annotated[int, typer.Option(metavar="N", help="Peers the town begins with.")] = 6,
    seed: Annotated[int | None, typer.Option(help="Draws the plan of faults; random if none is given.")] = None,
    election: RunElectionOption = None,
    clock: ClockOption = None,
    graph: GraphOption = None,
    set_: SetOption = None,
    faults: Annotated[str | None, typer.Option(metavar="KIND,…", help="Which faults: kill,stop,cut,… (all).")] = None,
    replicas: Annotated[
        int, typer.Option(metavar="N", help="Members of its database; faults of mongod hit the primary.")
    ] = 1,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where history, verdict and figure go.")] = Path(
        "out/chaos"
    ),
    directory: Annotated[
        Path | None, typer.Option("--dir", metavar="PATH", help="The town's directory, emptied before; OUT/town.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Half a minute, to see whether it works.")] = False,
    as_json: JsonOption = False,
) -> int:
    if quick:
        never_with(context, "--quick, half a minute,", "duration")
    check_there("chaos")  # What draws is needed only at the end, when the run would be lost without it.
    import random

    import msgspec

    from peers.chaos.kinds import choose_kinds
    from peers.chaos.options import ChaosOptions
    from peers.chaos.progress import Show
    from peers.chaos.run import run_chaos
    from peers.chaos.verdict import as_text

    options = ChaosOptions(
        duration_s=_QUICK_S if quick else duration,
        peers=peers,
        seed=seed if seed is not None else random.SystemRandom().getrandbits(31),
        kinds=choose_kinds(faults, replicas=replicas),
        changes=changes_of(set_ or (), election=election, clock=clock, graph=graph),
        replicas=replicas,
        out=out,
        directory=directory,
    )
    with Show(options.duration_s) as show:
        verdict = run_chaos(options, show)
    if verdict is None:
        return 130
    # The verdict is said before the figure is drawn, and stays what it is whatever becomes of that.
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(verdict), indent=2).decode(), flush=True)
    else:
        print("\n".join(as_text(verdict)), flush=True)
    figure = _drawn(out)
    if figure is not None and not as_json:
        print(f"figure: {figure}")
    return verdict.exit_code


def _drawn(out: Path) -> Path | None:
    """Draws the run that is in `out`; returns where the figure is, None if it could not be drawn, which is said."""
    try:
        # Imported only now, for it takes processors that the town would have missed.
        from plots.draw.chaos import draw_saved

        (figure,) = draw_saved(out)
    except (BazaarError, OSError) as error:
        why = str(error)
    except Exception as error:  # noqa: BLE001 - a fault of what draws must not pass for the answer of the run
        why = f"{type(error).__name__}: {error}; {keep_trace(error)}"
    else:
        return figure
    print(
        f"bazaar: the figure could not be drawn ({why}); try python -m plots.draw {quote(str(out))}", file=sys.stderr
    )
    return None
