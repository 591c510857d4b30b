"""What is known of a stack is for its owner's eyes, survives its process, and is used by one session at a time."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness import records
from harness.catalog import build
from harness.images import plan
from harness.prepare import Options, Prepared
from harness.records import Record, fingerprint


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(records, "FOLDER", tmp_path / "stacks")
    return tmp_path / "stacks"


def record(stack: str, created: float = 0) -> Record:
    return Record(stack, "f", "default", "stand-in", "clean", "abc", created, created + 60)


def prepared(faithful: bool = False) -> Prepared:
    topology = build("default", "stand-in", faithful)
    recipes = plan(topology.images(), registry=False, database="stand-in")
    return Prepared(Options(faithful=faithful), topology, "stand-in", False, recipes)


def test_a_record_is_read_back_as_it_was_saved_and_changed() -> None:
    record("a").save().changed(condition="dirty", revision="def")
    found = records.load("a")
    assert found is not None
    assert (found.condition, found.revision, found.created) == ("dirty", "def", 0)


def test_records_are_listed_oldest_first_without_those_that_cannot_be_read(folder: Path) -> None:
    record("young", created=2).save()
    record("old", created=1).save()
    (folder / "broken").mkdir()
    (folder / "broken/stack.json").write_text("{")
    assert [r.stack for r in records.all_records()] == ["old", "young"]
    assert records.load("broken") is None
    assert records.load("missing") is None


def test_nobody_else_can_look_into_a_stacks_folder(folder: Path) -> None:
    record("a").save()
    assert (folder / "a").stat().st_mode & 0o077 == 0
    records.forget("a")
    assert not (folder / "a").exists()


def test_a_stack_is_used_by_one_at_a_time() -> None:
    with records.locked("a") as first:
        assert first
        with records.locked("a") as second, records.locked("b") as other:
            assert (second, other) == (False, True)
    with records.locked("a") as again:
        assert again


def test_only_what_is_made_from_the_very_same_fits() -> None:
    same = fingerprint(prepared())
    assert fingerprint(prepared()) == same
    assert fingerprint(prepared(faithful=True)) != same, "other settings"
    other = prepared()
    airflow = replace(other.recipes["airflow"], reference="team/airflow:7")
    assert fingerprint(replace(other, recipes={**other.recipes, "airflow": airflow})) != same, "another image"
