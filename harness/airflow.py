"""Airflow through its REST API: trigger runs, watch them, read what they left.

In what Airflow's generations of that API differ is in `harness.lines.rest`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from harness.history import Recorder
from harness.lines.rest import LoginError, Rest
from harness.waits import WaitTimeout, eventually
from harness.watcher import TERMINAL, Events

PAGE = 100
"""Rows a page; the API's default maximum."""

UPLOADED_WITHIN = 15
"""Seconds for a worker to upload the log of a task whose state it has already told."""

SETTLED_WITHIN = 15
"""Seconds for task instances to be read once each, while some of them change."""

REMOTE_SOURCE = "s3://"
"""Airflow names the sources of a log in its first lines."""

TAIL = 20

ATTEMPTS = 4
"""How often a request is made whose transaction the database has ended."""


class AirflowError(RuntimeError):
    """The API refused a request; the message has the request, the status and Airflow's reason."""


class RunFailed(AssertionError):
    """A DAG run ended otherwise than expected; the message names the failed tasks and quotes their logs."""


@dataclass(frozen=True, slots=True)
class TaskInstance:
    """One task instance of a run. `map_index` is -1 for a task that is not mapped. `state` may be None."""

    task_id: str
    map_index: int
    state: str | None
    try_number: int

    def __str__(self) -> str:
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"


class Airflow:
    """A logged-in client of one stack's API, which is of the generation `rest`.

    `tenant` marks the ids of the runs that it triggers.
    """

    def __init__(
        self,
        rest: Rest,
        base_url: str,
        user: str,
        password: str,
        record: Recorder,
        events: Events,
        tenant: str = "",
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.rest = rest
        self.base_url = base_url
        self.events = events
        self._run_prefix = f"itest-{tenant}-" if tenant else "itest-"
        self._credentials = (user, password)
        self._http = httpx.Client(
            base_url=base_url,
            timeout=30,
            trust_env=False,
            transport=transport,
            # Where anything goes, v1 sends a log as plain text.
            headers={"Accept": "application/json"},
        )
        self._record = record

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, path: str, *, missing_ok: bool = False, **options: Any) -> Any:
        """Call `path` below the API's root and return the decoded JSON, None for an empty answer.

        With `missing_ok` a 404 also returns None. Logs in when needed. A request that fails since the database has
        ended its transaction is made again, as any client of a server on CockroachDB has to, and the history says so.
        Raises `AirflowError` otherwise.
        """
        for attempt in range(1, ATTEMPTS + 1):
            answer = self._answer(method, path, options)
            if not self._was_ended(answer) or attempt == ATTEMPTS:
                break
            self._record("request_repeated", method=method, path=path, reason=answer.text[:500])
        if missing_ok and answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.is_error:
            raise AirflowError(f"{method} {path}: {answer.status_code} {answer.text[:2000]}")
        return answer.json() if answer.content else None

    def _was_ended(self, answer: httpx.Response) -> bool:
        """Whether the database has ended the request's transaction."""
        reason = self.rest.conflict
        failed = answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR
        return failed and reason is not None and reason in answer.text

    def _answer(self, method: str, path: str, options: Mapping[str, Any]) -> httpx.Response:
        if "Authorization" not in self._http.headers:
            self._log_in()
        answer = self._http.request(method, f"{self.rest.root}{path}", **options)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self._log_in()
            answer = self._http.request(method, f"{self.rest.root}{path}", **options)
        return answer

    def _log_in(self) -> None:
        try:
            self.rest.log_in(self._http, *self._credentials)
        except LoginError as error:
            raise AirflowError(str(error)) from error

    def pages(self, path: str, rows: str, **params: Any) -> Iterator[dict[str, Any]]:
        """All rows of a paged collection, whose key in the answer is `rows`."""
        offset = 0
        while True:
            page = self.call("GET", path, params={**params, "limit": PAGE, "offset": offset})
            yield from page[rows]
            offset += PAGE
            if offset >= page["total_entries"]:
                return

    def count(self, path: str, **params: Any) -> int:
        """How many rows a paged collection has."""
        return int(self.call("GET", path, params={**params, "limit": 1})["total_entries"])

    # ---- settings

    def set_variable(self, key: str, value: str, description: str = "") -> None:
        """Create a variable, or replace the one of that name."""
        body = {"key": key, "value": value, "description": description}
        self.delete_variable(key)
        self.call("POST", "/variables", json=body)

    def delete_variable(self, key: str) -> None:
        """Delete a variable; it is no error that there is none."""
        self.call("DELETE", f"/variables/{quote(key, safe='')}", missing_ok=True)

    def set_connection(self, connection_id: str, conn_type: str, **fields: Any) -> None:
        """Create a connection, or replace it. `fields` are the API's: host, login, password, extra, …"""
        self.delete_connection(connection_id)
        body = {"connection_id": connection_id, "conn_type": conn_type, **fields}
        self.call("POST", "/connections", json=body)

    def delete_connection(self, connection_id: str) -> None:
        """Delete a connection; it is no error that there is none."""
        self.call("DELETE", f"/connections/{quote(connection_id, safe='')}", missing_ok=True)

    # ---- DAGs

    def health(self) -> dict[str, Any]:
        """Each component's status and last heartbeat."""
        found: dict[str, Any] = self.call("GET", self.rest.health)
        return found

    def import_errors(self) -> dict[str, str]:
        """File name to stack trace, for each DAG file that cannot be imported."""
        return {row["filename"]: row["stack_trace"] for row in self.pages("/importErrors", "import_errors")}

    def wait_for_dag(self, dag_id: str, timeout: float = 90, parsed_after: str | None = None) -> None:
        """Wait until the DAG processor has parsed the DAG (after the ISO time `parsed_after`, if given).

        Raises `WaitTimeout` with the import errors.
        """
        if not self.events.dag_parsed(dag_id, parsed_after, timeout):
            errors = "\n".join(f"{name}:\n{trace}" for name, trace in self.import_errors().items())
            raise WaitTimeout(
                f"waited {timeout:.0f} s for DAG {dag_id} to be parsed, in vain\n{errors or 'No import errors.'}"
            )

    def trigger(
        self, dag_id: str, conf: Mapping[str, object] | None = None, run_id: str | None = None
    ) -> DagRun:
        """Unpause the DAG and start a run now. Waits for the DAG to be parsed first."""
        found = self.call("GET", f"/dags/{dag_id}", missing_ok=True)
        if found is None:
            self.wait_for_dag(dag_id)
        if found is None or found["is_paused"]:
            self.call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})
        run_id = run_id or f"{self._run_prefix}{time.time_ns()}"
        body = {"dag_run_id": run_id, "conf": dict(conf or {}), **self.rest.new_run}
        self.call("POST", f"/dags/{dag_id}/dagRuns", json=body)
        self._record("trigger", dag_id=dag_id, run_id=run_id, conf=dict(conf or {}))
        return DagRun(self, dag_id, run_id, self._record)

    def run(self, dag_id: str, run_id: str) -> DagRun:
        """A handle on a run that exists already."""
        return DagRun(self, dag_id, run_id, self._record)

    def runs(self) -> list[dict[str, Any]]:
        """All DAG runs of the stack, as the API describes them."""
        return list(self.pages("/dags/~/dagRuns", "dag_runs"))


class DagRun:
    """One DAG run."""

    def __init__(self, airflow: Airflow, dag_id: str, run_id: str, record: Recorder) -> None:
        self.airflow = airflow
        self.dag_id = dag_id
        self.run_id = run_id
        self._record = record

    @property
    def _path(self) -> str:
        return f"/dags/{self.dag_id}/dagRuns/{quote(self.run_id, safe='')}"

    @property
    def state(self) -> str:
        """``queued``, ``running``, ``success`` or ``failed``."""
        return str(self.airflow.call("GET", self._path)["state"])

    def wait(self, expect: str | None = "success", timeout: float = 300) -> str:
        """Wait until the run has ended; returns its state.

        Raises `RunFailed` when that is not `expect` (None accepts any), and `WaitTimeout` with the states of the
        tasks when it does not end within `timeout` seconds.
        """

        __tracebackhide__ = True
        state = self.airflow.events.run_ended(self.dag_id, self.run_id, timeout)
        if state is None:
            self._record("run_timeout", dag_id=self.dag_id, run_id=self.run_id)
            raise WaitTimeout(
                f"waited {timeout:.0f} s for run {self.run_id} of {self.dag_id} to end, in vain\n{self._where()}"
            )
        tasks = self.task_states()
        self._record("run_ended", dag_id=self.dag_id, run_id=self.run_id, state=state, tasks=tasks)
        if expect is not None and state != expect:
            raise RunFailed(
                f"run {self.run_id} of {self.dag_id} ended as {state}, expected {expect}\n{self.explain()}"
            )
        return state

    def wait_for_task(self, task: str, *states: str, map_index: int = -1, timeout: float = 120) -> str:
        """Wait until a task instance is in one of `states`; returns which. Raises `WaitTimeout`."""
        __tracebackhide__ = True
        events = self.airflow.events
        state = events.task_reached(self.dag_id, self.run_id, task, map_index, states, timeout)
        if state is None:
            raise WaitTimeout(
                f"waited {timeout:.0f} s for {TaskInstance(task, map_index, None, 0)} of run {self.run_id} to be "
                f"{' or '.join(states)}, in vain\n{self._where()}"
            )
        return state

    def task_instances(self) -> list[TaskInstance]:
        """Every task instance, mapped ones one by one.

        Airflow 2 pages them in no order, so one that changes meanwhile may be on a page that was read already, and
        another one twice: then they are read again. Raises `WaitTimeout` when they never keep still.
        """
        [found] = eventually(
            self._read_task_instances, "task instances that stay on their pages", SETTLED_WITHIN
        )
        return found

    def _read_task_instances(self) -> tuple[list[TaskInstance]] | None:
        found = [
            TaskInstance(row["task_id"], row["map_index"], row["state"], row["try_number"])
            for row in self.airflow.pages(f"{self._path}/taskInstances", "task_instances")
        ]
        return (found,) if len({str(ti) for ti in found}) == len(found) else None

    def task_states(self) -> dict[str, str | None]:
        """Task (``id`` or ``id[map index]``) to its state."""
        return {str(ti): ti.state for ti in self.task_instances()}

    def logs(self, task: str, map_index: int = -1) -> str:
        """A task instance's log of its last try as Airflow's API serves it, a line an event.

        A task's state is known a moment before its log is in S3: for a task that has ended, waits for that.
        Raises `KeyError` when the run has no such task instance.
        """
        found = [t for t in self.task_instances() if (t.task_id, t.map_index) == (task, map_index)]
        if not found:
            raise KeyError(f"run {self.run_id} has no task instance {task}[{map_index}]")
        ended = found[0].state in TERMINAL

        def look() -> str | None:
            text = self._fetch_log(task, map_index, max(found[0].try_number, 1))
            return text if REMOTE_SOURCE in text or not ended else None

        try:
            return eventually(look, f"the log of {found[0]} in S3", UPLOADED_WITHIN)
        except WaitTimeout:
            return self._fetch_log(task, map_index, max(found[0].try_number, 1))

    def _fetch_log(self, task: str, map_index: int, try_number: int) -> str:
        answer = self.airflow.call(
            "GET",
            f"{self._path}/taskInstances/{task}/logs/{try_number}",
            params={"map_index": map_index, "full_content": True},
        )
        return self.airflow.rest.read_log(answer)

    def xcom(self, task: str, key: str = "return_value", map_index: int = -1) -> Any:
        """The value a task pushed; raises `AirflowError` when there is none."""
        path = f"{self._path}/taskInstances/{task}/xcomEntries/{key}"
        return self.airflow.call("GET", path, params={"map_index": map_index, **self.airflow.rest.xcom})[
            "value"
        ]

    def explain(self) -> str:
        """The failed tasks and the last lines of each one's own log (of the first three)."""
        failed = [ti for ti in self.task_instances() if ti.state == "failed"]
        if not failed:
            return self._where()
        parts = [f"Failed: {', '.join(map(str, failed))}"]
        for ti in failed[:3]:
            lines = self.logs(ti.task_id, ti.map_index).splitlines()[-TAIL:]
            parts.append(f"The last lines of the log of {ti}:\n" + "\n".join(f"  {line}" for line in lines))
        return "\n".join(parts)

    def _where(self) -> str:
        by_state: dict[str, list[str]] = {}
        for ti in self.task_instances():
            by_state.setdefault(ti.state or "none", []).append(str(ti))
        return "Tasks: " + "; ".join(
            f"{state}: {len(tasks)}"
            + (f" ({', '.join(tasks[:6])})" if state not in ("none", "success") else "")
            for state, tasks in sorted(by_state.items())
        )
