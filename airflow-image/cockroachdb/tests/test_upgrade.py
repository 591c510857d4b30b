"""What an upgrade compares, what it remembers, and what it refuses to begin. Nothing here connects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from airflow_cockroachdb.upgrade import cli, report
from airflow_cockroachdb.upgrade.rows import Fingerprint, canonical
from airflow_cockroachdb.upgrade.state import Copied, State, StateError
from support import run_python

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
IDENTITY = {"source": "a", "target": "b"}


def fingerprint(*rows: tuple[Any, ...]) -> Fingerprint:
    found = Fingerprint()
    for row in rows:
        found = found.add(row, [False] * len(row))
    return found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (NOON, NOON.astimezone(timezone(timedelta(hours=2)))),
        (Decimal("1.50"), Decimal("1.5")),
        (memoryview(b"ab"), b"ab"),
    ],
)
def test_the_same_value_in_another_notation_is_the_same(one: Any, other: Any) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1, "b": [1.0, 1e3]}', '{"b":[1,1000],"a":1.00}'),
        ('"\\u00e9"', '"é"'),
        ("12345678901234567890", "12345678901234567890.0"),
    ],
)
def test_the_same_json_in_another_notation_is_the_same(one: str, other: str) -> None:
    assert canonical(one, is_json=True) == canonical(other, is_json=True)


@pytest.mark.parametrize(
    ("one", "other"),
    [('{"a": 1}', '{"a": "1"}'), ("[1, 2]", "[2, 1]"), ("null", "0"), ("true", '"true"'), ("{}", "[]")],
)
def test_other_json_is_not(one: str, other: str) -> None:
    assert canonical(one, is_json=True) != canonical(other, is_json=True)


def test_nothing_is_not_an_empty_text_nor_json_null() -> None:
    assert len({canonical(None), canonical(""), canonical("null", is_json=True)}) == 3


def test_the_order_of_rows_does_not_matter_but_their_values_do() -> None:
    assert fingerprint((1, "a"), (2, "b")) == fingerprint((2, "b"), (1, "a"))
    assert fingerprint((1, "a"), (2, "b")) != fingerprint((1, "b"), (2, "a"))
    assert fingerprint((1, "a")) != fingerprint((1, "a"), (1, "a"))
    assert fingerprint(("ab", "c")) != fingerprint(("a", "bc"))


def test_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    state = State.load(tmp_path, IDENTITY)
    state.out["log"] = Copied(Fingerprint(2, 7), {"id": False, "extra": True})
    state.left["session"] = 3
    state.finish("first")
    assert State.load(tmp_path, IDENTITY) == state


def test_the_state_of_another_upgrade_is_refused(tmp_path: Path) -> None:
    State.load(tmp_path, IDENTITY).finish("first")
    with pytest.raises(StateError, match="another target"):
        State.load(tmp_path, IDENTITY | {"target": "c"})


def test_the_report_accounts_for_every_table(tmp_path: Path) -> None:
    state = State.load(tmp_path, IDENTITY)
    state.out["log"] = state.copied["log"] = Copied(Fingerprint(2, 255), {})
    state.left["session"] = 3
    lines = [line.split() for line in report.text(state).splitlines()]
    assert ["log", "2", "2", "2", "00000000000000ff"] in lines
    assert ["session", "3"] in lines


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "--source, --scratch, --target is missing"),
        (["--source=a", "--scratch=cockroachdb://h/d", "--target=b"], "has to be PostgreSQL"),
        (
            ["--source=cockroachdb://u:hunter2@127.0.0.1:1/a", "--scratch=postgresql://h/d", "--target=b"],
            "cannot connect to the source database",
        ),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert cli.main([f"--folder={tmp_path / 'folder'}", *arguments]) == 1
    said = capsys.readouterr().err
    assert told in said
    assert "hunter2" not in said
    assert not (tmp_path / "folder").exists()


WIDE = """
import sqlalchemy as sa
from airflow_cockroachdb.upgrade import wide
from alembic.ddl.base import ColumnType
from sqlalchemy.dialects.postgresql.psycopg2 import dialect

wide.widen()
columns = (sa.Column("id", sa.Integer, primary_key=True), sa.Column("other", sa.Integer), sa.Column("s", sa.String))
table = sa.Table("t", sa.MetaData(), *columns)
print(sa.schema.CreateTable(table).compile(dialect=dialect()))
print(ColumnType("t", "other", sa.Integer()).compile(dialect=dialect()))
"""


def test_what_a_migration_makes_on_the_scratch_database_is_as_wide_as_on_cockroachdb() -> None:
    ran = run_python(WIDE)
    assert ran.returncode == 0, ran.stderr
    told = " ".join(ran.stdout.split())
    assert "id BIGSERIAL NOT NULL" in told
    assert "other BIGINT" in told
    assert "s VARCHAR" in told
    assert "ALTER COLUMN other TYPE BIGINT" in told
