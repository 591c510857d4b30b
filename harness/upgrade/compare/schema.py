"""What a migration changes in the metadata database: tables, columns and types."""

from __future__ import annotations

from collections.abc import Container, Iterator

from harness.upgrade.compare.common import lines
from harness.upgrade.facts import Facts
from harness.upgrade.findings import Finding, Severity

CHECK = "schema"

Columns = dict[str, str]


def compare(old: Facts, new: Facts) -> Iterator[Finding]:
    """Notes: content does not read the database. They tell what the migration has to do, and what is lost."""
    before, after = columns(old), columns(new)
    if old["schema"]["revision"] != new["schema"]["revision"]:
        yield Finding(
            Severity.NOTE,
            CHECK,
            "revision",
            f"{old['schema']['revision']} → {new['schema']['revision']}: the database is to be migrated",
            "Back it up, stop all components, run `airflow db migrate` (on CockroachDB: airflow-image/cockroachdb).",
        )
    tables_before, tables_after = old["schema"]["tables"].keys(), new["schema"]["tables"].keys()
    kept = {c for c in before.keys() & after.keys() if before[c] != after[c]}
    groups: tuple[tuple[str, dict[str, str], str], ...] = (
        ("new tables", {t: _count(new, t) for t in tables_after - tables_before}, ""),
        ("removed tables", {t: _count(old, t) for t in tables_before - tables_after}, "Their rows are lost."),
        ("new columns", _inside(after, before.keys(), tables_before), ""),
        ("removed columns", _inside(before, after.keys(), tables_after), "Their values are lost."),
        (
            "changed columns",
            {c: f"{before[c]} → {after[c]}" for c in kept},
            "Rewriting them takes time with many rows.",
        ),
    )
    for title, group, advice in groups:
        if group:
            yield Finding(Severity.NOTE, CHECK, title, str(len(group)), advice, detail=lines(group))


def columns(facts: Facts) -> Columns:
    """Types by ``table.column``."""
    return {f"{t}.{c}": kind for t, cs in facts["schema"]["tables"].items() for c, kind in cs.items()}


def _inside(of: Columns, without: Container[str], tables: Container[str]) -> dict[str, str]:
    """Columns that only one side has, in tables that both have."""
    return {c: kind for c, kind in of.items() if c not in without and c.partition(".")[0] in tables}


def _count(facts: Facts, table: str) -> str:
    return f"{len(facts['schema']['tables'][table])} columns"
