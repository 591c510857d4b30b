"""The mirror itself: every pod serves one revision, pushes arrive everywhere, and nothing gets out."""

import pytest

from harness import engine
from harness.environment import Environment
from harness.mocks.readers import S3Reader
from harness.waits import eventually

PROBE = """
import socket
import time
import urllib.request

from airflow.providers.common.compat.sdk import dag, task


@dag(schedule=None)
def egress_probe():
    @task
    def reach(url):
        began = time.monotonic()
        try:
            urllib.request.urlopen(url, timeout=20)
        except OSError as error:
            return {"error": str(error), "seconds": time.monotonic() - began}
        return {"error": None}

    reach.expand(url=["https://registry.example.com/x", "http://1.1.1.1/"])


egress_probe()
"""

PRINTS_WORD = """
from airflow.providers.common.compat.sdk import dag, task
from dfinity.word import WORD


@dag(schedule=None)
def prints_word():
    @task
    def say():
        print("the word is", WORD)
        return WORD

    say()


prints_word()
"""


@pytest.mark.private_stack
def test_every_pod_serves_the_pushed_revision(env: Environment) -> None:
    served = env.content.pods()
    assert set(served) == {pod.name for pod in env.topology.pods}
    assert set(served) >= {env.line.api_server, env.line.parser.service, "scheduler", "triggerer", "worker-1"}
    assert {pod.revision for pod in served.values()} == {env.content.revision}
    assert not [pod for pod in served.values() if pod.last_error]


def test_all_components_are_healthy_and_all_dags_load(env: Environment) -> None:
    health = env.airflow.health()
    there = {pod.name.replace("-", "_") for pod in env.topology.pods}
    parts = {"metadatabase", *(there & {"scheduler", "triggerer", "dag_processor"})}
    assert {name: part["status"] for name, part in health.items() if part["status"]} == dict.fromkeys(
        parts, "healthy"
    )
    assert env.airflow.import_errors() == {}


@pytest.mark.private_stack
def test_a_pushed_change_reaches_every_pod_and_runs(env: Environment, s3: S3Reader) -> None:
    files = {"dags/prints_word.py": PRINTS_WORD, "shared/dfinity/word.py": "WORD = 'first'\n"}
    revision = env.content.push_changes(files)
    env.content.deliver(revision)
    run = env.airflow.trigger("prints_word")
    run.wait()
    assert run.xcom("say") == "first"
    assert "the word is first" in run.logs("say")
    # A worker uploads a task's log just after it has told the task's state.
    eventually(lambda: [key for key in s3.keys("airflow-logs") if "prints_word" in key], "its log in S3", 30)

    revision = env.content.push_changes({"shared/dfinity/word.py": "WORD = 'second'\n"})
    env.content.deliver(revision)
    again = env.airflow.trigger("prints_word")
    again.wait()
    assert again.xcom("say") == "second"


@pytest.mark.private_stack
def test_a_pod_that_is_held_keeps_its_revision_until_it_is_released(env: Environment) -> None:
    before = env.content.revision
    held = env.content.hold("worker-1")
    assert (held.revision, held.held) == (before, True)
    revision = env.content.push_changes({"dags/prints_word.py": "x = 1\n"})
    env.content.poke()
    others = [pod.name for pod in env.topology.pods if pod.name != "worker-1"]
    env.content.wait_until_served(revision, others)
    assert env.content.pods()["worker-1"].revision == before
    assert env.content.release("worker-1").revision == revision
    assert env.content.hold("worker-1", before).revision == before


@pytest.mark.private_stack
def test_what_a_push_deletes_is_gone_from_every_pod(env: Environment) -> None:
    for changes in ({"dags/short_lived.py": "x = 1\n"}, {"dags/short_lived.py": None}):
        revision = env.content.push_changes(changes)
        env.content.deliver(revision)
        there = {
            pod.name: env.runtime.exec(pod.name, ["test", "-e", "/opt/airflow/dags/short_lived.py"]).exit_code
            == 0
            for pod in env.topology.pods
        }
        expected = changes["dags/short_lived.py"] is not None
        assert set(there.values()) == {expected}, there


@pytest.mark.expects_egress("registry.example.com:443", "1.1.1.1:80")
def test_calls_out_of_the_stack_are_refused_at_once_and_named(env: Environment) -> None:
    run = env.airflow.trigger(env.add_dag("egress_probe", PROBE))
    run.wait()
    for index in (0, 1):
        outcome = run.xcom("reach", map_index=index)
        assert outcome["error"], outcome
    tried = {(it.pod, it.task_id, it.run_id, it.host, it.port) for it in env.mocks.egress()}
    assert tried == {
        ("worker-1", "reach", run.run_id, host, port)
        for host, port in (("registry.example.com", 443), ("1.1.1.1", 80))
    }


def test_no_pod_has_a_route_out(env: Environment) -> None:
    for service in env.topology.services():
        if (service.network_of or service.sandbox) and not service.one_shot:
            routes = env.runtime.exec(service.name, ["cat", "/proc/net/route"]).output.splitlines()[1:]
            assert [line for line in routes if line.split()[1] == "00000000"] == [], service.name


def test_only_the_gateway_listens_on_the_host_and_not_for_others(env: Environment) -> None:
    for service in env.topology.services():
        ports = (
            engine.client().containers.get(f"{env.stack}-{service.name}").attrs["NetworkSettings"]["Ports"]
        )
        bound = [binding["HostIp"] for bindings in ports.values() for binding in bindings or ()]
        assert bool(bound) == service.edge, service.name
        assert set(bound) <= {engine.bind_address()}, service.name


def status_of(text: str) -> dict[str, str]:
    """The fields of a `/proc/<pid>/status`."""
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def test_pods_run_unprivileged(env: Environment) -> None:
    for pod in env.topology.pods:
        for name in (pod.name, pod.syncer_name):
            # The syncer's image has Python and git, and no tools besides.
            fields = status_of(
                env.runtime.exec(name, ["python3", "-c", "print(open('/proc/self/status').read())"]).output
            )
            assert fields["Uid"].split() == ["50000"] * 4, name
            assert int(fields["CapEff"], 16) == 0, name
        # What keeps the network was root until it had closed the way out.
        fields = status_of(env.runtime.exec(f"{pod.name}-sandbox", ["cat", "/proc/1/status"]).output)
        assert fields["Uid"].split() == ["65534"] * 4, pod.name
        assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == 0, pod.name


def test_no_secret_of_the_stack_is_in_a_log(env: Environment) -> None:
    for service in env.topology.services():
        log = env.runtime.logs(service.name)
        for secret in env.settings.secrets:
            assert secret not in log, service.name
