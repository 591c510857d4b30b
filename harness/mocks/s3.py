"""S3 by moto, behind path-style and virtual-host addresses, with its buckets made at start.

moto takes over a second to import, so it loads on a thread of its own, from `load` on; a request that comes earlier
waits for it.
"""

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote
from xml.etree import ElementTree

from werkzeug.test import Client
from werkzeug.wrappers import Response

from harness.mocks.ledger import Kind, note_in
from harness.mocks.names import S3_HOST
from harness.mocks.wsgi import COMPILING, path_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LOAD_SECONDS = 30.0
SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=mocks/20000101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0"
}
"""moto checks no signature, but treats a request without one as anonymous: objects are not public."""


class NoSuchObject(KeyError):
    """No object under that key, or no such bucket."""


def _moto() -> "WSGIApplication":
    from moto.moto_server.werkzeug_app import create_backend_app

    with COMPILING:
        application: WSGIApplication = create_backend_app("s3")
    return application


class S3:
    """WSGI application. Buckets other than `buckets` are made by clients, as on the real store."""

    def __init__(self, buckets: Sequence[str]) -> None:
        self._buckets = tuple(buckets)
        self._loaded: Future[WSGIApplication] = Future()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        by_path = _path_style(environ)

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            if status.startswith("2"):
                _note_effect(environ, path_of(by_path).lstrip("/"))
            return start_response(status, headers, exc_info)

        return self.wait()(by_path, start)

    def load(self) -> None:
        """Begin to load, once."""
        threading.Thread(target=self._load, name="load-s3", daemon=True).start()

    def wait(self) -> "WSGIApplication":
        """moto's application once it is loaded. Raises what loading raised, or TimeoutError."""
        return self._loaded.result(LOAD_SECONDS)

    def failed(self) -> BaseException | None:
        """Why loading failed, or None while it has not."""
        return self._loaded.exception(0) if self._loaded.done() else None

    def reset(self) -> None:
        """Empty buckets, and only those made at start."""
        self.wait()
        from moto.s3.models import s3_backends

        for account in list(s3_backends.values()):
            account.reset()
        self._make_buckets(self.wait())

    def changes(self) -> list[str]:
        """Which buckets hold objects, each in a few words."""
        held = {bucket: len(self.objects(bucket)) for bucket in self._all_buckets()}
        return [f"{count} objects in bucket {bucket}" for bucket, count in held.items() if count]

    def objects(self, bucket: str, prefix: str = "") -> list[dict[str, Any]]:
        """{"key", "size", "modified"} of each object in key order. Raises NoSuchObject for a missing bucket."""
        found: list[dict[str, Any]] = []
        query = {"list-type": "2", "prefix": prefix}
        while True:
            root, space = _xml(self._request("GET", f"/{bucket}", query))
            found += [
                {
                    "key": item.findtext(f"{space}Key", ""),
                    "size": int(item.findtext(f"{space}Size", "0")),
                    "modified": item.findtext(f"{space}LastModified", ""),
                }
                for item in root.iter(f"{space}Contents")
            ]
            token = root.findtext(f"{space}NextContinuationToken")
            if not token:
                return found
            query["continuation-token"] = token

    def read(self, bucket: str, key: str) -> bytes:
        """An object's content. Raises NoSuchObject."""
        return self._request("GET", f"/{bucket}/{quote(key)}").get_data()

    def _all_buckets(self) -> list[str]:
        root, space = _xml(self._request("GET", "/"))
        return [item.findtext(f"{space}Name", "") for item in root.iter(f"{space}Bucket")]

    def _request(self, method: str, path: str, query: dict[str, str] | None = None) -> Response:
        response = Client(self.wait(), Response).open(
            path, method=method, base_url=f"http://{S3_HOST}", query_string=query, headers=SIGNED
        )
        if response.status_code == 404:
            raise NoSuchObject(path)
        if response.status_code != 200:
            raise RuntimeError(f"{method} {path}: {response.status} {response.get_data(as_text=True)}")
        return response

    def _load(self) -> None:
        try:
            application = _moto()
            self._make_buckets(application)
        except BaseException as error:
            self._loaded.set_exception(error)
        else:
            self._loaded.set_result(application)

    def _make_buckets(self, application: "WSGIApplication") -> None:
        client = Client(application, Response)
        for bucket in self._buckets:
            response = client.put(f"/{bucket}", base_url=f"http://{S3_HOST}")
            if response.status_code != 200:
                raise RuntimeError(f"cannot make bucket {bucket}: {response.get_data(as_text=True)}")


def _xml(answer: Response) -> tuple[ElementTree.Element, str]:
    """The root of an answer and the namespace, if any, as it stands before its tags."""
    # The XML comes from moto in this very process.
    root = ElementTree.fromstring(answer.get_data())  # noqa: S314
    return root, root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""


def _note_effect(environ: "WSGIEnvironment", target: str) -> None:
    """What a request that succeeded has done to an object `bucket/key`; of an upload in parts its completion counts."""
    if not target.partition("/")[2]:
        return
    query = parse_qs(str(environ.get("QUERY_STRING", "")), keep_blank_values=True)
    method = environ["REQUEST_METHOD"]
    if (method == "PUT" and "partNumber" not in query) or (method == "POST" and "uploadId" in query):
        note_in(environ, Kind.S3_PUT, target)
    elif method == "DELETE" and "uploadId" not in query:
        note_in(environ, Kind.S3_DELETE, target)


def _path_style(environ: "WSGIEnvironment") -> "WSGIEnvironment":
    """The request addressed by path (moto takes every Kubernetes service name for a path-style one), with the
    undecoded path that moto takes keys from."""
    host, _, port = str(environ.get("HTTP_HOST", "")).lower().partition(":")
    bucket = host.removesuffix(f".{S3_HOST}")
    prefix = "" if bucket == host else f"/{bucket}"
    return {
        **environ,
        "HTTP_HOST": f"{S3_HOST}:{port}" if port else S3_HOST,
        "PATH_INFO": f"{prefix}{environ['PATH_INFO']}",
        "RAW_URI": f"{prefix}{environ['REQUEST_URI']}",
    }
