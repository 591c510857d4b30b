"""The differences between Airflow 2.11 and 3.x that `airflow.providers.common.compat` does not cover.

The only module of this package that imports Airflow.
"""
# Airflow is not installed where this package is type-checked.
# mypy: disable-error-code="import-not-found, no-any-return, misc"

from collections.abc import Sequence
from typing import Any

from airflow.providers.common.compat.sdk import SkipMixin, Variable
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

if AIRFLOW_V_3_0_PLUS:
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.providers.standard.triggers.temporal import DateTimeTrigger
else:
    from airflow.operators.empty import EmptyOperator
    from airflow.triggers.temporal import DateTimeTrigger

__all__ = ["DateTimeTrigger", "EmptyOperator", "return_and_skip", "variable_or_none"]


def variable_or_none(name: str) -> str | None:
    """The variable's value, or None where it is missing. An unreachable database or API raises."""
    keyword = "default" if AIRFLOW_V_3_0_PLUS else "default_var"
    return Variable.get(name, **{keyword: None})


def return_and_skip(
    operator: SkipMixin, context: Any, result: dict[str, Any], skipped: Sequence[Any]
) -> dict[str, Any]:
    """Ends a task with `result` as its XCom, and has the scheduler skip the tasks (operators) `skipped`."""
    if not AIRFLOW_V_3_0_PLUS:
        operator.skip(context["dag_run"], None, skipped)
        return result
    # There, skip() ends the task by an exception, so the result has to be stored before.
    context["ti"].xcom_push(key="return_value", value=result)
    operator.skip(context["ti"], skipped)
    return result
