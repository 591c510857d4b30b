"""Runs the content inside Airflow, against an Internet Computer and a Slack that exist in memory only.

Needs an installed Airflow, with `content/plugins` and `content/shared` on PYTHONPATH; collects nothing
elsewhere.
"""

import importlib.util
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from in_memory_ic import SUBNETS, InMemoryIc, slack_hook

CONTENT = Path(__file__).parents[3] / "content"
KEY = "-----BEGIN EC PRIVATE KEY-----\nbm90IGEga2V5\n-----END EC PRIVATE KEY-----\n"

_found = importlib.util.find_spec("airflow")
collect_ignore_glob = ["*"] if _found is None or _found.origin is None else []

if not collect_ignore_glob:
    # Read when Airflow is first imported, so it has to be set before any test module is collected.
    _home = tempfile.TemporaryDirectory(prefix="content-tests-")
    os.environ |= {
        "AIRFLOW_HOME": _home.name,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_home.name}/airflow.db",
        "AIRFLOW__CORE__DAGS_FOLDER": str(CONTENT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(CONTENT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__REMOTE_LOGGING": "False",
    }
    os.environ.pop("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Airflow's own warnings are not this repository's to fix."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(scope="session")
def database() -> None:
    """A migrated metadata database."""
    subprocess.run(["airflow", "db", "migrate"], check=True, capture_output=True)


@pytest.fixture
def ic(monkeypatch: pytest.MonkeyPatch) -> InMemoryIc:
    """An Internet Computer that every HTTP request and every ic-admin of the test reaches."""
    fake = InMemoryIc(SUBNETS)

    async def answer_async(_: object, request: httpx.Request) -> httpx.Response:
        return fake.answer(request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda _, request: fake.answer(request))
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", answer_async)
    monkeypatch.setattr("dfinity.ic_admin.subprocess.run", fake.ic_admin)
    return fake


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The messages posted so far."""
    posted: list[dict[str, Any]] = []
    monkeypatch.setattr("airflow.providers.slack.hooks.slack.SlackHook", slack_hook(posted))
    return posted


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The variable and the connection that a rollout from YAML needs; the patch can take them away."""
    monkeypatch.setenv("AIRFLOW_VAR_DFINITY.IC_ADMIN.MAINNET.PROPOSER_KEY_FILE", KEY)
    monkeypatch.setenv("AIRFLOW_CONN_SLACK.IC_OS_ROLLOUT", "slack://:token@")
    return monkeypatch
