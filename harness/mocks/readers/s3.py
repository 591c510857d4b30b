"""The test's side of the mocked object store."""

from dataclasses import dataclass

from harness.mocks.names import Service
from harness.mocks.readers.connection import Connection
from harness.mocks.readers.faults import Scripted


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object of a bucket; `modified` as S3 writes it."""

    key: str
    size: int
    modified: str


class S3Reader(Scripted):
    """The mocked object store."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, Service.S3)

    def objects(self, bucket: str, prefix: str = "") -> list[S3Object]:
        """Objects in key order. MocksRefusedError (404) when the bucket does not exist."""
        found = self._connection.json("GET", "/s3/objects", bucket=bucket, prefix=prefix)["objects"]
        return [S3Object(**item) for item in found]

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """Their keys alone."""
        return [item.key for item in self.objects(bucket, prefix)]

    def read(self, bucket: str, key: str) -> bytes:
        """An object's content. MocksRefusedError (404) when it does not exist."""
        return self._connection.call("GET", "/s3/object", bucket=bucket, key=key).content
