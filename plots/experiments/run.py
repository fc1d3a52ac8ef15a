"""Runs one experiment, or all of them: measures, keeps what it was like, draws. One that fails stops no other."""

from __future__ import annotations

import datetime
import multiprocessing
import os
import platform
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from peers.errors import BazaarError, SettingsError
from plots.experiments.estimate import Estimate
from plots.experiments.registry import EXPERIMENTS, Experiment
from plots.experiments.report import Section, write_report
from plots.measure.experiments.workshop import Workshop
from plots.results.experiments.kind import Options, Plan
from plots.results.experiments.record import RECORD, Record, read_record, worst, write_record

Progress = Callable[[str, float, float], None]
"""Told what is being done, which part of everything is done (0 to 1), and about how many seconds are left."""

REPORT = "report.html"


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run of all experiments."""

    report: Path
    exit_code: int
    failed: dict[str, str]  # By experiment that failed, why.


def run_one(experiment: Experiment, options: Options, out: Path, progress: Progress) -> Record:
    """Measures one experiment and draws it into `out`; SettingsError or TownError where that cannot be done."""
    plan = experiment.plan(options)
    teller = _Teller([(experiment, plan)], progress)
    record = _run(experiment, plan, options, out, teller)
    experiment.draw(out)
    return record


def run_all(options: Options, out: Path, progress: Progress) -> Done:
    """Measures every experiment, each into a folder of its name in `out`, and writes one report there.

    SettingsError for options that not all experiments take; then nothing is measured.
    """
    if options.peers or options.purchases or options.every or options.markets:
        raise SettingsError("all experiments together take no option but --out, --seed, --quick and --redraw")
    plans = [(experiment, experiment.plan(options)) for experiment in EXPERIMENTS.values()]
    teller = _Teller(plans, progress)
    failed: dict[str, str] = {}
    for experiment, plan in plans:
        try:
            _run(experiment, plan, options, out / experiment.name, teller)
        except BazaarError as error:
            failed[experiment.name] = str(error)
            teller.estimate.skip(experiment.name)
    return report_all(out, failed)


def report_all(out: Path, failed: dict[str, str] | None = None) -> Done:
    """Draws again all experiments that are in `out`, and writes the report; SettingsError if there is none."""
    failed = dict(failed or {})
    sections = []
    for name, experiment in EXPERIMENTS.items():
        folder = out / name
        if name in failed:
            sections.append(Section(kind=experiment.kind, failure=failed[name]))
            continue
        try:
            record, figure, findings = read_record(folder), experiment.draw(folder), experiment.find(folder)
        except SettingsError as error:
            failed[name] = str(error)
            sections.append(Section(kind=experiment.kind, failure=failed[name]))
        else:
            section = Section(kind=experiment.kind, record=record, figure=figure, findings=findings)
            sections.append(section)
    codes = [section.record.exit_code for section in sections if section.record is not None]
    if not codes:
        raise SettingsError(f"{out} holds no experiment ({next(iter(failed.values()))})")
    write_report(out / REPORT, sections)
    return Done(report=out / REPORT, exit_code=worst([*codes, *([2] if failed else [])]), failed=failed)


class _Teller:
    """Makes what is told of one step into what is told of all."""

    def __init__(self, plans: Iterable[tuple[Experiment, Plan]], progress: Progress) -> None:
        # Customers are processes of their own: what they import is imported once for all of them.
        multiprocessing.get_context("forkserver").set_forkserver_preload(["plots.measure.apparatus.customers"])
        self.estimate = Estimate((experiment.name, step) for experiment, plan in plans for step in plan.steps())
        self._progress = progress
        self._began_s = time.monotonic()
        self.load = round(os.getloadavg()[0], 1)  # What others did before we began to load the machine ourselves.

    def tell(self, experiment: str, title: str, part: float) -> None:
        self.estimate.note(experiment, title, part)
        left_s = self.estimate.left_s(time.monotonic() - self._began_s)
        self._progress(f"{experiment}: {title}", self.estimate.part, left_s)


def _run(experiment: Experiment, plan: Plan, options: Options, out: Path, teller: _Teller) -> Record:
    began_s = time.monotonic()
    began = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    shop = Workshop(out, options.seed, lambda title, part: teller.tell(experiment.name, title, part))
    (out / RECORD).unlink(missing_ok=True)  # Until all is measured, the data here are of no run in particular.
    experiment.measure(plan, shop)
    cores = os.cpu_count() or 1
    record = Record(
        experiment=experiment.name,
        plan=msgspec.to_builtins(plan),
        quick=options.quick,
        machine=f"{cores} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}",
        cores=cores,
        load=teller.load,
        began=began,
        seconds=round(time.monotonic() - began_s, 1),
        audit_codes=shop.audit_codes,
    )
    write_record(out, record)
    return record
