"""What pods run at every start of Python, in processes of its own: announcing tasks, tuning the collector, and
never getting into anybody's way."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.mocks.identity import NOBODY, Identity
from harness.mocks.pods_site import sitecustomize
from harness.mocks.readers import MocksControl, Request

from .conftest import Running, exported, task_of

TENANT, OTHER = "tn0badcafe", "tn00000002"
HELLO = 'TEXT, TOKEN = "hello", "xoxb-for-this-test-run"\n'
CLIENTS = {
    "urllib": """
import json, urllib.request
body = json.dumps({"channel": "ic-os-rollout", "text": TEXT}).encode()
headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
asked = urllib.request.Request("https://slack.com/api/chat.postMessage", body, headers)
with urllib.request.urlopen(asked, timeout=10) as answer:
    assert json.load(answer)["ok"]
""",
    "requests": """
import requests
body, headers = {"channel": "ic-os-rollout", "text": TEXT}, {"Authorization": f"Bearer {TOKEN}"}
assert requests.post("http://slack.com/api/chat.postMessage", json=body, headers=headers, timeout=10).json()["ok"]
""",
    "httpx": """
import httpx
body, headers = {"channel": "ic-os-rollout", "text": TEXT}, {"Authorization": f"Bearer {TOKEN}"}
assert httpx.post("https://slack.com/api/chat.postMessage", json=body, headers=headers).json()["ok"]
""",
    "httplib2": """
import httplib2, json
http = httplib2.Http(timeout=10)
headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
body = json.dumps({"channel": "ic-os-rollout", "text": TEXT})
_, answer = http.request("https://slack.com/api/chat.postMessage", "POST", body, headers)
assert json.loads(answer)["ok"]
http.close()
""",
}


def asked(entry: Request) -> Identity:
    """Who is behind a journal entry."""
    return Identity(entry.dag_id, entry.run_id, entry.task_id, entry.map_index, entry.try_number)


@pytest.mark.parametrize("client", CLIENTS)
def test_what_a_task_posts_arrives_in_its_tenancy_whatever_client_it_uses(
    running: Running, mocks: MocksControl, client: str
) -> None:
    task = task_of(TENANT)
    running.pod(HELLO + CLIENTS[client], **exported(task))
    mine = mocks.for_tenant(TENANT)
    assert [message.text for message in mine.slack.messages()] == ["hello"]
    assert [asked(entry) for entry in mine.journal(service="slack")] == [task]
    assert mocks.slack.messages() == mocks.for_tenant(OTHER).slack.messages() == []
    assert mocks.journal() == mine.journal()


MAPPED = f"""
import os, subprocess, sys, types
module = types.ModuleType({sitecustomize.CONTEXTS[0]!r})
module._CURRENT_CONTEXT = [dict(ti=types.SimpleNamespace(task_id="tell", map_index=3))]
sys.modules[module.__name__] = module
"""
"""A process that runs a task, as far as anybody can tell: Airflow exports no map index."""


@pytest.mark.parametrize("variables", ["None", "{**os.environ, 'ITS': 'own'}"])
def test_what_a_mapped_task_has_started_is_known_by_its_index(
    running: Running, mocks: MocksControl, variables: str
) -> None:
    script = f"""{MAPPED}
child = [sys.executable, "-m", "tests.unit.mocks.redirect"]
subprocess.run(child, input={HELLO + CLIENTS["urllib"]!r}, env={variables}, check=True, text=True)
"""
    running.pod(script, **exported(task_of(TENANT)))
    assert [asked(entry).map_index for entry in mocks.journal(service="slack")] == [3]


def test_a_child_that_knows_no_task_is_told_no_index(running: Running) -> None:
    child = "import os; assert 'ITEST_MAP_INDEX' not in os.environ"
    script = f"""{MAPPED}
subprocess.run([sys.executable, "-c", {child!r}], check=True, env=dict(PATH=os.environ["PATH"]))
"""
    running.pod(script, **exported(task_of(TENANT)))


@pytest.mark.parametrize("environment", [{}, {"AIRFLOW_CTX_DAG_ID": "dag"}])
def test_a_process_that_runs_no_task_is_of_the_default_tenancy(
    running: Running, mocks: MocksControl, environment: dict[str, str]
) -> None:
    running.pod(HELLO + CLIENTS["urllib"], **environment)
    assert [message.text for message in mocks.slack.messages()] == ["hello"]
    assert [asked(entry) for entry in mocks.journal()] == [NOBODY]


def test_half_an_identity_in_the_environment_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = exported(task_of(TENANT))
    for missing in ("AIRFLOW_CTX_DAG_ID", "AIRFLOW_CTX_DAG_RUN_ID"):
        for name, value in everything.items():
            monkeypatch.setenv(name, "" if name == missing else value)
        assert sitecustomize.of_environment() is None


def test_the_identity_is_the_one_at_the_time_of_the_connection(running: Running, mocks: MocksControl) -> None:
    change = f"import os\nos.environ.update({exported(task_of(OTHER))!r})\n"
    running.pod(HELLO + CLIENTS["urllib"] + change + CLIENTS["urllib"], **exported(task_of(TENANT)))
    assert [entry.tenant for entry in mocks.journal()] == [TENANT, OTHER]


def test_a_host_that_a_task_looks_up_in_vain_is_known_as_its_attempt(
    running: Running, mocks: MocksControl
) -> None:
    script = """
import socket
for name in ("telemetry.unknown.example.com", "telemetry.unknown.example.com", "other.unknown.example.com"):
    try:
        socket.create_connection((name, 443))
    except socket.gaierror:
        pass
"""
    task = task_of(TENANT, "phone_home")
    running.pod(script, **exported(task))
    attempts = mocks.for_tenant(TENANT).egress()
    assert [(attempt.host, attempt.port) for attempt in attempts] == [
        ("telemetry.unknown.example.com", 443),
        ("other.unknown.example.com", 443),
    ]
    assert {(attempt.dag_id, attempt.run_id, attempt.task_id) for attempt in attempts} == {
        (task.dag_id, task.run_id, "phone_home")
    }
    assert mocks.for_tenant(OTHER).egress() == []


def test_an_address_outside_of_the_stack_is_known_as_a_tasks_attempt(
    running: Running, mocks: MocksControl
) -> None:
    script = """
import socket
for address in (("192.0.2.7", 81), ("192.0.2.7", 81), ("127.0.0.1", 9)):
    try:
        socket.create_connection(address, timeout=0.1)
    except OSError:
        pass
"""
    running.pod(script, **exported(task_of(TENANT, "phone_home")))
    (attempt,) = mocks.for_tenant(TENANT).egress()
    assert (attempt.host, attempt.port, attempt.task_id) == ("192.0.2.7", 81, "phone_home")


TRIGGERS = """
import asyncio, contextvars, json, socket, sys, urllib.request
import httpx

def bind(**values):  # as structlog does
    for name, value in values.items():
        contextvars.ContextVar(f"structlog_{name}", default=...).set(value)

async def by_httpx():
    async with httpx.AsyncClient() as client:
        await client.get("https://dashboard.mainnet.dfinity.network/api/proxy/registry/mainnet/subnets")

async def by_a_child():
    await asyncio.create_task(by_httpx())

async def by_asyncio():
    reader, writer = await asyncio.open_connection("dashboard.mainnet.dfinity.network", 80)
    writer.write(b"GET /api/proxy/registry/mainnet/subnets HTTP/1.0\\r\\n")
    writer.write(b"Host: dashboard.mainnet.dfinity.network\\r\\n\\r\\n")
    await writer.drain()
    await reader.read()
    writer.close()
    await writer.wait_closed()

def get():
    url = "http://dashboard.mainnet.dfinity.network/api/proxy/registry/mainnet/subnets"
    urllib.request.urlopen(url, timeout=10).close()

async def by_a_thread():
    await asyncio.to_thread(get)

async def by_an_executor():
    await asyncio.get_running_loop().run_in_executor(None, get)

async def by_a_client():
    async with httpx.AsyncClient() as client:
        try:
            await client.get("https://telemetry.unknown.example.com/")
        except httpx.ConnectError:
            pass

async def by_name():
    try:
        await asyncio.get_running_loop().getaddrinfo("telemetry.unknown.example.com", 443)
    except socket.gaierror:
        pass

async def run_trigger(number, bound):
    bind(**bound)
    await asyncio.sleep(0)
    for _ in range(2):
        await globals()[sys.argv[1]]()

async def main():
    started = []
    for number, (name, bound) in enumerate(json.loads(sys.argv[2])):
        started.append(asyncio.create_task(run_trigger(number, bound), name=name))
        await asyncio.sleep(0)
    await asyncio.gather(*started)

asyncio.run(main())
"""


def trigger_name(identity: Identity, number: int) -> str:
    path = (
        f"{identity.dag_id}/{identity.run_id}/{identity.task_id}/{identity.map_index}/{identity.try_number}"
    )
    return f"{path} (ID {number})"


def run_triggers(running: Running, way: str, bound: str, waiting: list[Identity]) -> None:
    """Run a triggerer's loop with a trigger for each identity at once, all asking in one `way`.

    bound: which fields Airflow has bound to the context: "all", only the trigger's "id", "nothing", or all in tasks
    "without a name".
    """
    triggers = []
    for number, identity in enumerate(waiting, 10):
        fields: dict[str, Any] = {} if bound == "nothing" else {"trigger_id": number}
        if bound in ("all", "without a name"):
            names = ("dag_id", "run_id", "task_id", "map_index", "try_number")
            fields |= {name: getattr(identity, name) for name in names} | {"ti_id": None}
        name = f"Task-{number}" if bound == "without a name" else trigger_name(identity, number)
        triggers.append((name, fields))
    running.pod(TRIGGERS, way, json.dumps(triggers))


WAITING = [
    Identity("rollout", f"x/{tenant}/y", "wait", index, 2) for index, tenant in enumerate((TENANT, OTHER))
]


@pytest.mark.parametrize("bound", ["all", "id", "without a name"])
@pytest.mark.parametrize("way", ["by_httpx", "by_a_child", "by_asyncio", "by_a_thread", "by_an_executor"])
def test_triggers_in_one_process_ask_each_in_its_own_tenancy(
    running: Running, mocks: MocksControl, way: str, bound: str
) -> None:
    run_triggers(running, way, bound, WAITING)
    for identity in WAITING:
        entries = mocks.for_tenant(identity.tenant).journal(service="ic_registry")
        assert [asked(entry) for entry in entries] == [identity] * 2
    assert len(mocks.journal()) == 4


def test_a_trigger_is_known_by_its_name_before_anything_is_bound(
    running: Running, mocks: MocksControl
) -> None:
    run_triggers(running, "by_asyncio", "nothing", WAITING[:1])
    assert {asked(entry) for entry in mocks.journal()} == {WAITING[0]}


@pytest.mark.parametrize("way", ["by_name", "by_a_client"])
def test_a_host_that_a_trigger_looks_up_in_vain_is_known_as_its_attempt(
    running: Running, mocks: MocksControl, way: str
) -> None:
    run_triggers(running, way, "all", WAITING[:1])
    (attempt,) = mocks.for_tenant(TENANT).egress()
    assert (attempt.host, attempt.task_id) == ("telemetry.unknown.example.com", "wait")


def test_a_host_that_two_tasks_look_up_at_once_is_both_their_attempt(
    running: Running, mocks: MocksControl
) -> None:
    run_triggers(running, "by_name", "all", WAITING)
    for tenant in (TENANT, OTHER):
        assert [attempt.host for attempt in mocks.for_tenant(tenant).egress()] == [
            "telemetry.unknown.example.com"
        ]


def test_a_thread_is_nobodys_again_after_it_ran_a_triggers_function(
    running: Running, mocks: MocksControl
) -> None:
    script = """
import asyncio, contextvars, urllib.request
from concurrent.futures import ThreadPoolExecutor

def get():
    url = "http://dashboard.mainnet.dfinity.network/api/proxy/registry/mainnet/subnets"
    urllib.request.urlopen(url, timeout=10).close()

async def ask(pool):
    await asyncio.get_running_loop().run_in_executor(pool, get)

async def main():
    with ThreadPoolExecutor(1) as pool:
        await asyncio.create_task(ask(pool), name="TRIGGER")
        await asyncio.create_task(ask(pool))

asyncio.run(main())
"""
    running.pod(script.replace("TRIGGER", trigger_name(WAITING[0], 7)))
    assert [asked(entry) for entry in mocks.journal()] == [WAITING[0], NOBODY]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("d/r/t/-1/1 (ID 7)", Identity("d", "r", "t", -1, 1)),
        ("d/a/b/c/t.u/4/2 (ID 7)", Identity("d", "a/b/c", "t.u", 4, 2)),
        ("d/r (ID 1)/t/4/2 (ID 7)", Identity("d", "r (ID 1)", "t", 4, 2)),
        ("ID 7", None),
        ("Task-3", None),
        ("d/t/4/2 (ID 7)", None),
        ("d/r/t/4/2 (ID 7", None),
    ],
)
def test_a_triggers_name_is_read_whatever_its_run_id_holds(name: str, found: Identity | None) -> None:
    read = sitecustomize.of_trigger_name(name)
    assert (Identity(**read) if read else None) == found


def python(shared: Path, code: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Python with nothing but the site directory of the pods."""
    return subprocess.run(
        [sys.executable, "-B", *options, "-c", code],
        env={"PYTHONPATH": str(shared / "python"), **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )


@pytest.mark.parametrize(
    ("value", "threshold"),
    [
        ("100000,50,100", (100000, 50, 100)),
        ("5000", (5000, 10, 10)),
        ("", (700, 10, 10)),
        ("many", (700, 10, 10)),
        ("1,2,3,4", (700, 10, 10)),
        ("9" * 99, (700, 10, 10)),
    ],
)
def test_the_collectors_thresholds_are_set_from_the_environment(
    running: Running, value: str, threshold: tuple[int, int, int]
) -> None:
    done = python(running.shared_dir, "import gc; print(gc.get_threshold())", ITEST_GC_THRESHOLD=value)
    assert (done.stdout, done.stderr) == (f"{threshold}\n", "")


@pytest.mark.parametrize("value", ["", "nonsense", "mocks:", ":8098", "mocks:8098/x"])
def test_a_malformed_address_changes_nothing(running: Running, value: str) -> None:
    code = "import socket; print('connected', socket.socket().connect_ex(('127.0.0.1', 443)) is not None)"
    done = python(running.shared_dir, code, ITEST_IDENTITY=value, **exported(task_of(TENANT)))
    assert (done.stdout, done.stderr) == ("connected True\n", "")
    assert not value or sitecustomize.announcer(value) is None


def test_a_start_of_python_imports_nothing_more_than_the_module_itself(running: Running) -> None:
    code = "import sys; print(*sorted(sys.modules))"
    plain = python(running.shared_dir, code, "-E").stdout.split()
    environment = {"ITEST_IDENTITY": "mocks:8098", "ITEST_GC_THRESHOLD": "1000"}
    found = python(running.shared_dir, code, **environment).stdout.split()
    assert set(found) - set(plain) <= {"sitecustomize", "__future__", "gc"}
    assert "sitecustomize" in found


def test_it_is_written_for_python_3_9() -> None:
    ast.parse(Path(sitecustomize.__file__).read_text(), feature_version=(3, 9))
