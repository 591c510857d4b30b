"""Every fault that a test can script, as unmodified hooks meet it."""

import http.client
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.google.suite.hooks.sheets import GSheetsHook
from airflow.providers.http.hooks.http import HttpHook
from airflow.providers.slack.hooks.slack import SlackHook
from botocore.exceptions import BotoCoreError, ClientError
from googleapiclient.errors import HttpError
from requests import RequestException
from slack_sdk.errors import SlackApiError, SlackClientError

from harness.mocks.readers import FaultHandle, MocksControl, Scripted

CHANNEL = "ic-os-rollout"
BUCKET = "airflow-logs"
SUBNETS = "/api/proxy/registry/mainnet/subnets"


def slack(mocks: MocksControl) -> Any:
    message = {"channel": CHANNEL, "text": "hello"}
    return SlackHook(slack_conn_id="slack_brisk").call("chat.postMessage", json=message)["ok"]


def sheets(mocks: MocksControl) -> Any:
    mocks.sheets.put("plan", "tab", [["x"]])
    return GSheetsHook(gcp_conn_id="google_brisk").get_values("plan", "tab!A1")


def s3(mocks: MocksControl) -> Any:
    return S3Hook(aws_conn_id="aws_once").list_keys(BUCKET)


def dashboard(mocks: MocksControl) -> Any:
    hook = HttpHook(method="GET", http_conn_id="dashboard")
    return hook.run(SUBNETS, extra_options={"timeout": 2}).json()


HEARD = (
    # google-api-python-client hands on what is no JSON as text, and the hook asks it for a field.
    AttributeError,
    *(OSError, ValueError, http.client.HTTPException, RequestException),
    *(SlackApiError, SlackClientError, HttpError, BotoCoreError, ClientError),
)
FAULTS: dict[str, Callable[[Scripted], FaultHandle]] = {
    "error": lambda service: service.fail_next(500, times=None),
    "latency": lambda service: service.delay(600, times=None),
    "reset": lambda service: service.reset(times=None),
    "reset_tls": lambda service: service.reset_tls(times=None),
    "drop_body": lambda service: service.drop_body(times=None),
    "garbage": lambda service: service.garble(times=None),
}
CALLS = {"slack": slack, "sheets": sheets, "s3": s3, "ic": dashboard}
PLAIN_HTTP = ("s3", "reset_tls")
"""The store's connection has no TLS, so no handshake can fail."""


@pytest.fixture(autouse=True)
def brisk() -> Iterator[None]:
    """Google's client waits for as long as sockets do by default, and else for a minute."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(2)
    yield
    socket.setdefaulttimeout(before)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("service", CALLS)
def test_a_hook_that_meets_a_fault_fails_and_works_when_it_is_healed(
    mocks: MocksControl, service: str, fault: str
) -> None:
    if (service, fault) == PLAIN_HTTP:
        with FAULTS[fault](mocks.s3) as armed:
            s3(mocks)
            assert armed.hits() == 0
        return
    call = CALLS[service]
    with FAULTS[fault](getattr(mocks, service)) as armed:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - narrowed below, and tenacity wraps some
            call(mocks)
        assert armed.hits() >= 1
    met = getattr(caught.value, "last_attempt", None)
    error = met.exception() if met else caught.value
    logging.getLogger(__name__).info("%s met %s as %r", service, fault, error)
    assert isinstance(error, HEARD) or type(error).__module__.startswith("airflow"), repr(error)
    assert call(mocks) is not None or service == "sheets"


def test_the_nth_call_of_a_hook_fails(mocks: MocksControl) -> None:
    mocks.slack.fail_nth(2, 500, endpoint="chat.postMessage")
    outcomes = []
    for _ in range(3):
        try:
            outcomes.append(slack(mocks))
        except SlackApiError as error:
            outcomes.append(error.response.status_code)
    assert outcomes == [True, 500, True]


def test_a_dropped_answer_makes_a_retrying_hook_post_twice(mocks: MocksControl) -> None:
    mocks.slack.drop_body()
    with pytest.raises(HEARD):
        slack(mocks)
    assert slack(mocks)
    assert [effect.kind for effect in mocks.ledger()] == ["slack.message"] * 2
