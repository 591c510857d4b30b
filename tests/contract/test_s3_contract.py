"""boto3 through the object store, by path and by virtual host."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from harness.mocks import names
from harness.mocks.readers import MocksControl
from tests.unit.mocks.conftest import Running

from .conftest import Hold

MIB = 1024 * 1024


@pytest.fixture(params=["path", "virtual"])
def store(
    request: pytest.FixtureRequest, production_names: Running, hold: Hold, mocks: MocksControl
) -> Iterator[Any]:
    """A client whose extra is that of the production connection, with either address style."""
    hold(f"boto3 ({request.param})")
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{names.S3_HOST}",
        aws_access_key_id="x",
        aws_secret_access_key="y",
        region_name="us-east-1",
        config=Config(s3={"addressing_style": request.param}, retries={"total_max_attempts": 1}),
    )
    yield client
    client.close()


BUCKET = {"Bucket": names.LOG_BUCKET}


def code_of(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def test_buckets_are_there_from_the_start_and_may_be_made(store: Any) -> None:
    assert [bucket["Name"] for bucket in store.list_buckets()["Buckets"]] == [names.LOG_BUCKET]
    store.head_bucket(**BUCKET)
    assert store.get_bucket_location(**BUCKET)["LocationConstraint"] is None
    store.create_bucket(Bucket="another")
    store.delete_bucket(Bucket="another")
    assert code_of(store.head_bucket, Bucket="another") == "404"
    assert code_of(store.list_objects_v2, Bucket="another") == "NoSuchBucket"


def test_an_object_is_put_read_copied_and_deleted(store: Any, mocks: MocksControl) -> None:
    where = {**BUCKET, "Key": "dag_id=x/run=1 ä+/1.log"}
    store.put_object(**where, Body=b"all is well", ContentType="text/plain", Metadata={"a": "b"})
    got = store.get_object(**where)
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (
        b"all is well",
        "text/plain",
        {"a": "b"},
    )
    assert store.get_object(**where, Range="bytes=0-2")["Body"].read() == b"all"
    assert store.head_object(**where)["ContentLength"] == 11
    store.copy_object(**BUCKET, Key="copy", CopySource=where)
    store.delete_object(**where)
    assert code_of(store.get_object, **where) == "NoSuchKey"
    assert code_of(store.head_object, **where) == "404"
    targets = [(effect.kind, effect.target) for effect in mocks.ledger()]
    key = f"{names.LOG_BUCKET}/{where['Key']}"
    assert targets == [("s3.put", key), ("s3.put", f"{names.LOG_BUCKET}/copy"), ("s3.delete", key)]


def test_objects_are_listed_by_folders_and_pages_and_deleted_at_once(store: Any) -> None:
    for number in range(5):
        store.put_object(**BUCKET, Key=f"a/{number}", Body=b"")
    folders = store.list_objects_v2(**BUCKET, Delimiter="/")
    assert [one["Prefix"] for one in folders["CommonPrefixes"]] == ["a/"]
    pages = list(store.get_paginator("list_objects_v2").paginate(**BUCKET, PaginationConfig={"PageSize": 2}))
    assert [item["Key"] for page in pages for item in page["Contents"]] == [f"a/{n}" for n in range(5)]
    gone = store.delete_objects(**BUCKET, Delete={"Objects": [{"Key": f"a/{n}"} for n in range(5)]})
    assert len(gone["Deleted"]) == 5


def test_a_large_object_is_uploaded_in_parts(store: Any, tmp_path: Any, mocks: MocksControl) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(11 * MIB))
    store.upload_file(
        str(path), names.LOG_BUCKET, "large", Config=TransferConfig(multipart_threshold=5 * MIB)
    )
    assert store.head_object(**BUCKET, Key="large")["ContentLength"] == 11 * MIB
    assert [effect.target for effect in mocks.ledger()] == [f"{names.LOG_BUCKET}/large"]


def test_an_upload_in_parts_is_listed_and_aborted(store: Any, mocks: MocksControl) -> None:
    where = {**BUCKET, "Key": "aborted"}
    upload = {**where, "UploadId": store.create_multipart_upload(**where)["UploadId"]}
    store.upload_part(**upload, PartNumber=1, Body=b"x")
    assert [part["PartNumber"] for part in store.list_parts(**upload)["Parts"]] == [1]
    store.abort_multipart_upload(**upload)
    assert code_of(store.list_parts, **upload) == "NoSuchUpload"
    assert mocks.ledger() == []
