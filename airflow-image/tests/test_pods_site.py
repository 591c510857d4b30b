"""What the mirror's modules for pods change in the image's own Airflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
DEPENDENCIES = """
import json
from datetime import datetime, timezone

from airflow import settings
from airflow.models import DagRun, TaskInstance, import_all_models
from airflow.models.base import Base
from airflow.models.taskmap import TaskMap
from airflow.providers.common.compat.sdk import DAG, TaskGroup, TriggerRule, task, task_group
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS
from airflow.utils.db import synchronize_log_template

if AIRFLOW_V_3_0_PLUS:
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.xcom import XComModel as XCom
    from airflow.providers.standard.operators.empty import EmptyOperator
else:
    from airflow.models import XCom
    from airflow.operators.empty import EmptyOperator

    # A table of Airflow's own refers to one of these.
    import airflow.providers.fab.auth_manager.models

WHEN = datetime(2026, 1, 5, tzinfo=timezone.utc)
# Airflow 2 has two more, old names of others.
RULES = [rule.value for rule in TriggerRule if rule.value not in ("dummy", "none_failed_or_skipped")]


def step(name, *upstream, rule="all_success"):
    made = EmptyOperator(task_id=name, trigger_rule=rule, retries=1)
    list(upstream) >> made
    return made


def rules():
    ok, other, failed, skipped, never = map(step, ("ok", "ok_other", "failed", "skipped", "skipped_too"))
    slow, retried, below = step("slow"), step("retried"), step("ok_below", failed)
    chain = [step("ok_chain_0")]
    for depth in range(1, 10):
        chain.append(step(f"ok_chain_{depth}", chain[-1]))
    late = chain[-1]
    before = {
        "both": (ok, other),
        "late": (ok, late),
        "one_bad": (ok, failed),
        "one_skipped": (ok, skipped),
        "no_run": (skipped, never),
        "no_good": (failed, skipped),
        "bad_and_late": (failed, late),
        "skipped_and_late": (skipped, late),
        "below": (below,),
        "slow": (slow, retried),
    }
    for rule in RULES:
        for name, upstream in before.items():
            first = step(f"ok_{rule}_{name}", *upstream, rule=rule)
            step(f"ok_{rule}_{name}_next", first, rule=rule)


@task_group(group_id="each")
def short(length):
    step("ok_third", step("ok_second", step("slow_first")))


@task_group(group_id="each")
def wide(length):
    second = step("ok_second", step("slow_first"))
    third = step("odd_third", second)
    last = step("ok_last", rule="all_done")
    for rule in (rule for rule in RULES if rule != "always"):
        step(f"ok_{rule}", second, third, rule=rule) >> last


@task
def given(length):
    return length


@task_group(group_id="each")
def argued(length):
    # Each task depends on what expands the group, too, by its argument.
    first, second, third = (given.override(task_id=f"slow_{name}")(length) for name in ("first", "second", "third"))
    odd, late = (given.override(task_id=f"{name}_fourth")(length) for name in ("odd", "slow"))
    last = given.override(task_id="ok_last", trigger_rule="none_failed")(length)
    first >> second >> third >> [odd, late] >> last
    late >> given.override(task_id="ok_after", trigger_rule="one_done")(length)


@task
def ok_mapped(length):
    return length


@task
def ok_mapped_again(length):
    return length


def batches(name, kinds, group=short):
    # As `content/dags/rollout_ic_os_to_mainnet_subnets.py` has them. By its name, a group comes before what it is
    # expanded by in the scheduler's rounds, or after it.
    last = None
    for number, kind in enumerate(kinds):
        length = 0 if kind == "ok_none" else number + 2
        start = step(f"{kind}_of_{name}_{number}_lengths_{length}")
        if kind == "after":
            step(f"skipped_{name}_{number}") >> start
        if kind == "below":
            step(f"failed_{name}_{number}") >> start
        with TaskGroup(group_id=f"{name}_{number}"):
            join = step("ok_join", rule="none_failed")
            group.expand(length=start.output) >> join
        if last is not None:
            last >> [start, join]
        last = join
    step(f"ok_{name}_summary", last, rule="all_done")


def groups():
    for name in ("a", "z"):
        batches(name, ("ok", "ok", "skipped", "ok_none", "after", "ok"))


def groups_with_arguments():
    for name in ("a", "z"):
        batches(name, ("ok", "skipped", "ok_none", "after"), argued)
        batches(f"{name}_bad", ("ok", "below"), argued)


def groups_with_rules():
    for name in ("a", "z"):
        batches(name, ("ok", "after"), wide)
        batches(f"{name}_bad", ("ok", "below"))


def mapped():
    two = ok_mapped_again.expand(length=ok_mapped.expand(length=step("ok_lengths_2").output))
    step("ok_done", two, rule="all_done")
    for name in ("a", "z"):
        with TaskGroup(group_id=name):
            short.expand(length=two)
            none = ok_mapped.override(task_id="ok_none").expand(length=step("ok_lengths_0").output)
            skipped = ok_mapped.override(task_id="ok_skipped").expand(
                length=step("ok_lengths_3", step("skipped"), step("ok")).output
            )
            for group_id, length in (("after_none", none), ("after_skipped", skipped)):
                with TaskGroup(group_id=group_id):
                    short.expand(length=length)


def stuck():
    step("ok_last", step("ok_never", step("removed"), rule="all_skipped"), rule="all_done")


def created(build, session):
    # A run of the DAG that `build` makes, as the scheduler would have it.
    with DAG(build.__name__, schedule=None, start_date=WHEN) as dag:
        build()
    # Airflow 3 stores the source, and a script of `python -c` is in no file.
    dag.fileloc = settings.__file__
    common = {"run_id": "manual__1", "state": "running", "run_type": "manual", "session": session}
    if not AIRFLOW_V_3_0_PLUS:
        from airflow.serialization.serialized_objects import SerializedDAG

        dag = SerializedDAG.deserialize_dag(SerializedDAG.serialize_dag(dag))
        return dag, dag.create_dagrun(execution_date=WHEN, data_interval=(WHEN, WHEN), **common)
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.definitions.dag import SerializedDAG
    from airflow.serialization.serialized_objects import DagSerialization, LazyDeserializedDAG
    from airflow.utils.types import DagRunTriggeredByType

    SerializedDAG.bulk_write_to_db("bundle", None, [dag], session=session)
    SerializedDagModel.write_dag(LazyDeserializedDAG.from_dag(dag), bundle_name="bundle", session=session)
    session.flush()
    dag = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    return dag, dag.create_dagrun(run_after=WHEN, triggered_by=DagRunTriggeredByType.TEST, **common)


def end(ti, session):
    # Give a task instance that is ready, or has been begun, its next state: by its task's name, and its index.
    name = ti.task_id.split(".")[-1].split("_")[0]
    if name == "slow" and ti.state != "running":
        ti.state = "running"
        return
    if name == "retried" and ti.state is None:
        ti.state, ti.end_date = "up_for_retry", WHEN
        return
    ends = {"failed": "failed", "skipped": "skipped", "removed": "removed"}
    ti.state = "failed" if name == "odd" and ti.map_index % 2 else ends.get(name, "success")
    if ti.state == "success" and "_lengths_" in ti.task_id:
        length = int(ti.task_id.rsplit("_", 1)[1])
        session.add(TaskMap(ti.dag_id, ti.task_id, ti.run_id, ti.map_index, length, None))
    if ti.task_id.startswith("ok_mapped"):
        whose = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": ti.map_index}
        XCom.set(key="return_value", value=1, session=session, **whose)


def lived(build):
    # What happens in a DAG run: who is ready in each round, who is new, and whose state it changes; the states at the
    # end.
    session = settings.Session()
    dag, _ = created(build, session)
    session.commit()
    rounds, before = [], {}
    for _ in range(100):
        session.expunge_all()
        run = session.query(DagRun).filter_by(dag_id=dag.dag_id).one()
        run.dag = dag
        ready = [(ti.task_id, ti.map_index) for ti in run.update_state(session=session, execute_callbacks=False)[0]]
        session.commit()
        session.expunge_all()
        now = {(ti.task_id, ti.map_index): ti for ti in session.query(TaskInstance).filter_by(dag_id=dag.dag_id)}
        changed = sorted([*key, ti.state] for key, ti in now.items() if before.get(key, "not there") != ti.state)
        rounds.append([ready, changed])
        if run.state != "running":
            break
        for key, ti in now.items():
            if key in ready or ti.state == "running":
                end(ti, session)
        session.commit()
        before = {key: ti.state for key, ti in now.items()}
    return rounds, run.state, sorted([*key, ti.state] for key, ti in now.items())


import_all_models()
Base.metadata.create_all(settings.engine)
with settings.Session() as session:
    synchronize_log_template(session=session)
    if AIRFLOW_V_3_0_PLUS:
        session.add(DagBundleModel(name="bundle"))
    session.commit()
asked = []
are_met = TaskInstance.are_dependencies_met


def counted(ti, *arguments, **named):
    asked.append(ti)
    return are_met(ti, *arguments, **named)


TaskInstance.are_dependencies_met = counted
said = {}
for build in (rules, groups, groups_with_arguments, groups_with_rules, mapped, stuck):
    asked.clear()
    said[build.__name__] = [*lived(build), len(asked)]
print("SAID " + json.dumps(said))
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


def lives(docker: Docker, image: str, setting: str) -> dict[str, list[Any]]:
    """Of each DAG: its run's rounds, the run's state and its task instances' at the end, and how many evaluations."""
    settings = (
        f"ITEST_DEPENDENCIES={setting}",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=sqlite:////tmp/dependencies.db",
        "AIRFLOW__LOGGING__LOGGING_LEVEL=WARNING",
    )
    found: dict[str, list[Any]] = json.loads(say(docker, image, settings, DEPENDENCIES))
    return found


def test_a_run_whose_scheduler_evaluates_fewer_task_instances_is_the_same_round_by_round(
    docker: Docker, airflow_image: str
) -> None:
    fewer, all_of_them = lives(docker, airflow_image, "reachable"), lives(docker, airflow_image, "")
    assert {name: run for name, (_, run, *_) in all_of_them.items()} == {
        "rules": "failed",
        "groups": "success",
        "groups_with_arguments": "success",
        "groups_with_rules": "success",
        "mapped": "success",
        "stuck": "failed",
    }
    ends = {tuple(end[1:]) for _, _, states, _ in all_of_them.values() for end in states}
    kinds = ("success", "failed", "skipped", "upstream_failed")
    assert ends >= {(index, state) for index in (-1, 1) for state in kinds}
    for name, (rounds, run, states, asked) in all_of_them.items():
        fewer_rounds, fewer_run, fewer_states, fewer_asked = fewer[name]
        for number, (happened, expected) in enumerate(zip(fewer_rounds, rounds, strict=False)):
            assert happened == expected, f"round {number} of {name}"
        assert (len(fewer_rounds), fewer_run, fewer_states) == (len(rounds), run, states), name
        assert fewer_asked < asked, name
