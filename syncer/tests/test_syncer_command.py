import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from git_http import git_server
from syncer_kit import PATIENCE, Origin, Setup, eventually, serves, sidecar, status

LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (info|warning|error) [\w' ]+( [a-z_]+=\S.*)?")


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which no origin answers."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/origin"


def test_a_missing_source_ends_with_64_and_says_so(setup: Setup) -> None:
    for command in ("run", "once"):
        code, _, errors = setup.run(command, source="")
        assert (code, "CONTENT_SYNCER_GIT_REPO_SOURCE is not set" in errors) == (64, True)


@pytest.mark.parametrize(
    "arguments", [["once", "--interval", "soon"], ["once", "--nonsense"], ["nonsense"], []], ids=" ".join
)
def test_a_wrong_command_line_ends_with_64(setup: Setup, arguments: list[str]) -> None:
    assert setup.run(*arguments)[0] == 64


def test_help_shows_examples_and_every_setting(setup: Setup) -> None:
    code, output, _ = setup.run("--help")
    assert (code, "examples:" in output) == (0, True)
    code, output, _ = setup.run("run", "--help")
    assert (code, "CONTENT_SYNCER_GIT_REPO_SUBPATH" in output) == (0, True)


def test_a_flag_wins_over_the_environment(setup: Setup, tmp_path: Path) -> None:
    code, _, errors = setup.run("once", "--target", str(tmp_path / "flagged"))
    assert code == 0, errors
    assert (tmp_path / "flagged/dags/rollout.py").exists()
    assert not setup.target.exists()


def test_once_publishes_and_reports(setup: Setup, origin: Origin) -> None:
    code, output, errors = setup.run("once")
    assert (code, output) == (0, "")
    assert re.search(
        r"info synced revision=[0-9a-f]{40} took=\S+ changed=plugins/operators,\S+,dags\n", errors
    )
    assert all(LOG_LINE.fullmatch(line) for line in errors.splitlines())
    assert set(status(setup)) == {
        "revision", "published_at", "last_success", "last_attempt", "last_error", "attempts", "failures",
        "source", "branch", "subpath", "pid", "held", "rejected", "last_error_reason", "failures_by_reason",
        "last_sync_seconds", "sync_seconds_total", "bytes_written",
    }  # fmt: skip
    assert status(setup)["revision"] == origin.git("rev-parse", "HEAD")
    assert status(setup)["last_error"] is None
    for moment in ("published_at", "last_success", "last_attempt"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", status(setup)[moment])


def test_once_goes_on_with_an_earlier_revision_when_the_origin_is_away(setup: Setup, nobody: str) -> None:
    setup.syncer().sync()
    code, _, errors = setup.run("once", source=nobody)
    assert (code, "warning going on with what an earlier sync published" in errors) == (0, True)
    assert status(setup)["failures"] == 1
    assert "unable to access" in status(setup)["last_error"]
    assert status(setup)["revision"]


def test_once_gives_up_when_there_is_nothing_to_serve(setup: Setup, nobody: str) -> None:
    code, _, errors = setup.run("once", source=nobody, once_timeout="0.2")
    assert (code, "error gave up after=0.2s" in errors) == (1, True)
    assert status(setup)["revision"] is None


def test_once_retries_until_the_origin_is_there(setup: Setup, origin: Origin) -> None:
    away = origin.path.rename(origin.path.parent / "away")
    with setup.command("once") as process:
        eventually(lambda: status(setup).get("failures", 0) > 0, "the first attempt failed")
        away.rename(origin.path)
        assert process.wait(PATIENCE) == 0
    assert setup.content()["dags/rollout.py"] == "dag 1\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_once_that_was_told_to_end_has_not_succeeded(
    setup: Setup, nobody: str, number: int, code: int
) -> None:
    with setup.command("once", source=nobody) as process:
        eventually(lambda: bool(status(setup)), "the first attempt failed")
        process.send_signal(number)
        assert process.wait(PATIENCE) == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_ends_with_0_when_told_to_while_it_sleeps(setup: Setup, tmp_path: Path, number: int) -> None:
    with sidecar(setup) as process:
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE)
        assert (process.returncode, "info stopped signal=SIG" in errors) == (0, True)
    assert not list((tmp_path / "cache").glob("repository-*"))


def test_run_ends_with_0_when_told_to_while_git_hangs_and_takes_git_with_it(setup: Setup) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/origin"
        with setup.command("run", source=address) as process:
            connection, _ = silent.accept()
            with connection:
                connection.settimeout(PATIENCE)
                assert connection.recv(1 << 16)
                process.send_signal(signal.SIGTERM)
                assert process.wait(PATIENCE) == 0
                assert connection.recv(1) == b"", "git still holds its connection"


def test_run_syncs_again_after_the_interval(setup: Setup, origin: Origin) -> None:
    with sidecar(setup, interval="0.1"):
        revision = origin.commit({"content/dags/rollout.py": "dag 2\n"})
        eventually(partial(serves, setup, revision), "the new revision was published")
    assert setup.content()["dags/rollout.py"] == "dag 2\n"


def test_run_syncs_at_once_on_sigusr1_though_it_sleeps(setup: Setup, origin: Origin) -> None:
    with sidecar(setup, interval="100000") as process:
        for number in (2, 3):
            revision = origin.commit({"content/dags/rollout.py": f"dag {number}\n"})
            process.send_signal(signal.SIGUSR1)
            eventually(partial(serves, setup, revision), "the new revision was published")


def test_a_sigusr1_during_a_sync_is_not_lost(setup: Setup, origin: Origin) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/origin"
        with setup.command("run", source=address, interval="100000", git_timeout="0.5") as process:
            with silent.accept()[0]:
                process.send_signal(signal.SIGUSR1)
            eventually(lambda: status(setup).get("attempts", 0) >= 2, "a second attempt was made")
            process.kill()


def test_run_keeps_serving_and_reports_while_the_origin_is_away(setup: Setup, origin: Origin) -> None:
    with sidecar(setup, interval="0.1") as process:
        first = status(setup)
        away = origin.path.rename(origin.path.parent / "away")
        eventually(lambda: status(setup)["failures"] >= 2, "two attempts failed")
        failing = status(setup)
        assert failing["revision"] == first["revision"]
        assert failing["last_attempt"] > failing["last_success"]
        assert failing["last_error"]
        assert setup.content()["dags/rollout.py"] == "dag 1\n"
        assert setup.run("healthcheck")[0] == 0
        away.rename(origin.path)
        eventually(lambda: status(setup)["last_error"] is None, "the syncer recovered")
        process.terminate()
        _, errors = process.communicate(timeout=PATIENCE)
    failures = [line for line in errors.splitlines() if "error sync failed" in line]
    assert failures
    assert all(LOG_LINE.fullmatch(line) for line in failures)


def test_the_last_success_survives_a_restart(setup: Setup, nobody: str) -> None:
    setup.run("once")
    success = status(setup)["last_success"]
    setup.run("once", source=nobody)
    assert status(setup)["last_success"] == success


def test_status_prints_the_file_and_fails_without_one(setup: Setup) -> None:
    code, output, errors = setup.run("status")
    assert (code, output, "no status" in errors) == (1, "", True)
    setup.run("once")
    code, output, _ = setup.run("status")
    assert (code, json.loads(output)) == (0, status(setup))


def test_healthcheck_tells_whether_a_revision_is_served(setup: Setup) -> None:
    assert setup.run("healthcheck")[0] == 1
    setup.run("once")
    assert setup.run("healthcheck")[0] == 0
    (setup.target / "dags").unlink()
    assert setup.run("healthcheck")[0] == 1


def test_neither_output_nor_status_shows_the_token(setup: Setup, tmp_path: Path) -> None:
    token = "s3cr3t-t0ken"
    with git_server(tmp_path, "robot", token) as server:
        address = f"{server.host}/origin"
        worked = setup.run("once", source=f"http://robot:{token}@{address}")
        refused = setup.run("once", source=f"http://robot:{token}x@{address}", once_timeout="0.1")
        redirected = setup.run("once", source=f"http://{token}@{address}/nowhere", once_timeout="0.1")
    text = "".join(part for _, *parts in (worked, refused, redirected) for part in parts)
    assert "synced" in text
    assert "Authentication failed" in text
    assert token not in text
    assert token not in (setup.target / ".syncer/status.json").read_text()
    assert status(setup)["source"] == f"http://{address}/nowhere"


def test_importing_the_command_pulls_in_no_heavy_module(setup: Setup) -> None:
    with setup.command("--help") as process:
        process.communicate(timeout=PATIENCE)
    done = subprocess.run(
        ["python3", "-IS", "-c", f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
         "import content_syncer.cli; print(*sys.modules)"],
        check=True, capture_output=True, text=True, env=os.environ,
    )  # fmt: skip
    heavy = {"asyncio", "http", "ssl", "email", "logging", "unittest", "multiprocessing", "ctypes", "shutil"}
    assert not heavy & set(done.stdout.split())
