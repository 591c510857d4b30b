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


def show(assessment: Assessment, console: Console, verbose: bool = False) -> None:
    """Print findings, check by check, then counts and the verdict. Details of notes only with `verbose`."""
    table = Table("check", "", "what", "why, and what to do", title_justify="left", show_lines=True)
    for check in assessment.checks:
        found = assessment.of(check)
        if not found:
            table.add_row(assessment.titles[check], "[green]nothing[/]", "", "")
        for place, finding in enumerate(found):
            title = assessment.titles[check] if place == 0 else ""
            colour = COLOURS[finding.severity]
            table.add_row(title, f"[{colour}]{finding.severity}[/]", escape(finding.subject), _text(finding))
    console.print(table)
    for finding in assessment.findings:
        if finding.detail and (verbose or finding.severity is not Severity.NOTE):
            _detail(finding, console, verbose)
    console.print(_summary(assessment))


def _text(finding: Finding) -> str:
    parts = [escape(finding.reason)]
    if finding.where:
        parts.append(f"[dim]{escape(', '.join(finding.where))}[/]")
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
        f"({counts}; static checks, {assessment.seconds:g} s)"
    )
