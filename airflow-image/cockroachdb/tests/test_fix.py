"""A fix is applied when its module is imported, and never quietly left out."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from airflow_cockroachdb.fix import (
    Fix,
    FixDoesNotApply,
    UnsupportedAirflow,
    function,
    install,
    member,
    replace,
)


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module that nobody has imported."""
    name = f"patient_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text("def treat(session, dose):\n    return dose\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def double_the_dose(module: ModuleType) -> None:
    original = function(module, "treat", "session", "dose")
    replace(module, "treat", lambda session, dose: 2 * original(session, dose))


def remove_a_tumor(module: ModuleType) -> None:
    member(module, "tumor")


def test_a_fix_waits_for_the_import_of_its_module(patient: str) -> None:
    install([Fix("dose", patient, ">=3", "too little", double_the_dose)], "3.3.2")
    assert patient not in sys.modules
    assert importlib.import_module(patient).treat(None, 4) == 8


def test_a_module_that_is_imported_already_is_fixed_at_once(patient: str) -> None:
    module = importlib.import_module(patient)
    install([Fix("dose", patient, ">=3", "too little", double_the_dose)], "3.3.2")
    assert module.treat(None, 4) == 8


def test_a_fix_for_another_airflow_is_left_out(patient: str) -> None:
    assert install([Fix("dose", patient, "<3", "too little", double_the_dose)], "3.3.2") == []
    assert importlib.import_module(patient).treat(None, 4) == 4


def test_an_import_fails_when_what_its_fix_changes_is_gone(patient: str) -> None:
    install([Fix("tumor", patient, ">=3", "it grows", remove_a_tumor)], "3.3.9")
    with pytest.raises(UnsupportedAirflow) as error:
        importlib.import_module(patient)
    for said in ("'tumor'", patient, "3.3.9", "has no tumor", "it grows"):
        assert said in str(error.value)


def test_an_import_that_catches_errors_ends_the_process_all_the_same(patient: str) -> None:
    assert not issubclass(UnsupportedAirflow, Exception)
    assert UnsupportedAirflow("why").code == "why"


def test_a_function_with_other_parameters_is_not_taken_for_the_one_meant(patient: str) -> None:
    module = importlib.import_module(patient)
    with pytest.raises(FixDoesNotApply, match=r"treat takes \(session, dose\), expected \(session, patient"):
        function(module, "treat", "session", "patient")


def test_what_airflow_modules_have_imported_by_name_is_replaced_there_too(
    patient: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module(patient)
    importer, stranger = ModuleType("airflow.importer"), ModuleType("stranger")
    for other in (importer, stranger):
        other.__dict__["treat"] = module.treat
        monkeypatch.setitem(sys.modules, other.__name__, other)
    replace(module, "treat", double_the_dose)
    assert importer.treat is double_the_dose
    assert stranger.treat is not double_the_dose
