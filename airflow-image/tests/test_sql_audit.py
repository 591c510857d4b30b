"""What a fresh migration sends holds nothing that is risky on CockroachDB and that nobody has reviewed.

The half of `itest sql-audit` that needs no mirror; the other half is what the integration tests send.
"""

from __future__ import annotations

import pytest

from harness import audit, migrations
from harness.prepare import Prepared

pytestmark = pytest.mark.itest


def test_every_risky_statement_of_a_migration_was_reviewed(
    prepared: Prepared, capsys: pytest.CaptureFixture[str]
) -> None:
    if prepared.database != "stand-in":
        pytest.skip("the stand-in records statements")
    statements = migrations.statements(prepared)
    found = audit.find(statements)
    with capsys.disabled():
        print(f"\nsql-audit of a migration: {len(statements)} classes of statements, {len(found)} risky ones")
    assert len(statements) > 100
    assert [f"{f}: {found[f]}" for f in audit.unreviewed(found, audit.reviewed())] == []
