"""A conflict ends a transaction of the triggerer, which does it anew. Nothing here connects."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from airflow_cockroachdb.fixes import triggers
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError
from support import apply_fixes, driver_error


class Database:
    """What ends in these errors, one a call, and then in an answer."""

    def __init__(self, *errors: DBAPIError) -> None:
        self.errors = list(errors)
        self.calls: list[tuple[Any, ...]] = []

    def ask(self, *arguments: Any) -> str:
        self.calls.append(arguments)
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def patched(database: Database) -> Any:
    """Airflow's triggers on this database, with the fixes."""

    class Trigger:
        @classmethod
        def assign_unassigned(
            cls, triggerer_id: int, capacity: int, health_check_threshold: float, session: Any = None
        ) -> Any:
            return database.ask(triggerer_id, capacity, health_check_threshold)

        @classmethod
        def ids_for_triggerer(cls, triggerer_id: int, session: Any = None) -> Any:
            return database.ask(triggerer_id)

        @classmethod
        def submit_event(cls, trigger_id: int, event: Any, session: Any = None) -> Any:
            return database.ask(trigger_id, event)

        @classmethod
        def submit_failure(cls, trigger_id: int, exc: Any = None, session: Any = None) -> Any:
            return database.ask(trigger_id, exc)

        @classmethod
        def clean_unused(cls, session: Any = None) -> Any:
            return database.ask()

    module = ModuleType("airflow.models.trigger")
    module.__dict__["Trigger"] = Trigger
    apply_fixes(module)
    return Trigger


@pytest.mark.proves("triggers")
@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_an_event_whose_record_is_lost_is_recorded_anew(code: str) -> None:
    database = Database(*(OperationalError("", {}, driver_error(code)) for _ in range(3)))
    assert patched(database).submit_event(trigger_id=7, event="fired") == "done"
    assert database.calls == [(7, "fired")] * 4


@pytest.mark.proves("triggers")
def test_a_statement_after_the_conflict_counts_as_the_conflict() -> None:
    database = Database(InternalError("", {}, driver_error("25P02", driver_error("40001"))))
    assert patched(database).clean_unused() == "done"
    assert len(database.calls) == 2


def test_each_transaction_of_the_triggerer_is_done_again() -> None:
    for name, arguments in {
        "assign_unassigned": (1, 10, 30.0),
        "ids_for_triggerer": (1,),
        "submit_event": (7, "fired"),
        "submit_failure": (7, None),
        "clean_unused": (),
    }.items():
        database = Database(OperationalError("", {}, driver_error("40001")))
        assert getattr(patched(database), name)(*arguments) == "done"
        assert database.calls == [arguments] * 2


def test_what_belongs_to_the_transaction_of_another_is_not_done_again() -> None:
    database = Database(OperationalError("", {}, driver_error("40001")))
    with pytest.raises(OperationalError):
        patched(database).submit_event(7, "fired", session=SimpleNamespace())
    assert len(database.calls) == 1


def test_another_error_still_ends_the_triggerer() -> None:
    database = Database(OperationalError("", {}, driver_error("57P01")))
    with pytest.raises(OperationalError):
        patched(database).submit_event(7, "fired")
    assert len(database.calls) == 1


def test_conflicts_without_an_end_do_end_it() -> None:
    database = Database(*(OperationalError("", {}, driver_error("40001")) for _ in range(triggers.ATTEMPTS)))
    with pytest.raises(OperationalError):
        patched(database).submit_event(7, "fired")
