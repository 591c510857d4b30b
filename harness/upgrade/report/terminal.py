"""The assessment on the terminal: a table of what matters, and the verdict as the last line."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.upgrade.findings import Assessment, Finding, Severity, Verdict

COLOURS = {
    Severity.BREAKS: "red",
    Severity.UNKNOWN: "magenta",
    Severity.DEGRADES: "yellow",
    Severity.NOTE: "dim",
}
VERDICT_COLOURS = {Verdict.SURVIVES: "green", Verdict.DEGRADED: "yellow", Verdict.BREAKS: "red"}
DETAIL_LINES = 12
"""So many lines of a full error's end are shown; all of them with `verbose`."""


PLACES = 5
"""So many places are shown; the reports have all."""


def show(assessment: Assessment, console: Console, verbose: bool = False) -> None:
    """Print findings, check by check, then counts and the verdict. Details of notes only with `verbose`."""
    table = Table(title_justify="left", show_lines=True)
    table.add_column("check", max_width=20)
    table.add_column("")
    table.add_column("what it is, and what to do about it", overflow="fold", ratio=1)
    for check in assessment.checks:
        title = assessment.titles[check]
        for severity, text in _rows(assessment.of(check), verbose) or [("[green]nothing[/]", "")]:
            table.add_row(title, severity, text)
            title = ""
    console.print(table)
    for finding in assessment.findings:
        if finding.detail and (verbose or finding.severity is not Severity.NOTE):
            _detail(finding, console, verbose)
    if assessment.rows:
        console.print(_matrix(assessment))
    console.print(_summary(assessment))


def _matrix(assessment: Assessment) -> Table:
    """States by outcome: what each run in flight was in, and what became of it."""
    back = any(row.after_rollback for row in assessment.rows)
    table = Table(title="Runs in flight", title_justify="left")
    for name in (
        "state",
        "specimen",
        "not upgraded",
        "upgraded",
        *(("rolled back",) if back else ()),
        "verdict",
    ):
        table.add_column(name)
    for row in assessment.rows:
        mark = f"[{VERDICT_COLOURS.get(row.verdict, 'magenta')}]{row.verdict}[/]"
        cells = (row.state, row.specimen, row.control, row.upgraded, *((row.after_rollback,) if back else ()))
        table.add_row(*map(escape, cells), mark)
    return table


def _rows(found: tuple[Finding, ...], verbose: bool) -> list[tuple[str, str]]:
    """(severity, text): a row for each finding that matters, and one for all notes of a check."""
    matter = [f for f in found if f.severity is not Severity.NOTE]
    notes = [f for f in found if f.severity is Severity.NOTE]
    rows = [(_marked(f.severity), _text(f)) for f in matter]
    if notes and verbose:
        rows += [(_marked(Severity.NOTE), _text(f)) for f in notes]
    elif notes:
        rows.append(
            (_marked(Severity.NOTE), "\n".join(f"{escape(f.subject)}: {escape(f.reason)}" for f in notes))
        )
    return rows


def _marked(severity: Severity) -> str:
    return f"[{COLOURS[severity]}]{severity}[/]"


def _text(finding: Finding) -> str:
    parts = [f"[bold]{escape(finding.subject)}[/]: {escape(finding.reason)}"]
    if finding.where:
        more = f" and {len(finding.where) - PLACES} more" if len(finding.where) > PLACES else ""
        parts.append(f"[dim]{escape(', '.join(finding.where[:PLACES]))}{more}[/]")
    if finding.advice:
        parts.append(f"[bold]→[/] {escape(finding.advice)}")
    return "\n".join(parts)


def _detail(finding: Finding, console: Console, verbose: bool) -> None:
    lines = finding.detail.rstrip().splitlines()
    shown = lines if verbose else lines[-DETAIL_LINES:]
    console.print(f"\n[bold]{escape(finding.subject)}[/]: {escape(finding.reason)}")
    if len(shown) < len(lines):
        console.print(
            f"  ... {len(lines) - len(shown)} lines more, with --verbose or in the reports", style="dim"
        )
    for line in shown:
        console.print(f"  {line}", markup=False, soft_wrap=True)


def _summary(assessment: Assessment) -> str:
    counts = ", ".join(
        f"{sum(f.severity is severity for f in assessment.findings)} {severity}" for severity in Severity
    )
    verdict = assessment.verdict
    return (
        f"\n{assessment.content}, Airflow {assessment.old.airflow} → {assessment.new.airflow}: "
        f"[bold {VERDICT_COLOURS.get(verdict, 'magenta')}]{verdict}[/] "
        f"({counts}; {assessment.how}, {assessment.seconds:g} s)"
    )
