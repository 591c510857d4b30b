"""Which statements are risky on CockroachDB, why, and whether somebody has looked at them.

A finding is a rule, what the statement does, and to which table: coarse enough to be the same from run to run. The
reviewed ones are in `BASELINE`; a finding that is not there fails the audit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.paths import ROOT

BASELINE = ROOT / "tests" / "data" / "sql-audit.json"
"""Reviews, and the findings that each is about."""

PAGES = "https://www.cockroachlabs.com/docs/stable/"


@dataclass(frozen=True, slots=True)
class Rule:
    """What makes a statement risky: `pattern` in it, unless `unless` is in it too."""

    name: str
    pattern: str
    reason: str
    page: str
    unless: str = ""

    def matches(self, statement: str) -> bool:
        found = re.search(self.pattern, statement, re.IGNORECASE)
        return bool(found) and not (self.unless and re.search(self.unless, statement, re.IGNORECASE))


RULES: tuple[Rule, ...] = (
    Rule(
        "change of type",
        r"ALTER COLUMN \S+ (SET DATA )?TYPE",
        "not in transactions, not on indexed or checked columns",
        "alter-table#alter-column-data-types",
    ),
    Rule(
        "dropped constraint",
        r"DROP CONSTRAINT",
        "refused for UNIQUE, and for a primary key that is not replaced",
        "alter-table#drop-constraint",
    ),
    Rule(
        "schema change",
        r"^(CREATE|ALTER|DROP|TRUNCATE)\b",
        "commits the transaction it is in, and is not rolled back",
        "online-schema-changes#schema-changes-within-transactions",
    ),
    Rule(
        "PL/pgSQL",
        r"^(DO\b|CREATE (OR REPLACE )?FUNCTION)",
        "has no schema changes, PERFORM or EXECUTE",
        "plpgsql",
    ),
    Rule(
        "advisory lock",
        r"\bpg_(try_)?advisory_",
        "session-level ones do not exist, others only from v26.3 on",
        "functions-and-operators",
    ),
    Rule("table lock", r"^LOCK\b", "does not exist", "sql-grammar"),
    Rule(
        "skipped locks",
        r"SKIP LOCKED",
        "best effort under SERIALIZABLE; holds under READ COMMITTED",
        "select-for-update",
    ),
    Rule(
        "refused locks",
        r"\bNOWAIT\b",
        "best effort under SERIALIZABLE; holds under READ COMMITTED",
        "select-for-update",
    ),
    Rule(
        "weak lock",
        r"FOR (NO KEY UPDATE|KEY SHARE)",
        "is FOR UPDATE or FOR SHARE: others wait that would not on PostgreSQL",
        "select-for-update",
    ),
    Rule(
        "row lock",
        r"FOR UPDATE|FOR SHARE",
        "best effort under SERIALIZABLE; holds under READ COMMITTED",
        "select-for-update",
        unless=r"SKIP LOCKED|NOWAIT|NO KEY",
    ),
    Rule(
        "whole table",
        r"^(DELETE FROM|UPDATE) ",
        "one transaction over a whole table is slow and is retried often",
        "bulk-delete-data",
        unless=r"\bWHERE\b",
    ),
    Rule("sequence", r"\bnextval\b", "sequences are hot spots; cached ones are not", "create-sequence#cache"),
    Rule("order of NULLs", r"NULLS (FIRST|LAST)", "an index in the other order is not used", "order-by"),
    Rule(
        "timeout",
        r"SET (LOCAL )?(lock|statement)_timeout",
        "SET LOCAL lasts as long as the transaction, which a schema change ends",
        "session-variables",
    ),
    Rule("temporary table", r"CREATE (TEMP|TEMPORARY|UNLOGGED)\b", "experimental", "temporary-tables"),
    Rule("system column", r"\b(ctid|xmin|xmax)\b", "does not exist", "postgresql-compatibility"),
    Rule("notification", r"^(LISTEN|NOTIFY|UNLISTEN)\b", "does not exist", "postgresql-compatibility"),
    Rule(
        "MySQL or SQLite",
        r"timestampdiff|strftime\(|datetime\('",
        "written for another database",
        "functions-and-operators",
    ),
)
"""Reasons are from the pages below `PAGES`."""

VERB = re.compile(r"^\W*(\w+)")
TABLE = re.compile(
    r"\b(?:FROM|INTO|UPDATE|TABLE(?: IF (?:NOT )?EXISTS)?|ON|INDEX \S+ ON)\s+\"?(?:public\.)?(\w+)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A class of risky statements."""

    rule: str
    verb: str
    table: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.verb} {self.table}".rstrip()


def find(statements: Iterable[str]) -> dict[Finding, str]:
    """Each finding and the first statement that is one."""
    found: dict[Finding, str] = {}
    for statement in statements:
        text = " ".join(statement.split())
        verb = VERB.match(text)
        table = TABLE.search(text)
        for rule in RULES:
            if rule.matches(text):
                finding = Finding(
                    rule.name, verb[1].upper() if verb else "", table[1].lower() if table else ""
                )
                found.setdefault(finding, text)
    return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class Review:
    """What somebody made of a finding, and the page below `PAGES` that it rests on."""

    judgement: str
    page: str = ""


UNREVIEWED = Review("not reviewed")


def reviewed(path: Path = BASELINE) -> dict[str, Review]:
    """The baseline: finding (as text) to its review. Raises `FileNotFoundError`."""
    return {
        finding: Review(group["judgement"], group["page"])
        for group in json.loads(path.read_text())
        for finding in group["findings"]
    }


def unreviewed(found: Iterable[Finding], baseline: Mapping[str, Review]) -> list[Finding]:
    """Findings that nobody has reviewed."""
    return [finding for finding in found if baseline.get(str(finding), UNREVIEWED) == UNREVIEWED]


def update(found: Iterable[Finding], baseline: Mapping[str, Review], path: Path = BASELINE) -> None:
    """Add new findings to the baseline, to be reviewed by a person; what was reviewed stays."""
    groups: dict[Review, list[str]] = {}
    for finding, review in sorted(({str(f): UNREVIEWED for f in found} | dict(baseline)).items()):
        groups.setdefault(review, []).append(finding)
    lines = [
        {"judgement": review.judgement, "page": review.page, "findings": findings}
        for review, findings in groups.items()
    ]
    path.write_text(json.dumps(lines, indent=1, ensure_ascii=False) + "\n")


def rule(name: str) -> Rule:
    """The rule of that name; raises `StopIteration`."""
    return next(rule for rule in RULES if rule.name == name)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the audit of some statements came to."""

    statements: int
    found: Mapping[Finding, str]
    new: tuple[Finding, ...]
    """The findings that nobody has reviewed."""

    def lines(self) -> list[str]:
        """What to tell: the counts, then each new finding with what is risky about it and an example."""
        counts = f"{self.statements} classes of statements, {len(self.found)} risky ones, {len(self.new)} not reviewed"
        told = [f"sql-audit: {counts}"]
        for finding in self.new:
            broken = rule(finding.rule)
            told += [
                str(finding),
                f"  {broken.reason} ({PAGES}{broken.page})",
                f"  {self.found[finding][:300]}",
            ]
        if self.new:
            told.append(
                f"Review them in {BASELINE.relative_to(ROOT)}; `itest sql-audit --again --update` adds them there."
            )
        return told


def judge(statements: Sequence[str], baseline: Mapping[str, Review]) -> Verdict:
    """Audit classes of statements against a baseline."""
    found = find(statements)
    return Verdict(len(statements), found, tuple(unreviewed(found, baseline)))
