"""Image references follow from their inputs and from whether a registry answers."""

from pathlib import Path

import pytest

from harness.images import ImageError, content_hash, plan

ALL = ("airflow", "syncer", "mocks", "redis", "git-origin", "gateway", "database")


def test_without_a_registry_every_image_is_built_from_the_offline_bases() -> None:
    recipes = plan(ALL, registry=False, database="stand-in")
    assert {k for k, r in recipes.items() if r.how == "built offline"} == {"debian", "airflow-base"}
    assert not [r for r in recipes.values() if r.how == "pulled"]


def test_with_a_registry_the_bases_and_cockroachdb_are_pulled() -> None:
    recipes = plan(ALL, registry=True, database="cockroachdb")
    pulled = {k for k, r in recipes.items() if r.how == "pulled"}
    assert pulled == {"debian", "airflow-base", "database"}
    assert recipes["airflow-base"].reference == "apache/airflow:3.3.2-python3.11"
    assert recipes["airflow"].how == "built"


def test_the_customized_image_has_one_recipe_on_both_bases() -> None:
    offline = plan(("airflow",), registry=False, database="stand-in")["airflow"]
    pulled = plan(("airflow",), registry=True, database="stand-in")["airflow"]
    assert offline.dockerfile == pulled.dockerfile == "airflow-image/Dockerfile"
    assert offline.reference != pulled.reference


def test_a_given_image_is_used_as_it_is_and_nothing_below_it_is_made() -> None:
    recipes = plan(("airflow",), registry=False, database="stand-in", given={"airflow": "team/airflow:7"})
    assert recipes["airflow"].reference == "team/airflow:7"
    assert list(recipes) == ["airflow"]


def test_the_hash_follows_names_bytes_and_modes_but_not_bytecode(tmp_path: Path) -> None:
    file = tmp_path / "d" / "f"
    file.parent.mkdir()
    file.write_text("one")

    def now() -> str:
        return content_hash(("d",), root=tmp_path)

    first = now()
    cache = tmp_path / "d" / "__pycache__" / "f.pyc"
    cache.parent.mkdir()
    cache.write_text("x")
    assert now() == first
    file.chmod(0o755)
    executable = now()
    file.write_text("two")
    assert len({first, executable, now()}) == 3


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="nowhere is missing"):
        content_hash(("nowhere",), root=tmp_path)
