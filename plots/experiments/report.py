"""All experiments in one HTML file that needs nothing else: figures are in it, and it prints well."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template

import msgspec

from peers.files import write_whole
from peers.version import program_version
from plots.results.experiments.kind import Findings, Kind, Table
from plots.results.experiments.record import Record

TITLE = "The trading post: experiments"
_TEMPLATE = Path(__file__).with_name("report.html")
_NUMBER = re.compile(r"[0-9.,]*( to [0-9.,]+)?")
_VERDICTS = {0: "all hold", 1: "VIOLATED", 2: "some could not tell"}


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment in the report: its record, figure and findings, or why it failed."""

    kind: Kind
    record: Record | None = None
    figure: Path | None = None
    findings: Findings | None = None
    failure: str = ""


def write_report(path: Path, sections: Sequence[Section]) -> None:
    """Writes the report; OSError if a figure cannot be read or the report not be written."""
    template = Template(_TEMPLATE.read_text(encoding="utf-8"))
    page = template.substitute(
        title=escape(TITLE),
        summary=_summary(sections),
        contents="\n".join(f'<li><a href="#{each.kind.name}">{escape(each.kind.name)}</a></li>' for each in sections),
        overview=_overview(sections),
        sections="\n".join(_section(each) for each in sections),
    )
    write_whole(path, page.encode())


def _summary(sections: Sequence[Section]) -> str:
    records = [each.record for each in sections if each.record is not None]
    towns = sum(len(record.audit_codes) for record in records)
    held = sum(code == 0 for record in records for code in record.audit_codes.values())
    seconds = sum(record.seconds for record in records)
    parts = [
        f"Version {program_version()}, on {records[0].machine}. {len(records)} experiments in {seconds / 60:.1f} "
        f"minutes; the audit of {held} of {towns} towns holds."
    ]
    if any(record.quick for record in records):
        parts.append("These were short runs (--quick), and their figures are rougher than those of full ones.")
    if any(record.is_disturbed for record in records):
        parts.append("Others used the machine meanwhile, so that the times are longer than they are alone.")
    return escape(" ".join(parts))


def _overview(sections: Iterable[Section]) -> str:
    """What earlier systems measured beside what we did, in one table."""
    rows = tuple(
        (beside.what, beside.theirs, beside.ours)
        for each in sections
        if each.findings is not None
        for beside in each.findings.beside
    )
    if not rows:
        return ""
    table = Table(title="Beside earlier systems", columns=("what", "theirs", "ours"), rows=rows)
    note = '<p class="small">Theirs were measured by their authors, on other machines.</p>'
    return f"{_table(table)}\n{note}"


def _section(section: Section) -> str:
    kind = section.kind
    parts = [f'<h2 id="{escape(kind.name)}">{escape(kind.name)}</h2>', f'<p class="about">{escape(kind.about)}</p>']
    if section.record is None or section.findings is None or section.figure is None:
        parts.append(f'<p class="bad">This experiment failed: {escape(section.failure)}.</p>')
        return "\n".join(parts)
    parts.append(f"<p>{escape(' '.join(section.findings.sentences))}</p>")
    if kind.beside:
        parts.append(f"<p>Beside it stands {_code(kind.beside)}.</p>")
    parts.append(f'<figure><img alt="{escape(kind.about)}" src="{_embedded(section.figure)}"></figure>')
    parts += [_table(table) for table in section.findings.tables]
    parts.append(_small_print(section.record))
    return "\n".join(parts)


def _small_print(record: Record) -> str:
    code = record.exit_code
    style = "small" if code == 0 else "bad"
    audits = f"Audits of {len(record.audit_codes)} towns: {_VERDICTS[code]}." if record.audit_codes else ""
    return f'<p class="{style}">{escape(f"{audits} {record.conditions}".strip())}</p>'


def _table(table: Table) -> str:
    """A table in which columns of numbers stand to the right, head and all, and text to the left."""
    columns = zip(*table.rows, strict=True)
    kinds = ["" if all(map(_NUMBER.fullmatch, column)) else ' class="text"' for column in columns]
    head = "".join(
        f'<th scope="col"{kind}>{escape(each)}</th>' for kind, each in zip(kinds, table.columns, strict=True)
    )
    body = "\n".join(f"<tr>{_cells(kinds, row)}</tr>" for row in table.rows)
    return (
        f"<h3>{escape(table.title)}</h3>\n"
        f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'
    )


def _cells(kinds: Sequence[str], row: Sequence[str]) -> str:
    return "".join(f"<td{kind}>{escape(each)}</td>" for kind, each in zip(kinds, row, strict=True))


def _code(text: str) -> str:
    """Text in which names stand between back quotes."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if place % 2 else piece for place, piece in enumerate(pieces))


def _embedded(figure: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(figure.read_bytes()).decode()}"
