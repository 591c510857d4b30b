"""When the fixes are installed, in a whole Airflow."""

from __future__ import annotations

import importlib

import airflow  # noqa: F401  (installs the fixes, as every process of Airflow does)
import pytest
from airflow_cockroachdb.fix import Fix, UnsupportedAirflow
from airflow_cockroachdb.fixes import ALL
from airflow_cockroachdb.install import install_if_needed
from support import AIRFLOW, run_python

ASK = "import airflow, airflow.utils.sqlalchemy as u; print(hasattr(u.nulls_first, '__wrapped__'))"


@pytest.mark.parametrize("fix", [fix for fix in ALL if fix.is_for(AIRFLOW)], ids=lambda fix: fix.name)
def test_every_fix_fits_this_airflow(fix: Fix) -> None:
    importlib.import_module(fix.module)


def test_names_are_unique() -> None:
    names = [fix.name for fix in ALL]
    assert len(set(names)) == len(names)


def test_an_airflow_on_cockroachdb_has_the_fixes() -> None:
    asked = run_python(ASK)
    assert asked.stdout.strip().endswith("True"), asked.stderr


@pytest.mark.parametrize("url", ["sqlite:////tmp/nothing.db", "postgresql://airflow@localhost/airflow"])
def test_an_airflow_on_another_database_has_none(url: str) -> None:
    asked = run_python(ASK, AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=url)
    assert asked.stdout.strip().endswith("False"), asked.stderr


@pytest.mark.parametrize("version", ["2.10.5", "3.0.6", "3.1.8", "3.4.0", "4.0.0"])
def test_an_airflow_that_nobody_reviewed_is_refused(version: str) -> None:
    with pytest.raises(UnsupportedAirflow, match=version):
        install_if_needed("cockroachdb://airflow@db/airflow", version)


@pytest.mark.parametrize("url", [None, "", "sqlite://", "postgresql://db/airflow"])
def test_an_airflow_that_nobody_reviewed_may_use_another_database(url: str | None) -> None:
    assert not install_if_needed(url, "4.0.0")


def test_the_check_of_the_image_build_lists_every_fix() -> None:
    checked = run_python("import runpy; runpy.run_module('airflow_cockroachdb', run_name='__main__')")
    assert checked.returncode == 0, checked.stderr
    for fix in ALL:
        assert fix.name in checked.stdout


def test_the_check_of_the_image_build_fails_when_a_fix_does_not_fit() -> None:
    # Airflow first imports this fix's module where it catches every Exception.
    broken = (
        "import dataclasses, importlib, runpy\n"
        "from airflow_cockroachdb import fixes\n"
        "from airflow_cockroachdb.fix import member\n"
        "fix = fixes.ordering.FIXES[0]\n"
        "broken = dataclasses.replace(fix, apply=lambda module: member(module, 'gone'))\n"
        "fixes.ordering.FIXES = (broken,)\n"
        "importlib.reload(fixes)\n"
        "runpy.run_module('airflow_cockroachdb', run_name='__main__')\n"
    )
    checked = run_python(broken)
    assert checked.returncode == 1
    assert "airflow.utils.sqlalchemy has no gone" in checked.stderr
