"""HTTP to the control API, and what can be wrong with it."""

from typing import Any

import httpx

from harness.mocks.tenancy import HEADER

TIMEOUT_SECONDS = 10.0


class MocksError(Exception):
    """The mocks could not be asked, or said no."""


class MocksUnreachableError(MocksError):
    """Nothing answers at the control address."""


class MocksRefusedError(MocksError):
    """The control API answered with an error status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


class Connection:
    """HTTP to the control API in one tenancy's name, with its errors turned into MocksError."""

    def __init__(self, client: httpx.Client, tenant: str) -> None:
        self._client = client
        self._headers = {HEADER: tenant} if tenant else {}

    def for_tenant(self, tenant: str) -> "Connection":
        """The same, in another's name."""
        return Connection(self._client, tenant)

    def call(
        self, method: str, path: str, body: Any = None, **parameters: str | int | None
    ) -> httpx.Response:
        """One request; parameters that are None are left out."""
        given = {name: value for name, value in parameters.items() if value is not None}

        def ask() -> httpx.Response:
            return self._client.request(method, path, json=body, params=given, headers=self._headers)

        try:
            try:
                response = ask()
            except httpx.RemoteProtocolError:
                # A jump of the virtual clock expires idle connections, just when the next request may be on its way.
                if method != "GET":
                    raise
                response = ask()
        except httpx.TransportError as error:
            raise MocksUnreachableError(
                f"the mocks at {self._client.base_url} do not answer: {error}"
            ) from error
        if response.is_error:
            raise MocksRefusedError(response.status_code, _reason(response))
        return response

    def json(self, method: str, path: str, body: Any = None, **parameters: str | int | None) -> Any:
        """The decoded answer of `call`."""
        return self.call(method, path, body, **parameters).json()

    def close(self) -> None:
        self._client.close()


def _reason(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return response.text
