"""What the mirror's modules for pods change in the image's own Airflow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from docker_cli import Docker

from harness.mocks import pods_site

pytestmark = pytest.mark.itest
SITE = Path(pods_site.__file__).parent
EXECUTION_API = """
import json
from airflow.api_fastapi.execution_api.app import create_task_execution_api_app
from airflow.sdk.api.datamodels._generated import API_VERSION
from starlette.testclient import TestClient

app = create_task_execution_api_app()
with TestClient(app) as client:
    newest = client.get("/health", headers={"Airflow-API-Version": API_VERSION})
    paths = sorted(
        f"{method} {route.path}"
        for route in app.router.versioned_routers[API_VERSION].routes
        for method in getattr(route, "methods", None) or ()
    )
    print("SAID " + json.dumps([newest.json(), API_VERSION, list(app.router.versioned_routers), paths]))
"""
OPENAPI = """
import hashlib
import sys
from starlette.testclient import TestClient
from airflow.api_fastapi.main import app
from fastapi.routing import APIRoute

def examined(routes):
    return [r for r in routes if isinstance(r, APIRoute) and "dependant" in vars(r)]

early = len(examined(app.routes))
with TestClient(app) as client:
    asked = [client.get("/api/v2/version").status_code, client.get("/api/v2/variables").status_code]
    late = len(examined(app.routes))
    told = [client.get(path).content for path in ("/openapi.json", "/execution/openapi.json?version=" + sys.argv[1])]
digests = [hashlib.sha256(text).hexdigest() for text in told]
print("SAID", early, late, len(app.routes), *asked, *digests)
"""
LATE = """
import json
import sys
from airflow import settings
from airflow.jobs import scheduler_job_runner
from airflow.utils.serve_logs import create_app
from airflow.sdk.definitions._internal.decorators import remove_task_decorator
from airflow.sdk.log import mask_secret
from airflow.sdk._shared.secrets_masker import redact

settings.initialize()
# What the configuration holds already is one of them; the function is asked for an own one.
mask_secret("of-this-test")
HEAVY = ("alembic", "boto3", "fastapi", "libcst", "airflow.sdk.execution_time.task_runner")
early = [name for name in HEAVY if name in sys.modules]

from itest_logging import REMOTE_TASK_LOG
from airflow.dag_processing import manager
import httpx
with httpx.Client(transport=manager._make_execution_api().transport, base_url="http://in-process.invalid./") as client:
    health = client.get("/health").json()
import alembic.ddl.impl
handler = REMOTE_TASK_LOG.upload.__self__
print("SAID " + json.dumps([
    early,
    redact("x of-this-test x"),
    health,
    remove_task_decorator("@task\\ndef f():\\n    pass\\n", "@task"),
    type(create_app()).__name__,
    sorted(alembic.ddl.impl._impls),
    [REMOTE_TASK_LOG.processors, type(handler).__name__, repr(handler)],
]))
"""
CHEAP = """
import hashlib
import json
import yaml
from pathlib import Path
import airflow.sdk
from airflow.providers_manager import ProvidersManager
from billiard.util import get_pdeathsig, set_pdeathsig

set_pdeathsig(9)
root = Path(airflow.sdk.__file__).parent
parsed = {str(path.relative_to(root)): yaml.safe_load(path.read_text()) for path in sorted(root.rglob("*.y*ml"))}
providers = {name: provider.version for name, provider in ProvidersManager().providers.items()}
print("SAID " + json.dumps([get_pdeathsig(), hashlib.sha256(repr(parsed).encode()).hexdigest(), providers]))
"""
REMOTE_LOGS = (
    "AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS=itest_logging.LOGGING_CONFIG",
    "AIRFLOW__LOGGING__REMOTE_LOGGING=True",
    "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER=s3://airflow-logs/",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=cockroachdb+psycopg2://nobody@nowhere/nothing",
)


def say(docker: Docker, image: str, settings: tuple[str, ...], script: str, *arguments: str) -> str:
    """What a script says in the image, whose Python has the modules with settings of theirs."""
    options = (
        "--entrypoint=python",
        f"--volume={SITE}:/opt/site:ro",
        "--env=PYTHONPATH=/opt/site",
        "--env=AIRFLOW__API_AUTH__JWT_SECRET=of-this-test",
        *(f"--env={setting}" for setting in settings),
    )
    lines = docker.run(image, "-c", script, *arguments, options=options).splitlines()
    return next(line.removeprefix("SAID ") for line in lines if line.startswith("SAID "))


def application(docker: Docker, image: str, setting: str, version: str) -> list[str]:
    """How many routes were examined before and after two requests, of how many; the requests' status; what the
    application's two OpenAPI documents are."""
    return say(docker, image, (f"ITEST_ROUTES={setting}",), OPENAPI, version).split()


def execution_api(docker: Docker, image: str, setting: str) -> list[object]:
    """What its health check says, the task SDK's version, the API's versions, and what the SDK's version has."""
    found: list[object] = json.loads(say(docker, image, (f"ITEST_EXECUTION_API={setting}",), EXECUTION_API))
    return found


def test_routes_that_are_examined_late_are_the_same_routes(docker: Docker, airflow_image: str) -> None:
    _, version, *_ = execution_api(docker, airflow_image, "newest")
    early, late, count, *lazily = application(docker, airflow_image, "lazy", str(version))
    all_early, all_late, all_count, *eagerly = application(docker, airflow_image, "", str(version))
    assert lazily == eagerly
    assert eagerly[:2] == ["200", "401"]
    assert (early, int(late)) == ("0", 2)
    assert all_early == all_late
    assert int(all_early) > 100
    assert count == all_count


def test_the_newest_execution_api_is_the_one_that_tasks_speak_and_has_all_of_it(
    docker: Docker, airflow_image: str
) -> None:
    health, spoken, versions, paths = execution_api(docker, airflow_image, "newest")
    assert (health, versions) == ({"status": "healthy"}, [spoken])
    _, _, all_versions, all_paths = execution_api(docker, airflow_image, "")
    assert isinstance(all_versions, list)
    assert len(all_versions) > 1
    assert paths == all_paths


def test_what_is_imported_late_is_the_same_when_it_is_used(docker: Docker, airflow_image: str) -> None:
    late = ("ITEST_IMPORTS=late", "ITEST_TASK_MODULES=late")
    early, *said = json.loads(say(docker, airflow_image, (*REMOTE_LOGS, *late), LATE))
    all_early, *all_said = json.loads(say(docker, airflow_image, REMOTE_LOGS, LATE))
    assert said == all_said
    assert early == []
    assert all_early == ["alembic", "boto3", "fastapi", "libcst", "airflow.sdk.execution_time.task_runner"]
    masked, health, source, application, dialects, (_, handler, _) = said
    assert (masked, health, source) == ("x *** x", {"status": "healthy"}, "def f():\n    pass\n")
    assert (application, handler) == ("FastAPI", "S3RemoteLogIO")
    assert "cockroachdb" in dialects


def test_a_cheap_start_comes_to_the_same(docker: Docker, airflow_image: str) -> None:
    cheap = json.loads(say(docker, airflow_image, ("ITEST_START=cheap",), CHEAP))
    dear = json.loads(say(docker, airflow_image, (), CHEAP))
    assert cheap == dear
    assert cheap[0] == 9
    assert len(cheap[2]) > 10
