"""The differences between Airflow 2.11 and 3.x that `airflow.providers.common.compat` does not cover.

The only module of this package that imports Airflow.
"""
# Airflow is not installed where this package is type-checked.
# mypy: disable-error-code="import-not-found, no-any-return, misc"

from collections.abc import Sequence
from typing import Any

from airflow.providers.common.compat.sdk import SkipMixin, Variable
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from dfinity.turns import LAST_TASK, PLAN_TASK, OtherRun

if AIRFLOW_V_3_0_PLUS:
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.providers.standard.triggers.temporal import DateTimeTrigger
else:
    from airflow.operators.empty import EmptyOperator
    from airflow.triggers.temporal import DateTimeTrigger

__all__ = [
    "DateTimeTrigger",
    "EmptyOperator",
    "other_runs",
    "return_and_skip",
    "task_to_run",
    "variable_or_none",
]

_ACTIVE = ("queued", "running")
_OVER = ("success", "failed", "upstream_failed", "skipped", "removed")


def task_to_run() -> str | None:
    """The task for which alone this process reads its DAG file, to run it; None where all of the DAG is asked for.

    Never on Airflow 2, whose task processes also schedule what comes after their task.
    """
    if not AIRFLOW_V_3_0_PLUS:
        return None
    from airflow.sdk import get_parsing_context

    return get_parsing_context().task_id


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


def other_runs(dag_id: str, run_id: str) -> list[OtherRun]:
    """The active runs of the DAG but for `run_id`. For tasks and for triggers; asks the database or the API server."""
    return (
        _other_runs_by_api(dag_id, run_id) if AIRFLOW_V_3_0_PLUS else _other_runs_in_database(dag_id, run_id)
    )


def _other_runs_by_api(dag_id: str, run_id: str) -> list[OtherRun]:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance as Api
    from airflow.sdk.execution_time.xcom import XCom

    if Api.get_dr_count(dag_id=dag_id, states=list(_ACTIVE)) <= 1:
        return []
    # There is no list of runs to ask for, but tasks' states come by run. It has all runs there ever were: those whose
    # last task is over are not asked for one by one.
    found = []
    for other, states in Api.get_task_states(dag_id=dag_id, task_ids=[PLAN_TASK, LAST_TASK]).items():
        if other == run_id or states.get(LAST_TASK) in _OVER:
            continue
        if Api.get_dagrun_state(dag_id, other) not in _ACTIVE:
            continue
        state, plan = states.get(PLAN_TASK), None
        if state == "success":
            plan = XCom.get_one(key="return_value", dag_id=dag_id, task_id=PLAN_TASK, run_id=other)
        found.append(OtherRun(other, state, bool(plan and plan["simulate"])))
    return found


def _other_runs_in_database(dag_id: str, run_id: str) -> list[OtherRun]:
    from airflow.models import DagRun, XCom

    found = []
    for run in (run for state in _ACTIVE for run in DagRun.find(dag_id=dag_id, state=state)):
        task = None if run.run_id == run_id else run.get_task_instance(PLAN_TASK)
        if task is None:
            continue
        plan = None
        if task.state == "success":
            plan = XCom.get_one(key="return_value", dag_id=dag_id, task_id=PLAN_TASK, run_id=run.run_id)
        found.append(OtherRun(run.run_id, task.state, bool(plan and plan["simulate"])))
    return found
