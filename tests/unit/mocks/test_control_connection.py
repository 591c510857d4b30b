"""The connection to the mocks: an expired one is no reason to fail, but what changes things is not repeated."""

import httpx
import pytest

from harness.mocks.readers.connection import Connection, MocksUnreachableError


@pytest.mark.parametrize(("method", "requests"), [("GET", 2), ("PUT", 1)])
def test_only_what_changes_nothing_is_asked_again_when_a_connection_has_expired(
    method: str, requests: int
) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if len(seen) == 1:
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
        return httpx.Response(200, json={"next_due": None})

    client = httpx.Client(base_url="http://mocks.invalid", transport=httpx.MockTransport(answer))
    connection = Connection(client, "")
    if method == "GET":
        assert connection.json(method, "/next_due") == {"next_due": None}
    else:
        with pytest.raises(MocksUnreachableError, match="disconnected"):
            connection.call(method, "/x")
    assert len(seen) == requests
