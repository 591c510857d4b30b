"""Runs a file of content in this process: `python run_content.py FILE [CLASS] [NAME=VALUE ...] [--params JSON]`.

Meant for Airflow's own environment; `scripts/run-dag` prepares that. NAME=VALUE are a DAG's params, or the arguments of
an operator or sensor, values being YAML. An operator or sensor becomes the only task of a DAG, with --params as params.
"""

import argparse
import importlib
import inspect
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml


class UsageError(Exception):
    """What is asked for cannot be run; the message says why."""


def main() -> int:
    """0: all tasks succeeded. 1: the run failed. 2: it could not be started. 130: it was interrupted."""
    parser = argparse.ArgumentParser(prog="run-dag", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("rest", nargs="*", metavar="CLASS | NAME=VALUE")
    parser.add_argument("--params", type=json.loads, default={}, help="params, as JSON")
    arguments = parser.parse_args()
    try:
        names = [item for item in arguments.rest if "=" not in item]
        values = dict(_pair(item) for item in arguments.rest if "=" in item)
        dag, params = _dag(arguments.file, names, values, arguments.params)
    except UsageError as error:
        print(f"run-dag: {error}", file=sys.stderr)
        return 2
    return _run(dag, params)


def _pair(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UsageError(f"{name}: not YAML: {error}") from error


def _dag(
    file: Path, names: list[str], values: dict[str, Any], params: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """The DAG to run and its params."""
    if not file.is_file():
        raise UsageError(f"there is no file {file}")
    folder = file.resolve().parent.name
    if folder == "dags":
        sys.path.insert(0, str(file.resolve().parent))
        module = importlib.import_module(file.stem)
        if names:
            raise UsageError(f"{file} is a DAG; write its params as NAME=VALUE, not {names[0]}")
        return module.dag, {**params, **values}
    if folder not in ("operators", "sensors"):
        raise UsageError(
            f"{file} is neither a DAG, an operator nor a sensor: these lie in dags/, operators/, sensors/"
        )
    return _one_task_dag(importlib.import_module(f"{folder}.{file.stem}"), names, values, params), {}


def _one_task_dag(module: Any, names: list[str], arguments: dict[str, Any], params: dict[str, Any]) -> Any:
    from airflow.providers.common.compat.sdk import DAG, BaseOperator

    found = {
        name: member
        for name, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, BaseOperator) and member.__module__ == module.__name__
    }
    if len(names) > 1 or not found:
        raise UsageError(f"{module.__name__} has the operators {', '.join(found) or 'none'}; name one")
    chosen = found.get(names[0]) if names else next(iter(found.values())) if len(found) == 1 else None
    if chosen is None:
        raise UsageError(f"name one of the operators of {module.__name__}: {', '.join(found)}")
    with DAG(dag_id=f"run_{chosen.__name__}", schedule=None, params=params) as dag:
        try:
            chosen(task_id="task", retries=0, **arguments)
        except TypeError as error:
            raise UsageError(f"{chosen.__name__}: {error}") from error
    return dag


def _store(dag: Any) -> None:
    """Airflow 3 runs only what its database has. It stores what lies in its DAGs folder by itself, and nothing else."""
    try:
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    except ImportError:
        return  # Airflow 2
    bundles = DagBundlesManager()
    bundles.sync_bundles_to_db()
    bag = DagBag(os.devnull)
    bag.bag_dag(dag)
    sync_bag_to_db(bag, next(iter(bundles.get_all_dag_bundles())).name, None)


@contextmanager
def _under_way(dag: Any) -> Iterator[list[Any]]:
    """The DAG's runs that the database takes for running, to be changed meanwhile."""
    from airflow.models import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState

    with create_session() as session:
        yield DagRun.find(dag_id=dag.dag_id, state=DagRunState.RUNNING, session=session)


def _tell_others(dag: Any) -> None:
    with _under_way(dag) as runs:
        if runs:
            print(
                f"run-dag: under way already: {', '.join(run.run_id for run in runs)}. A run whose process was killed"
                f" stays so; rollouts wait for it. To forget all runs: scripts/airflow dags delete -y {dag.dag_id}",
                file=sys.stderr,
            )


def _end(dag: Any, began: datetime) -> None:
    """Have the run failed that was begun since: rollouts would wait for ever for one that nobody carries on."""
    with _under_way(dag) as runs:
        for run in runs:
            if run.start_date and run.start_date >= began:
                run.set_state("failed")
                print(f"\n{dag.dag_id}: interrupted; run {run.run_id} counts as failed")


def _run(dag: Any, params: dict[str, Any]) -> int:
    for task in dag.tasks:
        # A task that fails is to be looked at, not to be waited for.
        task.retries = 0
    _store(dag)
    _tell_others(dag)
    began = datetime.now(UTC)
    # A shell that starts it in the background has it ignore this.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run = dag.test(run_conf=params or None)
    except KeyboardInterrupt:
        _end(dag, began)
        return 130
    except Exception:  # whatever it was, it is the user's to see
        traceback.print_exc()
        return 1
    instances = sorted(run.get_task_instances(), key=lambda ti: (str(ti.start_date or ""), ti.task_id))
    print(f"\n{dag.dag_id}: {run.state}")
    for ti in instances:
        if str(ti.state) != "skipped":
            index = "" if ti.map_index < 0 else f"[{ti.map_index}]"
            print(f"  {ti.state or 'not run':<16} {ti.task_id}{index}")
    skipped = sum(str(ti.state) == "skipped" for ti in instances)
    if skipped:
        print(f"  {skipped} tasks skipped")
    return 0 if str(run.state) == "success" else 1


if __name__ == "__main__":
    sys.exit(main())
