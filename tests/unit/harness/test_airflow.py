"""The REST client: logs in, pages, waits, and explains a failed run by its own log."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest

from harness.airflow import Airflow, AirflowError, RunFailed
from harness.lines import rest
from harness.waits import WaitTimeout

RUN = "/api/v2/dags/d/dagRuns/r"
FAILED = {"task_id": "boom", "map_index": -1, "state": "failed", "try_number": 1}
LOG = [
    {"event": "::group::Log message source details"},
    {"event": "s3://airflow-logs/x.log"},
    {
        "timestamp": "T",
        "level": "error",
        "event": "Task failed",
        "task_id": "boom",
        "error_detail": [
            {"exc_type": "ValueError", "exc_value": "no", "frames": [{"filename": "f.py", "lineno": 3}]}
        ],
    },
]

Answers = dict[str, Any]


class Watched:
    """Events of one run that is in a state and stays there; nothing is ever parsed."""

    def __init__(self, state: str | None) -> None:
        self._state = state

    def run_ended(self, dag_id: str, run_id: str, timeout: float) -> str | None:
        return self._state if self._state in ("success", "failed") else None

    def task_reached(
        self, dag_id: str, run_id: str, task_id: str, map_index: int, states: Sequence[str], timeout: float
    ) -> str | None:
        return None

    def dag_parsed(self, dag_id: str, after: str | None, timeout: float) -> bool:
        return False


@pytest.fixture
def events() -> list[str]:
    return []


@pytest.fixture
def client(events: list[str]) -> Iterator[Callable[[Answers], Airflow]]:
    """Makes clients of an API that gives the answers, by path, and whose first token is outdated."""
    made: list[Airflow] = []

    def make(answers: Answers) -> Airflow:
        tokens: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            if request.url.path == "/auth/token":
                tokens.append(f"token-{len(tokens)}")
                return httpx.Response(201, json={"access_token": tokens[-1]})
            if request.headers["Authorization"] != "Bearer token-1":
                return httpx.Response(401)
            found = answers.get(request.url.path)
            if callable(found):
                found = found(request)
            if isinstance(found, httpx.Response):
                return found
            return httpx.Response(404, text="gone") if found is None else httpx.Response(200, json=found)

        record = lambda kind, **facts: events.append(kind)  # noqa: E731
        run_state = answers.get(RUN, {}).get("state") if isinstance(answers.get(RUN), dict) else None
        watched = Watched(run_state)
        made.append(
            Airflow(rest.V2, "http://api", "admin", "x", record, watched, "", httpx.MockTransport(answer))
        )
        return made[-1]

    yield make
    for airflow in made:
        airflow.close()


def failing(state: str = "failed") -> Answers:
    return {
        RUN: {"state": state},
        f"{RUN}/taskInstances": {"task_instances": [FAILED], "total_entries": 1},
        f"{RUN}/taskInstances/boom/logs/1": {"content": LOG},
    }


def test_an_outdated_token_is_renewed(client: Callable[[Answers], Airflow]) -> None:
    assert client({RUN: {"state": "queued"}}).run("d", "r").state == "queued"


def test_all_pages_are_read(client: Callable[[Answers], Airflow]) -> None:
    def page(request: httpx.Request) -> Any:
        offset = int(request.url.params["offset"])
        rows = [{"filename": str(n), "stack_trace": ""} for n in range(offset, min(offset + 100, 250))]
        return {"import_errors": rows, "total_entries": 250}

    assert len(client({"/api/v2/importErrors": page}).import_errors()) == 250


def test_task_instances_that_move_from_page_to_page_are_read_again(
    client: Callable[[Answers], Airflow],
) -> None:
    rows = [{**FAILED, "task_id": f"t{number}"} for number in range(102)]
    moved = [rows[100], *rows[:100], rows[101]]  # by the second look, and t99 with it
    looks = []

    def page(request: httpx.Request) -> Any:
        offset = int(request.url.params["offset"])
        looks.append(offset)
        order = moved if len(looks) == 2 else rows
        return {"task_instances": order[offset : offset + 100], "total_entries": len(rows)}

    found = client({f"{RUN}/taskInstances": page}).run("d", "r").task_instances()
    assert [ti.task_id for ti in found] == [row["task_id"] for row in rows]
    assert looks == [0, 100, 0, 100]


def test_a_refusal_carries_the_request_and_the_reason(client: Callable[[Answers], Airflow]) -> None:
    with pytest.raises(AirflowError, match=r"GET /dags/d/dagRuns/r: 404 gone"):
        _ = client({}).run("d", "r").state


def test_a_request_whose_transaction_the_database_ended_is_made_again(
    client: Callable[[Answers], Airflow], events: list[str]
) -> None:
    ended = httpx.Response(500, json={"detail": {"reason": "Database error", "statement": "hidden"}})
    answers = [ended, ended, {"state": "queued"}]
    assert client({RUN: lambda request: answers.pop(0)}).run("d", "r").state == "queued"
    assert events == ["request_repeated"] * 2


def test_a_database_that_is_gone_for_good_is_told(client: Callable[[Answers], Airflow]) -> None:
    asked: list[httpx.Request] = []

    def ended(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(500, json={"detail": {"reason": "Database error"}})

    with pytest.raises(AirflowError, match=r"500 .*Database error"):
        _ = client({RUN: ended}).run("d", "r").state
    assert len(asked) == 4


def test_another_fault_of_the_server_is_told_at_once(client: Callable[[Answers], Airflow]) -> None:
    answers = [httpx.Response(500, text="Internal Server Error")]
    with pytest.raises(AirflowError, match="500 Internal Server Error"):
        _ = client({RUN: lambda request: answers.pop(0)}).run("d", "r").state


def test_a_failed_run_is_explained_by_the_log_of_its_failed_task(
    client: Callable[[Answers], Airflow], events: list[str]
) -> None:
    with pytest.raises(RunFailed) as caught:
        client(failing()).run("d", "r").wait()
    text = str(caught.value)
    assert "ended as failed, expected success" in text
    assert "Failed: boom" in text
    assert "T error Task failed" in text
    assert "ValueError: no (at f.py:3)" in text
    assert events == ["run_ended"]


def test_an_expected_failure_is_no_error(client: Callable[[Answers], Airflow]) -> None:
    assert client(failing()).run("d", "r").wait(expect="failed") == "failed"


def test_a_run_that_does_not_end_is_told_with_the_states_of_its_tasks(
    client: Callable[[Answers], Airflow],
) -> None:
    with pytest.raises(WaitTimeout, match=r"run r of d to end, in vain\nTasks: failed: 1 \(boom\)"):
        client(failing("running")).run("d", "r").wait(timeout=0)


def test_a_dag_that_is_never_parsed_is_told_with_the_import_errors(
    client: Callable[[Answers], Airflow],
) -> None:
    errors = {"import_errors": [{"filename": "d.py", "stack_trace": "boom"}], "total_entries": 1}
    with pytest.raises(WaitTimeout, match=r"DAG d to be parsed, in vain\nd.py:\nboom"):
        client({"/api/v2/importErrors": errors}).trigger("d")


def test_a_task_that_does_not_get_there_is_told_with_the_states_of_its_tasks(
    client: Callable[[Answers], Airflow],
) -> None:
    with pytest.raises(WaitTimeout, match=r"for boom of run r to be deferred, in vain\nTasks: failed: 1"):
        client(failing("running")).run("d", "r").wait_for_task("boom", "deferred", timeout=0)


def test_the_log_of_an_ended_task_is_awaited_until_it_is_uploaded(
    client: Callable[[Answers], Airflow],
) -> None:
    looks: list[int] = []

    def log(request: httpx.Request) -> Any:
        looks.append(1)
        return {"content": LOG if len(looks) > 2 else [{"event": "could not read from worker"}]}

    answers = {**failing(), f"{RUN}/taskInstances/boom/logs/1": log}
    assert "ValueError" in client(answers).run("d", "r").logs("boom")
    with pytest.raises(KeyError, match="no task instance other"):
        client(answers).run("d", "r").logs("other")


def test_a_variable_is_replaced_whether_or_not_it_was_there(client: Callable[[Answers], Airflow]) -> None:
    posted: list[Any] = []

    def post(request: httpx.Request) -> Any:
        posted.append(json.loads(request.content))
        return {}

    client({"/api/v2/variables": post}).set_variable("k", "v")
    assert posted == [{"key": "k", "value": "v", "description": ""}]


# ---- v1


@pytest.fixture
def old() -> Iterator[Callable[[Answers], Airflow]]:
    """Makes clients of v1, which takes a password and keeps each request of theirs in `asked`."""
    made: list[Airflow] = []

    def make(answers: Answers) -> Airflow:
        def answer(request: httpx.Request) -> httpx.Response:
            if request.headers["Authorization"] != "Basic YWRtaW46eA==":
                return httpx.Response(401)
            found = answers.get(request.url.path)
            found = found(request) if callable(found) else found
            if isinstance(found, httpx.Response):
                return found
            return httpx.Response(404, text="gone") if found is None else httpx.Response(200, json=found)

        transport = httpx.MockTransport(answer)
        ignore = lambda kind, **facts: None  # noqa: E731
        made.append(Airflow(rest.V1, "http://web", "admin", "x", ignore, Watched("success"), "", transport))
        return made[-1]

    yield make
    for airflow in made:
        airflow.close()


OLD_RUN = "/api/v1/dags/d/dagRuns/r"


def test_v1_starts_a_run_without_a_logical_date(old: Callable[[Answers], Airflow]) -> None:
    posted: list[Any] = []

    def post(request: httpx.Request) -> Any:
        posted.append(json.loads(request.content))
        return {}

    answers = {"/api/v1/dags/d": {"is_paused": False}, "/api/v1/dags/d/dagRuns": post}
    run = old(answers).trigger("d", {"a": 1})
    assert posted == [{"dag_run_id": run.run_id, "conf": {"a": 1}}]


def test_v1_gives_a_pushed_value_as_it_is(old: Callable[[Answers], Airflow]) -> None:
    def value(request: httpx.Request) -> Any:
        assert request.url.params["stringify"] == "false"
        return {"value": {"a": [1]}}

    path = f"{OLD_RUN}/taskInstances/t/xcomEntries/return_value"
    assert old({path: value}).run("d", "r").xcom("t") == {"a": [1]}


def test_v1_writes_a_log_as_a_list_of_hosts_and_texts(old: Callable[[Answers], Airflow]) -> None:
    content = str([("", '*** Found logs in s3:\n*** s3://airflow-logs/x.log\nValueError: it\'s "no"')])
    answers = {
        f"{OLD_RUN}/taskInstances": {"task_instances": [FAILED], "total_entries": 1},
        f"{OLD_RUN}/taskInstances/boom/logs/1": {"content": content},
    }
    assert old(answers).run("d", "r").logs("boom").endswith('\nValueError: it\'s "no"')


def test_a_fault_of_v1_is_told_at_once_since_nothing_tells_what_it_is(
    old: Callable[[Answers], Airflow],
) -> None:
    answers = [httpx.Response(500, text="Database error")]
    with pytest.raises(AirflowError, match="500 Database error"):
        _ = old({OLD_RUN: lambda request: answers.pop(0)}).run("d", "r").state
