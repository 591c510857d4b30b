"""The mocked object store, met by boto3."""

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from harness.mocks.names import LOG_BUCKET, S3_HOST
from harness.mocks.readers import MocksControl, MocksRefusedError

from .conftest import Running

KEY = "dag_id=rollout/run_id=manual__2026-11-16T09:00:00+00:00/task_id=batch_1.wait/map_index=0/attempt=1.log"


def connect(style: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=f"http://{S3_HOST}",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
        config=Config(s3={"addressing_style": style}),
    )


@pytest.fixture(params=["path", "virtual"])
def client(request: pytest.FixtureRequest, production_names: Running, mocks: MocksControl) -> Any:
    return connect(request.param)


def test_the_log_bucket_exists_from_the_start(client: Any) -> None:
    client.head_bucket(Bucket=LOG_BUCKET)
    assert "Contents" not in client.list_objects_v2(Bucket=LOG_BUCKET)


@pytest.mark.parametrize("key", [KEY, "with space + plus % percent ? query # hash/\u00e9"])
def test_an_object_is_read_back_under_its_key_by_both_styles(
    client: Any, mocks: MocksControl, key: str
) -> None:
    client.put_object(Bucket=LOG_BUCKET, Key=key, Body=b"line\n")
    for style in ("path", "virtual"):
        assert connect(style).get_object(Bucket=LOG_BUCKET, Key=key)["Body"].read() == b"line\n"
    assert mocks.s3.keys(LOG_BUCKET, key[:5]) == [key]
    assert mocks.s3.read(LOG_BUCKET, key) == b"line\n"


def test_listing_is_by_prefix(client: Any, mocks: MocksControl) -> None:
    for name in ("a/1", "a/2", "b/1"):
        client.put_object(Bucket=LOG_BUCKET, Key=name, Body=b"x")
    listed = client.list_objects_v2(Bucket=LOG_BUCKET, Prefix="a/")["Contents"]
    assert [item["Key"] for item in listed] == mocks.s3.keys(LOG_BUCKET, "a/") == ["a/1", "a/2"]


def test_a_long_bucket_is_listed_completely(production_names: Running, mocks: MocksControl) -> None:
    client = connect("path")
    names = [f"{number:05d}" for number in range(1005)]
    for name in names:
        client.put_object(Bucket=LOG_BUCKET, Key=name, Body=b"")
    assert mocks.s3.keys(LOG_BUCKET) == names


def test_a_missing_key_and_a_missing_bucket_are_errors(client: Any, mocks: MocksControl) -> None:
    with pytest.raises(ClientError, match="NoSuchKey"):
        client.get_object(Bucket=LOG_BUCKET, Key="nothing")
    with pytest.raises(MocksRefusedError, match="no bucket"):
        mocks.s3.keys("nowhere")
    with pytest.raises(MocksRefusedError, match="no object"):
        mocks.s3.read(LOG_BUCKET, "nothing")


def test_a_reset_empties_the_bucket_and_keeps_it(client: Any, mocks: MocksControl) -> None:
    client.put_object(Bucket=LOG_BUCKET, Key="k", Body=b"x")
    mocks.reset()
    assert mocks.s3.keys(LOG_BUCKET) == []
    client.head_bucket(Bucket=LOG_BUCKET)


def test_requests_are_journaled_without_the_content(client: Any, mocks: MocksControl) -> None:
    client.put_object(Bucket=LOG_BUCKET, Key="k", Body=b"the log")
    (entry,) = [entry for entry in mocks.journal(service="s3") if entry.method == "PUT"]
    assert entry.path.endswith("/k")
    assert "the log" not in str(entry)
