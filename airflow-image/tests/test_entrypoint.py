"""The entrypoint keeps the official image's contract, whichever base the image stands on.

The image's own `airflow` is hidden behind one that writes down how it was called.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from docker_cli import Docker

from harness.waits import eventually

pytestmark = pytest.mark.itest
Enter = Callable[..., str]

FAKE = r"""
mkdir /tmp/fake
cat >/tmp/fake/airflow <<'SCRIPT'
#!/bin/bash
echo "CALLED airflow $*"
if [[ "$1 $2" == "db check" ]]; then
    echo attempt >>/tmp/attempts
    (( $(wc -l </tmp/attempts) >= ${SUCCEED_AT:-1} ))
fi
SCRIPT
chmod +x /tmp/fake/airflow
PATH=/tmp/fake:$PATH exec /usr/bin/dumb-init -- /entrypoint "$@"
"""
ONCE = {"CONNECTION_CHECK_MAX_COUNT": "1", "CONNECTION_CHECK_SLEEP_TIME": "0"}


@pytest.fixture
def enter(docker: Docker, airflow_image: str) -> Enter:
    """Run a command through the entrypoint: enter(*command, user=..., check=..., **environment)."""

    def enter(*command: str, user: str = "50000:0", check: bool = True, **environment: str) -> str:
        settings = {"CONNECTION_CHECK_MAX_COUNT": "0", **environment}
        options = [f"--env={name}={value}" for name, value in settings.items()]
        return docker.run(
            airflow_image,
            *("-c", FAKE, "entrypoint", *command),
            options=("--entrypoint=bash", f"--user={user}", *options),
            check=check,
        )

    return enter


@pytest.mark.parametrize("command", [("version",), ("airflow", "version")])
def test_other_words_are_commands_of_airflow(enter: Enter, command: tuple[str, ...]) -> None:
    assert enter(*command).splitlines()[-1] == "CALLED airflow version"


def test_bash_runs_a_shell(enter: Enter) -> None:
    assert enter("bash", "-c", "echo $(( 6 * 7 ))").strip() == "42"


def test_python_runs_python_of_the_right_version(enter: Enter) -> None:
    assert enter("python", "-c", "import sys; print(sys.version_info[:2])").strip() == "(3, 11)"


def test_new_files_are_writable_for_the_group(enter: Enter) -> None:
    assert enter("bash", "-c", "umask").strip() == "0002"


def test_an_arbitrary_user_of_group_0_gets_a_name_and_a_home(enter: Enter) -> None:
    said = enter("bash", "-c", "whoami; echo $HOME; touch /opt/airflow/logs/x && echo wrote", user="12345:0")
    name, home, wrote = said.split()
    assert name not in ("root", "airflow")
    assert (home, wrote) == ("/home/airflow", "wrote")


def test_an_arbitrary_user_of_another_group_is_refused(enter: Enter) -> None:
    assert "CALLED" not in enter("version", user="12345:12345", check=False)


def test_it_waits_until_the_database_answers(enter: Enter) -> None:
    patience = ONCE | {"CONNECTION_CHECK_MAX_COUNT": "5", "SUCCEED_AT": "3"}
    attempts = enter("bash", "-c", "wc -l </tmp/attempts", **patience)
    assert attempts.split()[0] == "3"


def test_it_gives_up_on_a_database_that_never_answers(enter: Enter) -> None:
    assert "CALLED airflow version" not in enter("version", check=False, **ONCE, SUCCEED_AT="9")


@pytest.mark.parametrize("command", [("celery", "worker"), ("scheduler",), ("airflow", "scheduler")])
def test_scheduler_and_worker_wait_for_the_broker(enter: Enter, command: tuple[str, ...]) -> None:
    said = enter(
        *command,
        check=False,
        AIRFLOW__CORE__EXECUTOR="CeleryExecutor",
        AIRFLOW__CELERY__BROKER_URL="redis://user:hunter2@127.0.0.1:1/0",
        **ONCE,
    )
    assert "CALLED airflow scheduler" not in said
    assert "CALLED airflow celery" not in said
    assert "hunter2" not in said


def test_others_do_not_wait_for_the_broker(enter: Enter) -> None:
    said = enter("triggerer", AIRFLOW__CELERY__BROKER_URL="redis://127.0.0.1:1/0", **ONCE)
    assert "CALLED airflow triggerer" in said


def test_it_migrates_and_creates_a_user_before_the_command(enter: Enter) -> None:
    said = enter(
        "version",
        _AIRFLOW_DB_MIGRATE="true",
        _AIRFLOW_WWW_USER_CREATE="true",
        _AIRFLOW_WWW_USER_PASSWORD_CMD="echo opensesame",
    )
    calls = [line for line in said.splitlines() if line.startswith("CALLED")]
    assert [" ".join(call.split()[2:4]) for call in calls] == ["db migrate", "users create", "version"]
    for option in ("--username admin", "--role Admin", "--email airflowadmin@example.com", "opensesame"):
        assert option in calls[1]


def test_a_user_needs_a_password(enter: Enter) -> None:
    assert "CALLED airflow users" not in enter("version", check=False, _AIRFLOW_WWW_USER_CREATE="true")


def test_the_command_gets_the_signal_that_stops_the_container(docker: Docker, airflow_image: str) -> None:
    trap = "trap 'exit 3' TERM; touch /tmp/ready; sleep infinity & wait"
    options = ("--env=CONNECTION_CHECK_MAX_COUNT=0",)
    name = docker.start("stopped", airflow_image, "bash", "-c", trap, options=options)
    eventually(
        lambda: docker("exec", name, "test", "-e", "/tmp/ready", check=False).returncode == 0,
        timeout=30,
        what="the command in the container to start",
    )
    docker("stop", "--time", "60", name)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip() == "3"
