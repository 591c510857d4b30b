"""What an upgrade would change, finding by finding, and the verdict over all of them. Pure data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters. Only a `NOTE` leaves the verdict alone."""

    BREAKS = "breaks"
    """Something that worked on the old image does not on the new one."""
    UNKNOWN = "unknown"
    """Something could not be looked at, so it may hide anything."""
    DEGRADES = "degrades"
    """It still works, but otherwise than before, or by a way that is going to be closed."""
    NOTE = "note"
    """A difference that content, settings and stored state do not depend on as far as one can see."""


class Verdict(StrEnum):
    """What the findings add up to."""

    SURVIVES = "survives"
    DEGRADED = "degraded"
    BREAKS = "breaks"
    UNKNOWN = "could not be determined"


CHECKS: dict[str, str] = {
    "dependencies": "Dependencies",
    "providers": "Providers' classes that content uses",
    "imports": "Content's imports",
    "dags": "DAG import",
    "air-rules": "ruff's AIR rules",
    "configuration": "Configuration keys",
    "deprecations": "Deprecations",
    "triggers": "Stored triggers",
    "schema": "Metadata schema",
}
"""Static checks, in the order of reports, with their titles."""

LIVE_CHECKS: dict[str, str] = {
    "migration": "Migration of the database",
    "start": "Start of the new image",
    "runs": "Runs in flight",
    "history": "What had ended before",
    "rollback": "The way back",
}
"""Checks of the rehearsal."""

EXIT_CODES: dict[Verdict, int] = {Verdict.SURVIVES: 0, Verdict.BREAKS: 2, Verdict.UNKNOWN: 3}

ORDER = {severity: place for place, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. `subject` names what it is about, `reason` what is the matter, `advice` what to do about it.

    `where` are places in content, such as ``dags/x.py:12``; `detail` is a full error or a list, of many lines.
    """

    severity: Severity
    check: str
    subject: str
    reason: str
    advice: str = ""
    where: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two images: what was asked for, and what it is."""

    asked: str
    image: str
    image_id: str
    airflow: str
    python: str


@dataclass(frozen=True, slots=True)
class Row:
    """A specimen of the rehearsal: the state it was in, how its control ended, how it ended itself, and what that adds
    up to; `after_rollback` is how it ended when it was brought back to the old version, where that was rehearsed."""

    specimen: str
    state: str
    control: str
    upgraded: str
    verdict: Verdict
    after_rollback: str = ""


@dataclass(frozen=True, slots=True)
class Assessment:
    """An upgrade that was looked at. `checks` are the names of all checks that were made, with findings or without.
    `rows` are the rehearsal's, if there was one, and `how` says how it was made."""

    old: Side
    new: Side
    content: str
    findings: tuple[Finding, ...]
    checks: tuple[str, ...] = tuple(CHECKS)
    seconds: float = 0
    titles: dict[str, str] = field(default_factory=lambda: CHECKS | LIVE_CHECKS)
    rows: tuple[Row, ...] = ()
    how: str = "static checks"

    @property
    def verdict(self) -> Verdict:
        return verdict(self.findings)

    def of(self, check: str) -> tuple[Finding, ...]:
        """The findings of one check, the worst first."""
        return tuple(ordered(f for f in self.findings if f.check == check))


def verdict(findings: Iterable[Finding]) -> Verdict:
    """The worst finding decides; what could not be looked at is worse than what is known to degrade only."""
    present = {finding.severity for finding in findings}
    for severity, found in (
        (Severity.BREAKS, Verdict.BREAKS),
        (Severity.UNKNOWN, Verdict.UNKNOWN),
        (Severity.DEGRADES, Verdict.DEGRADED),
    ):
        if severity in present:
            return found
    return Verdict.SURVIVES


def exit_code(found: Verdict, strict: bool) -> int:
    """0 survives (or is degraded, unless `strict`), 1 degraded, 2 breaks, 3 could not be determined."""
    return int(strict) if found is Verdict.DEGRADED else EXIT_CODES[found]


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first; equals by check and subject."""
    return sorted(findings, key=lambda f: (ORDER[f.severity], f.check, f.subject, f.reason))
