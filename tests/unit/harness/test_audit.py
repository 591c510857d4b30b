"""Which statements count as risky on CockroachDB, and that one nobody has reviewed is found."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import audit, pytest_plugin, statement_log


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("ALTER TABLE dag ALTER COLUMN x TYPE JSON", "change of type: ALTER dag"),
        ("ALTER TABLE job DROP CONSTRAINT job_pkey", "dropped constraint: ALTER job"),
        ("SELECT pg_advisory_lock($1)", "advisory lock: SELECT"),
        ("SELECT a FROM slot_pool FOR UPDATE NOWAIT", "refused locks: SELECT slot_pool"),
        ("SELECT a FROM dag_run FOR NO KEY UPDATE SKIP LOCKED", "skipped locks: SELECT dag_run"),
        ("DELETE FROM dag_tag", "whole table: DELETE dag_tag"),
        ("select nextval($1)", "sequence: SELECT"),
        ("DO $$ BEGIN END $$", "PL/pgSQL: DO"),
    ],
)
def test_a_risky_statement_is_found(statement: str, finding: str) -> None:
    assert finding in [str(found) for found in audit.find([statement])]


@pytest.mark.parametrize(
    "statement",
    ["SELECT $1", "DELETE FROM log WHERE id = $1", "INSERT INTO log (event) VALUES ($1)", "COMMIT"],
)
def test_an_ordinary_statement_is_not(statement: str) -> None:
    assert audit.find([statement]) == {}


def test_the_way_a_statement_is_laid_out_does_not_matter() -> None:
    assert audit.find(["DELETE\n  FROM dag_tag"]).keys() == audit.find(["DELETE FROM dag_tag"]).keys()


def test_a_new_finding_is_not_reviewed_until_somebody_says_so(tmp_path: Path) -> None:
    baseline = tmp_path / "baseline.json"
    found = audit.find(["DELETE FROM dag_tag", "SELECT pg_advisory_lock($1)"])
    reviewed = {"whole table: DELETE dag_tag": audit.Review("few rows", "bulk-delete-data")}
    assert [str(new) for new in audit.unreviewed(found, reviewed)] == ["advisory lock: SELECT"]
    audit.update(found, reviewed, baseline)
    updated = audit.reviewed(baseline)
    assert updated["whole table: DELETE dag_tag"] == audit.Review("few rows", "bulk-delete-data")
    assert [str(new) for new in audit.unreviewed(found, updated)] == ["advisory lock: SELECT"]


def test_every_finding_of_the_baseline_was_reviewed_and_has_a_rule() -> None:
    rules = {rule.name for rule in audit.RULES}
    for finding, review in audit.reviewed().items():
        assert finding.partition(":")[0] in rules, finding
        assert review != audit.UNREVIEWED, finding
        assert len(review.judgement) > 20, finding
        assert review.page, finding


def test_a_verdict_names_what_is_new_with_reason_page_and_an_example() -> None:
    verdict = audit.judge(["DELETE FROM dag_tag", "SELECT $1"], {})
    told = "\n".join(verdict.lines())
    assert "2 classes of statements, 1 risky ones, 1 not reviewed" in told
    assert "whole table: DELETE dag_tag" in told
    assert f"{audit.PAGES}bulk-delete-data" in told
    known = {str(finding): audit.Review("few rows") for finding in verdict.found}
    assert audit.judge(["DELETE FROM dag_tag"], known).lines() == [
        "sql-audit: 1 classes of statements, 1 risky ones, 0 not reviewed"
    ]


@pytest.mark.parametrize(
    ("statement", "before", "after"),
    [
        ("DELETE FROM nobodys_table", pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED),
        ("DELETE FROM nobodys_table", pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERRUPTED),
        ("SELECT $1", pytest.ExitCode.OK, pytest.ExitCode.OK),
    ],
)
def test_a_session_that_sent_something_new_and_risky_fails(
    statement: str, before: pytest.ExitCode, after: pytest.ExitCode
) -> None:
    config: Any = SimpleNamespace(stash=pytest.Stash())
    owned = pytest_plugin.Owned(config)
    owned.audited = audit.judge([statement], audit.reviewed())
    config.stash[pytest_plugin.OWNED] = owned
    session: Any = SimpleNamespace(config=config, exitstatus=before)
    pytest_plugin.pytest_sessionfinish(session)
    assert session.exitstatus == after


def test_statements_of_all_stacks_are_put_together(tmp_path: Path) -> None:
    statement_log.save(["b", "a"], tmp_path, "one")
    statement_log.save(["b", "c"], tmp_path, "two")
    assert statement_log.load(tmp_path) == ["a", "b", "c"]
