"""JSON over HTTPS, described once and asked either from a task or from the triggerer's event loop.

TLS trust is the process environment's (`SSL_CERT_FILE`, `SSL_CERT_DIR`), which httpx honours.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import httpx

T = TypeVar("T")

TIMEOUT_SECONDS: Final = 20.0
_HEADERS: Final = {"Accept": "application/json", "User-Agent": "dfinity-airflow-content"}


class WebError(Exception):
    """No usable answer: the server was unreachable, answered an error, or something unintelligible."""


class MalformedAnswerError(WebError):
    """The server answered something else than what its interface promises."""


@dataclass(frozen=True)
class Query(Generic[T]):
    """A GET request and how to read its JSON answer.

    `parse` may raise KeyError, TypeError or ValueError for an answer of the wrong shape.
    """

    url: str
    params: Mapping[str, str]
    parse: Callable[[object], T]


def fetch(query: Query[T]) -> T:
    """The answer to `query`; raises WebError."""
    with httpx.Client(timeout=TIMEOUT_SECONDS, headers=_HEADERS) as client:
        try:
            response = client.get(query.url, params=dict(query.params))
        except httpx.HTTPError as error:
            raise _unreachable(query, error) from error
    return _read(query, response)


def async_client() -> httpx.AsyncClient:
    """A client for `fetch_async`; making one loads the CA bundle, so keep it for a series of requests."""
    return httpx.AsyncClient(timeout=TIMEOUT_SECONDS, headers=_HEADERS)


async def fetch_async(query: Query[T], client: httpx.AsyncClient) -> T:
    """As `fetch`, without blocking the event loop."""
    try:
        response = await client.get(query.url, params=dict(query.params))
    except httpx.HTTPError as error:
        raise _unreachable(query, error) from error
    return _read(query, response)


def _unreachable(query: Query[T], error: httpx.HTTPError) -> WebError:
    return WebError(f"GET {query.url} failed: {type(error).__name__}: {error}")


def _read(query: Query[T], response: httpx.Response) -> T:
    if response.status_code != httpx.codes.OK:
        raise WebError(f"GET {query.url} answered {response.status_code}: {response.text[:300]}")
    try:
        return query.parse(response.json())
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise MalformedAnswerError(
            f"GET {query.url} answered an unexpected shape ({type(error).__name__}: {error})"
        ) from error
