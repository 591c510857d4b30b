"""Faults that a test scripts, met by unmodified clients, and what of them is left afterwards."""

import http.client
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

from harness.mocks import names
from harness.mocks.fakes import Fakes
from harness.mocks.faults import Exchange, Fault, FaultKind, Faults
from harness.mocks.readers import FaultHandle, MocksControl, MocksRefusedError, Scripted
from harness.mocks.settings import Settings

from .conftest import SLACK_TOKEN, Running, exported, task_of

TENANT, OTHER = "tn00000001", "tn00000002"
POST = f"""
import json, urllib.request
request = urllib.request.Request(
    "https://slack.com/api/chat.postMessage",
    data=json.dumps({{"channel": "ic-os-rollout", "text": "hello"}}).encode(),
    headers={{"Authorization": "Bearer {SLACK_TOKEN}", "Content-Type": "application/json"}},
)
try:
    with urllib.request.urlopen(request) as answer:
        print(answer.status)
except OSError as error:
    print(getattr(error, "code", type(getattr(error, "reason", error)).__name__))
"""
MESSAGE = {"channel": "ic-os-rollout", "text": "hello"}


@pytest.fixture
def client(production_names: Running) -> WebClient:
    return WebClient(token=SLACK_TOKEN)


def texts(mocks: MocksControl) -> list[str]:
    return [message.text for message in mocks.slack.messages()]


def test_a_rate_limited_call_is_told_when_to_come_again(client: WebClient, mocks: MocksControl) -> None:
    mocks.slack.fail_next(429, retry_after=3)
    with pytest.raises(SlackApiError) as caught:
        client.chat_postMessage(**MESSAGE)
    assert (caught.value.response.status_code, caught.value.response["error"]) == (429, "ratelimited")
    assert caught.value.response.headers["Retry-After"] == "3"
    assert texts(mocks) == []
    client.chat_postMessage(**MESSAGE)
    assert texts(mocks) == ["hello"]


def test_slack_sdks_own_retry_gets_through_a_rate_limit(client: WebClient, mocks: MocksControl) -> None:
    client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=1))
    fault = mocks.slack.fail_next(429, retry_after=0)
    client.chat_postMessage(**MESSAGE)
    assert (texts(mocks), fault.hits()) == (["hello"], 1)
    assert [entry.status for entry in mocks.journal(service="slack")] == [429, 200]


@pytest.mark.parametrize("code", ["invalid_auth", "channel_not_found", "not_in_channel", "account_inactive"])
def test_slacks_own_errors_can_be_had_without_their_cause(
    client: WebClient, mocks: MocksControl, code: str
) -> None:
    mocks.slack.refuse_next(code, endpoint="chat.postMessage")
    client.auth_test()
    with pytest.raises(SlackApiError, match=code):
        client.chat_postMessage(**MESSAGE)


def test_the_nth_call_fails_and_no_other(production_names: Running, mocks: MocksControl) -> None:
    mocks.ic.fail_nth(3, 503, endpoint="subnets")
    url = "https://dashboard.mainnet.dfinity.network/api/proxy/registry/mainnet/subnets"
    assert [httpx.get(url).status_code for _ in range(5)] == [200, 200, 503, 200, 200]


def test_faults_of_one_endpoint_are_met_one_after_the_other(client: WebClient, mocks: MocksControl) -> None:
    for status in (500, 429):
        mocks.slack.fail_next(status, endpoint="auth.test")
    client.chat_postMessage(**MESSAGE)
    met = []
    for _ in range(2):
        with pytest.raises(SlackApiError) as caught:
            client.auth_test()
        met.append(caught.value.response.status_code)
    assert met == [500, 429]
    assert client.auth_test()["ok"]


def test_an_error_after_the_work_leaves_its_side_effect(client: WebClient, mocks: MocksControl) -> None:
    mocks.slack.fail_next(500, done=True)
    with pytest.raises(SlackApiError, match="internal_error"):
        client.chat_postMessage(**MESSAGE)
    assert texts(mocks) == ["hello"]
    (entry,) = mocks.journal(service="slack")
    assert (entry.status, entry.faults, len(entry.effects)) == (500, ["error"], 1)


def test_a_body_that_ends_in_the_middle_is_seen_as_that_and_the_work_was_done(
    production_names: Running, mocks: MocksControl
) -> None:
    mocks.slack.drop_body()
    headers = {"Authorization": f"Bearer {SLACK_TOKEN}"}
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        httpx.post("https://slack.com/api/chat.postMessage", json=MESSAGE, headers=headers)
    assert texts(mocks) == ["hello"]
    assert httpx.post("https://slack.com/api/auth.test", headers=headers).json()["ok"]


@pytest.mark.parametrize(("done", "posted"), [(False, []), (True, ["hello"])])
def test_a_connection_is_reset_before_or_after_the_work(
    production_names: Running, mocks: MocksControl, done: bool, posted: list[str]
) -> None:
    mocks.slack.reset(done=done)
    headers = {"Authorization": f"Bearer {SLACK_TOKEN}"}
    # Over TLS, Python tells a reset like a plain end of the connection.
    with pytest.raises(httpx.ReadError, match="reset by peer"):
        httpx.post("http://slack.com/api/chat.postMessage", json=MESSAGE, headers=headers)
    assert texts(mocks) == posted
    assert mocks.journal()[-1].status == (200 if done else 0)


def test_a_handshake_is_reset_for_the_chosen_service_only(
    production_names: Running, mocks: MocksControl
) -> None:
    fault = mocks.slack.reset_tls()
    subnets = "https://dashboard.mainnet.dfinity.network/api/proxy/registry/mainnet/subnets"
    assert httpx.get(subnets).status_code == 200
    with pytest.raises(httpx.ConnectError, match="reset by peer"):
        httpx.get("https://slack.com/api/api.test")
    (reset,) = [entry for entry in mocks.journal() if entry.kind == "tls"]
    assert (reset.service, reset.host, reset.faults, fault.hits()) == ("slack", "slack.com", ["reset_tls"], 1)
    assert httpx.get("https://slack.com/api/api.test").status_code == 200
    assert mocks.egress() == []


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_client_without_a_fault_of_its_own_gets_through_its_handshake(
    production_names: Running, mocks: MocksControl, version: str
) -> None:
    import ssl

    mocks.for_tenant(OTHER).slack.reset_tls()
    mocks.s3.reset_tls()
    context = ssl.create_default_context(cafile=str(production_names.ca_bundle))
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    assert httpx.get("https://slack.com/api/api.test", verify=context).status_code == 200


def test_garbage_is_neither_json_nor_a_broken_connection(
    production_names: Running, mocks: MocksControl
) -> None:
    mocks.ic.garble()
    answer = httpx.get("https://dashboard.mainnet.dfinity.network/api/proxy/registry/mainnet/subnets")
    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"."):
        answer.json()


def test_a_delayed_answer_comes_when_the_fault_is_healed(client: WebClient, mocks: MocksControl) -> None:
    with ThreadPoolExecutor(1) as pool:
        with mocks.slack.delay(600, times=None) as fault:
            answer = pool.submit(client.auth_test)
            while not fault.hits():
                assert not answer.done()
        assert answer.result()["ok"]


def test_a_client_that_waits_less_than_the_delay_times_out(
    production_names: Running, mocks: MocksControl
) -> None:
    with mocks.slack.delay(600), pytest.raises(httpx.ReadTimeout):
        httpx.get("https://slack.com/api/api.test", timeout=0.3)


def test_a_fault_is_its_tenants_alone_and_may_be_one_tasks(running: Running, mocks: MocksControl) -> None:
    mocks.for_tenant(TENANT).slack.fail_next(503, task="tell", times=None)
    outcomes = {
        (tenant, task): running.pod(POST, **exported(task_of(tenant, task))).stdout.strip()
        for tenant in (TENANT, OTHER)
        for task in ("tell", "ask")
    }
    assert outcomes == {
        (TENANT, "tell"): "503",
        (TENANT, "ask"): "200",
        (OTHER, "tell"): "200",
        (OTHER, "ask"): "200",
    }


def test_a_fault_may_be_one_mapped_instances(running: Running, mocks: MocksControl) -> None:
    mocks.for_tenant(TENANT).slack.fail_next(503, task="tell", map_index=1, times=None)
    mocks.for_tenant(TENANT).slack.reset_tls(map_index=2)
    outcomes = [
        running.pod(POST, **exported(task_of(TENANT)), ITEST_MAP_INDEX=index).stdout.strip()
        for index in ("-1", "0", "1", "2")
    ]
    assert outcomes == ["200", "200", "503", "ConnectionResetError"]


def test_a_tasks_handshake_alone_is_reset(running: Running, mocks: MocksControl) -> None:
    mocks.for_tenant(TENANT).slack.reset_tls(task="tell")
    assert running.pod(POST, **exported(task_of(TENANT, "ask"))).stdout.strip() == "200"
    assert running.pod(POST, **exported(task_of(TENANT, "tell"))).stdout.strip() == "ConnectionResetError"
    assert running.pod(POST, **exported(task_of(TENANT, "tell"))).stdout.strip() == "200"


def test_a_fault_may_be_one_pods(client: WebClient, mocks: MocksControl) -> None:
    mocks.slack.fail_next(500, pod="worker-*")
    assert client.auth_test()["ok"]
    mocks.slack.fail_next(500, pod=mocks.journal()[-1].pod)
    with pytest.raises(SlackApiError):
        client.auth_test()


@pytest.mark.parametrize(
    ("service", "url", "shape"),
    [
        ("s3", f"http://{names.S3_HOST}/airflow-logs", "<Code>SlowDown</Code>"),
        ("google_sheets", "https://sheets.googleapis.com/v4/spreadsheets/x", '"status": "UNAVAILABLE"'),
        ("google_oauth", "https://oauth2.googleapis.com/token", '"error": "temporarily_unavailable"'),
        ("prometheus", "https://victoria.mainnet.dfinity.network/x", '"status": "error"'),
        ("ic_proposals", "https://ic-api.internetcomputer.org/api/v3/proposals", '"detail"'),
        ("ic_registry", "https://dashboard.mainnet.dfinity.network/x", '"error"'),
        ("slack", "https://slack.com/api/api.test", '"error": "service_unavailable"'),
    ],
)
def test_an_error_has_the_shape_of_its_service(
    production_names: Running, mocks: MocksControl, service: str, url: str, shape: str
) -> None:
    mocks.faults.fail_next(503, times=None)
    answer = requests.get(url, timeout=10)
    assert (answer.status_code, mocks.journal()[-1].service) == (503, service)
    assert shape in answer.text


def test_boto3_gets_through_a_store_that_is_slow_for_a_moment(
    production_names: Running, mocks: MocksControl
) -> None:
    def store(attempts: int) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=f"http://{names.S3_HOST}",
            aws_access_key_id="x",
            aws_secret_access_key="y",
            region_name="us-east-1",
            config=Config(
                retries={"total_max_attempts": attempts, "mode": "standard"}, s3={"addressing_style": "path"}
            ),
        )

    impatient, patient = store(1), store(3)
    fault = mocks.s3.fail_next(503, times=2)
    with pytest.raises(ClientError, match="SlowDown"):
        impatient.list_objects_v2(Bucket="airflow-logs")
    assert patient.list_objects_v2(Bucket="airflow-logs")["KeyCount"] == 0
    assert fault.hits() == 2
    impatient.close()
    patient.close()


def test_a_reset_heals_everything_and_until_then_nothing_is_pristine(
    client: WebClient, mocks: MocksControl
) -> None:
    mine = mocks.for_tenant(TENANT)
    for handle in (mocks, mine):
        handle.slack.fail_next(500, times=None)
    assert mine.pristine().why == ("1 faults",)
    mine.reset()
    assert mine.pristine()
    assert not mocks.pristine()
    mocks.reset()
    assert mocks.pristine()
    assert client.auth_test()["ok"]


@pytest.mark.parametrize("ask", [FaultHandle.hits, FaultHandle.heal])
def test_a_healed_fault_is_gone(mocks: MocksControl, ask: Callable[[FaultHandle], Any]) -> None:
    with mocks.slack.fail_next(500) as fault:
        assert fault.hits() == 0
    with pytest.raises(MocksRefusedError, match="404: no fault"):
        ask(fault)


@pytest.mark.parametrize(
    ("arm", "reason"),
    [
        (lambda s: s.fail_next(99), "'status' must be"),
        (lambda s: s.fail_nth(0), "'skip' must be"),
        (lambda s: s.fail_next(500, times=0), "'times' must be"),
        (lambda s: s.fail_next(500, map_index="1"), "'map_index' must be"),
        (lambda s: s.delay(-1), "'seconds' must be"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(
    mocks: MocksControl, arm: Callable[[Scripted], Any], reason: str
) -> None:
    with pytest.raises(MocksRefusedError, match=reason):
        arm(mocks.slack)


@pytest.fixture
def faults() -> Iterator[Faults]:
    made = Faults()
    yield made
    made.reset()


def test_only_as_many_exchanges_are_hit_as_were_asked_for_also_from_many_threads(faults: Faults) -> None:
    number = faults.arm(Fault(FaultKind.ERROR, ("slack",), skip=10, times=20))
    with ThreadPoolExecutor(8) as pool:
        met = list(pool.map(lambda _: len(faults.meet(Exchange("slack"))), range(100)))
    assert (sum(met), faults.hits(number)) == (20, 20)


def test_a_reset_lets_go_of_who_waits(faults: Faults) -> None:
    faults.arm(Fault(FaultKind.LATENCY, ("slack",), seconds=600))
    waiting = threading.Thread(target=faults.meet, args=(Exchange("slack"),))
    waiting.start()
    faults.reset()
    waiting.join(30)
    assert not waiting.is_alive()


def test_a_reset_of_the_mocks_lets_go_of_who_is_delayed(client: WebClient, mocks: MocksControl) -> None:
    fault = mocks.slack.delay(600)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.auth_test)
        while not fault.hits():
            assert not answer.done()
        mocks.reset()
        assert answer.result(30)["ok"]


def test_a_tenant_who_leaves_lets_go_of_its_delayed_ones(tmp_path: Path) -> None:
    fakes = Fakes(Settings("token", "key", "email", tmp_path, tmp_path))
    faults = fakes.world(TENANT).faults
    number = faults.arm(Fault(FaultKind.LATENCY, ("slack",), seconds=600))
    waiting = threading.Thread(target=faults.meet, args=(Exchange("slack"),))
    waiting.start()
    while not faults.hits(number):
        assert waiting.is_alive()
    fakes.drop(TENANT)
    waiting.join(30)
    assert not waiting.is_alive()


def test_a_connection_that_was_reset_is_reopened_by_its_client(
    production_names: Running, mocks: MocksControl
) -> None:
    kept = http.client.HTTPConnection(names.S3_HOST)
    mocks.s3.reset(skip=1)
    kept.request("GET", "/")
    kept.getresponse().read()
    kept.request("GET", "/")
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        kept.getresponse()
    kept.close()
    kept.request("GET", "/")
    assert kept.getresponse().read()
    kept.close()
