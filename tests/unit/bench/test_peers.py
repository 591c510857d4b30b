"""A peer's compose project is removed however its measurement ends, and its user waits for a green run."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from bench.peers import ComposeProject, PeerError, User, running

# ---- compose


def project(folder: Path, script: str) -> ComposeProject:
    """A project whose compose writes down how it is called, then does `script`."""
    fake = folder / "compose"
    fake.write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\ncd {folder}\n{script}\n')
    fake.chmod(0o755)
    return ComposeProject((str(fake),), "itest-peer-1", folder / "docker-compose.yaml")


def calls(folder: Path) -> list[str]:
    lines = (folder / "calls").read_text().splitlines()
    return [line.split("docker-compose.yaml ")[1] for line in lines]


def test_compose_is_told_project_and_file_and_to_wait(tmp_path: Path) -> None:
    project(tmp_path, "").up(90)
    assert (tmp_path / "calls").read_text() == (
        f"--project-name=itest-peer-1 --file={tmp_path}/docker-compose.yaml up --detach --wait --wait-timeout=90\n"
    )


def test_the_published_port_is_read_from_composes_answer(tmp_path: Path) -> None:
    assert project(tmp_path, "echo warning >&2; echo 127.0.0.1:49153").port("api", 8080) == 49153
    with pytest.raises(PeerError, match="no port of api"):
        project(tmp_path, "echo").port("api", 8080)


def test_a_command_that_fails_is_told_with_composes_own_words(tmp_path: Path) -> None:
    with pytest.raises(PeerError, match=r"compose up failed \(17\):\nno such image"):
        project(tmp_path, "echo no such image >&2; exit 17").up(1)


def test_a_command_that_does_not_end_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.peers.QUICK", 0)
    hanging = project(tmp_path, "sleep 60 & echo $! > child; wait")
    with pytest.raises(PeerError, match="compose up did not end within 1 s"):
        hanging.up(1)
    assert ended(int((tmp_path / "child").read_text()))


def ended(pid: int) -> bool:
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
            os.kill(pid, 0)
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def test_an_interrupted_command_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = project(tmp_path, "echo $$ > child; exec sleep 60")

    def interrupted(self: object, timeout: float) -> tuple[str, str]:
        while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr("subprocess.Popen.communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        hanging.up(60)
    assert ended(int((tmp_path / "child").read_text()))


def test_a_project_is_up_in_the_body_and_gone_after_it(tmp_path: Path) -> None:
    removed: list[bool] = []
    with running(project(tmp_path, ""), 60, lambda: removed.append(True)):
        assert not removed
        assert len(calls(tmp_path)) == 1
    assert calls(tmp_path)[1:] == ["down --volumes --remove-orphans --timeout=1"]
    assert removed == [True]


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), ValueError("ours")])
def test_a_project_is_gone_also_when_the_body_fails(tmp_path: Path, failure: BaseException) -> None:
    removed: list[bool] = []
    with (
        pytest.raises(type(failure)),
        running(project(tmp_path, ""), 60, lambda: removed.append(True)),
    ):
        raise failure
    assert calls(tmp_path)[-1].startswith("down")
    assert removed == [True]


def test_a_start_that_fails_tells_states_and_logs_and_removes(tmp_path: Path) -> None:
    removed: list[bool] = []
    script = (
        'case "$*" in *up*) echo unhealthy >&2; exit 1;; *ps*) echo worker exited;; *logs*) echo boom;; esac'
    )
    with (
        pytest.raises(PeerError, match=r"unhealthy\nworker exited\n\nboom$"),
        running(project(tmp_path, script), 60, lambda: removed.append(True)),
    ):
        pytest.fail("the body must not run")
    assert calls(tmp_path)[-1].startswith("down")
    assert removed == [True]


def test_what_compose_cannot_remove_is_left_to_the_sweep(tmp_path: Path) -> None:
    removed: list[bool] = []
    script = 'case "$*" in *down*) exit 1;; esac'
    with running(project(tmp_path, script), 60, lambda: removed.append(True)):
        pass
    assert removed == [True]


# ---- the user


class Server:
    """Airflow's API as the user meets it: the DAG appears at the third look, the run ends at the third."""

    def __init__(self, end: str = "success") -> None:
        self.end = end
        self.requests: list[str] = []
        self.looks = {"dag": 0, "run": 0}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        self.requests.append(f"{request.method} {path} {request.content.decode()}".strip())
        if path == "/auth/token":
            return httpx.Response(201, json={"access_token": "t"})
        if request.headers.get("Authorization") != "Bearer t":
            return httpx.Response(401, text="who?")
        return self.answer(request.method, path)

    def answer(self, method: str, path: str) -> httpx.Response:
        if path.endswith("/taskInstances"):
            return httpx.Response(200, json={"task_instances": [{"task_id": "first", "state": "failed"}]})
        if method == "POST":
            return httpx.Response(200, json={"dag_run_id": "manual__2026-11-24T20:00:00+00:00"})
        if "/dagRuns/" in path:
            self.looks["run"] += 1
            return httpx.Response(200, json={"state": self.end if self.looks["run"] > 2 else "running"})
        self.looks["dag"] += method == "GET"
        return httpx.Response(200 if self.looks["dag"] > 2 else 404, json={})


def user(server: Callable[[httpx.Request], httpx.Response]) -> User:
    return User("http://peer", "airflow", "secret", every=0.001, transport=httpx.MockTransport(server))


RUN = "/api/v2/dags/d/dagRuns/manual__2026-11-24T20%3A00%3A00%2B00%3A00"


def test_the_user_logs_in_unpauses_triggers_and_waits_for_green() -> None:
    server = Server()
    with user(server) as somebody:
        somebody.run_once("d", within=5)
    assert server.requests == [
        'POST /auth/token {"username":"airflow","password":"secret"}',
        "GET /api/v2/dags/d",
        "GET /api/v2/dags/d",
        "GET /api/v2/dags/d",
        'PATCH /api/v2/dags/d {"is_paused":false}',
        'POST /api/v2/dags/d/dagRuns {"logical_date":null}',
        f"GET {RUN}",
        f"GET {RUN}",
        f"GET {RUN}",
    ]


def test_a_failed_run_is_told_with_its_tasks() -> None:
    with user(Server("failed")) as somebody, pytest.raises(PeerError, match="first: failed"):
        somebody.run_once("d", within=5)


def test_a_dag_that_does_not_appear_ends_the_waiting() -> None:
    server = Server()
    server.looks["dag"] = -10_000
    with user(server) as somebody, pytest.raises(PeerError, match="for the DAG d to be there, in vain"):
        somebody.run_once("d", within=0.02)


def test_a_refused_login_is_told() -> None:
    with (
        user(lambda request: httpx.Response(401, text="wrong password")) as somebody,
        pytest.raises(PeerError, match="POST /auth/token: 401 wrong password"),
    ):
        somebody.run_once("d", within=5)


def test_a_look_that_gets_no_answer_is_repeated() -> None:
    server = Server()
    failures = iter([httpx.ReadTimeout("busy")])

    def flaky(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            for failure in failures:
                raise failure
        return server(request)

    with user(flaky) as somebody:
        somebody.run_once("d", within=5)
    assert server.looks["run"] == 3
